"""How fast messages are checked, and how fast what was recorded offline reaches the network.

The replay is compared with a bare loop over ``websockets`` that sends ready frames to the same CSMS and waits for each
answer: what remains is what journal, rendering, checks and bookkeeping cost.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent.clock import boot_id
from agent.journal.events import (
    MeterSampled,
    SampledValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
)
from agent.journal.journal import Journal
from agent.ocpp.schema import Schemas
from agent.ocpp.v16.render import Renderer16
from simulators.charger import Charger
from simulators.csms.frames import Direction, Frame
from simulators.csms.process import CsmsProcess

from .figures import Figure, ratio
from .machine import cpu_s, progress
from .processes import MeasureError
from .site import write_config

SAMPLES_PER_TRANSACTION = 98
MESSAGES_PER_TRANSACTION = SAMPLES_PER_TRANSACTION + 2
FAR_S = 0.02
"""Round trip of a cellular uplink that does well."""
FAR_SHARE = 2
"""So much fewer records go the long way."""
REPLAY_TIMEOUT_S = 120.0
ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")


def measure(scratch: Path, checks: int, messages: int) -> list[Figure]:
    """``checks`` validations of each kind; about ``messages`` records replayed (whole transactions), near and far."""
    figures = [*_validation(checks)]
    figures += _compare(scratch / "near", "replay", messages, 0.0)
    figures += _compare(scratch / "far", "replay_far", messages // FAR_SHARE, FAR_S)
    return figures


def _compare(scratch: Path, name: str, messages: int, answer_after_s: float) -> Iterator[Figure]:
    """Replay to a CSMS that answers so late, and let a bare loop send the same frames to it."""
    transactions = max(1, messages // MESSAGES_PER_TRANSACTION)
    with CsmsProcess(scratch / "csms") as csms:
        for action in ACTIONS if answer_after_s else ():
            csms.ctl("delay", action, answer_after_s)
        far = f", answers {answer_after_s * 1000:g} ms late" if answer_after_s else ""
        progress(f"  replay of {transactions * MESSAGES_PER_TRANSACTION} records by the agent{far}")
        replayed, per_s, cpu_ms = _replay(scratch, csms, transactions)
        progress("  the same frames by a bare loop")
        bare_per_s = asyncio.run(_bare(csms, transactions))
    yield Figure(f"{name}_messages_per_s", per_s, replayed, note=f"each answered before the next is sent{far}")
    yield Figure(f"{name}_bare_messages_per_s", bare_per_s, replayed, note="ready frames, same CSMS")
    yield Figure(f"{name}_to_bare_ratio", ratio(per_s, bare_per_s), replayed)
    yield Figure(f"{name}_agent_cpu_per_message_ms", cpu_ms, replayed, note="user and system")


# ---- validation ----


def _validation(checks: int) -> Iterator[Figure]:
    """Compare our compiled schemas with the ``jsonschema`` that the ocpp package uses, message by message."""
    from ocpp.messages import get_validator  # type: ignore[import-untyped]

    schemas = Schemas("v16")
    for name, (action, payload) in _messages().items():
        ours_per_s = _per_s(lambda a=action, p=payload: schemas.request(a, p), checks)  # type: ignore[misc]
        validator = get_validator(2, action, "1.6")
        theirs_per_s = _per_s(lambda v=validator, p=payload: v.validate(p), max(20, checks // 20))  # type: ignore[misc]
        yield Figure(f"validation_{name}_per_s", ours_per_s, checks)
        yield Figure(f"validation_{name}_to_jsonschema_ratio", ratio(ours_per_s, theirs_per_s), checks)


def _per_s(call: Callable[[], object], count: int) -> float:
    """Best of three: what others do to this machine only ever slows it down."""
    call()
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for _ in range(count):
            call()
        best = min(best, time.process_time() - began)
    return count / best


def _messages() -> dict[str, tuple[str, dict[str, Any]]]:
    renderer = Renderer16()
    start = renderer.render(_start("t", 1), 1_780_000_000.0, None)
    sample = renderer.render(MeterSampled("t", 1, _samples(12_000.0), False), 1_780_000_000.0, 1)
    assert start is not None
    assert sample is not None
    return {
        "start_transaction": (start.action, start.payload),
        "meter_values_9_samples": (sample.action, sample.payload),
    }


# ---- replay ----


def _start(transaction: str, evse: int) -> TransactionStarted:
    return TransactionStarted(
        transaction=transaction,
        evse=evse,
        token="04A1B2C3",
        token_kind="ISO14443",
        meter_wh=12_000.0,
        trigger=StartTrigger.AUTHORIZED,
        offline=True,
    )


def _samples(register_wh: float) -> tuple[SampledValue, ...]:
    return (
        SampledValue("Energy.Active.Import.Register", register_wh, "Wh"),
        SampledValue("Power.Active.Import", 11_000.0, "W"),
        *(SampledValue("Current.Import", 15.94, "A", f"L{phase}") for phase in (1, 2, 3)),
        *(SampledValue("Voltage", 230.1, "V", f"L{phase}-N") for phase in (1, 2, 3)),
        SampledValue("Current.Offered", 16.0, "A"),
    )


def _fill(path: Path, transactions: int) -> None:
    """Write what a long night without a network leaves behind."""
    boot = boot_id()
    now, utc = time.monotonic(), time.time()
    journal = Journal.open(path, boot)
    total = transactions * MESSAGES_PER_TRANSACTION
    begin_s = -60.0 * total
    try:
        with journal.write():
            for number in range(transactions):
                name = f"bench-{number}"
                for index in range(MESSAGES_PER_TRANSACTION):
                    ago_s = begin_s + 60.0 * (number * MESSAGES_PER_TRANSACTION + index)
                    stamp = Stamp(boot, now + ago_s, utc + ago_s, True)
                    register_wh = 12_000.0 + 100.0 * index
                    if index == 0:
                        journal.append(_start(name, 1 + number % 2), stamp)
                    elif index < MESSAGES_PER_TRANSACTION - 1:
                        journal.append(MeterSampled(name, 1 + number % 2, _samples(register_wh), True), stamp)
                    else:
                        ended = TransactionEnded(name, 1 + number % 2, register_wh, StopReason.LOCAL, True)
                        journal.append(ended, stamp)
    finally:
        journal.close()


def _replay(scratch: Path, csms: CsmsProcess, transactions: int) -> tuple[int, float, float]:
    """Start the agent on a full journal. Return messages, messages per second and its CPU per message in ms."""
    config = write_config(scratch / "site", 2, state_dir=scratch / "state", csms_url=csms.url)
    _fill(scratch / "state" / "journal.db", transactions)
    expected = transactions * MESSAGES_PER_TRANSACTION
    with Charger(config) as charger:
        charger.start("agent")
        charger.wait_accepted()
        before_s = cpu_s(charger.pid("agent"))
        charger.wait_delivered(REPLAY_TIMEOUT_S)
        used_s = cpu_s(charger.pid("agent")) - before_s
    calls = [frame for frame in csms.frames() if _carries(frame)]
    if len(calls) < expected:
        raise MeasureError(f"{len(calls)} of {expected} records reached the network")
    seconds = calls[-1].monotonic_s - calls[0].monotonic_s
    return len(calls), (len(calls) - 1) / seconds, used_s * 1000 / len(calls)


def _carries(frame: Frame) -> bool:
    """A record's message, as it came from the charge point."""
    return frame.direction is Direction.RECEIVED and any(f'"{action}"' in frame.text[:80] for action in ACTIONS)


async def _bare(csms: CsmsProcess, transactions: int) -> float:
    """Send the same messages from ready texts, as another charge point. Return messages per second."""
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    prefix_of = {action: f'"{action}",' for action in ACTIONS}
    frames = [frame.text for frame in csms.frames() if _carries(frame)]
    url = f"{csms.url.rstrip('/')}/BENCH-BARE"
    boot = {"chargePointVendor": "Bench", "chargePointModel": "Bare"}
    async with connect(url, subprotocols=[Subprotocol("ocpp1.6")], compression=None, ping_interval=None) as socket:
        await socket.send(json.dumps([2, "boot", "BootNotification", boot]))
        await socket.recv()
        number: int | None = None
        began = time.monotonic()
        for text in frames:
            # Of a ready text only the network's own transaction number is put in anew.
            if number is not None and prefix_of["StartTransaction"] not in text[:80]:
                text = _with_number(text, number)
            await socket.send(text)
            answer = await socket.recv()
            if prefix_of["StartTransaction"] in text[:80]:
                number = json.loads(answer)[2]["transactionId"]
        return len(frames) / (time.monotonic() - began)


def _with_number(text: str, number: int) -> str:
    head, key, tail = text.partition('"transactionId":')
    digits = 0
    while tail[digits].isdigit():
        digits += 1
    return f"{head}{key}{number}{tail[digits:]}"
