"""Attack 7: ten thousand offline sessions on two EVSEs; then a bound on the journal's size; then delivery.

The sessions are written through the station's own way (bookkeeper and journal) in virtual time, because ten thousand
of them last months. The agent that delivers them is the real one, and charges go on beside the delivery.
"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

from agent.bookkeeper import Bookkeeper
from agent.clock import boot_id
from agent.config.schema import JournalFailure
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
from agent.station.effects import Record
from tests.faults.attack import Attack, Outcome, Progress
from tests.faults.day import ANNA, FORGIVEN
from tests.faults.oracle import samples
from tests.faults.place import QuickPlace
from tests.faults.spoilt import without_ends
from tests.faults.together import guarded

SAMPLES = 10
SPACING_S = 60.0
SESSION_S = 900.0
STEP_WH = 500.0
SESSION_WH = (SAMPLES + 1) * STEP_WH
FIRST_WH = 1_000_000.0
"""Far from the registers of the charges that go on beside."""


def _fill(path: Path, sessions: int, most_bytes: int | None) -> tuple[int, int]:
    """Write the sessions. Return how many samples were thinned out, and the size of the file at the end."""
    journal = Journal.open(path, boot_id())
    if most_bytes is not None:
        journal.keep_below(most_bytes)
    keeper = Bookkeeper(journal, JournalFailure.REFUSE, time.monotonic)
    began_s = time.time() - (sessions / 2 + 2) * SESSION_S
    boot, offset_s = "the months before", began_s
    journal.fix_clock(boot, offset_s)
    for number in range(sessions):
        evse, at = 1 + number % 2, (number // 2) * SESSION_S
        start_wh = FIRST_WH + (number // 2) * SESSION_WH
        name = f"{number:08d}-7777-4222-8333-444455556666"

        def stamp(after_s: float, begin_s: float = at) -> Stamp:
            return Stamp(boot, begin_s + after_s, offset_s + begin_s + after_s, synced=True)

        entries = [
            Record(
                TransactionStarted(name, evse, ANNA, "ISO14443", start_wh, StartTrigger.AUTHORIZED, True), stamp(0.0)
            )
        ]
        for index in range(1, SAMPLES + 1):
            value = SampledValue("Energy.Active.Import.Register", start_wh + STEP_WH * index, "Wh")
            entries.append(Record(MeterSampled(name, evse, (value,), True), stamp(SPACING_S * index)))
        end = TransactionEnded(name, evse, start_wh + SESSION_WH, StopReason.LOCAL, True)
        entries.append(Record(end, stamp(SPACING_S * (SAMPLES + 1))))
        keeper.write(entries)
    thinned = journal.thinned
    journal.close()
    return thinned, path.stat().st_size


async def _deliver(
    directory: Path, sessions: int, most_bytes: int | None, progress: Progress, patience_s: float
) -> Outcome:
    place = QuickPlace(directory / "site")
    state = place.directory / "state"
    state.mkdir(parents=True)
    thinned, size = _fill(state / "journal.db", sessions, most_bytes)
    progress(f"{sessions} sessions: file {size >> 10} KB, {thinned} of {sessions * SAMPLES} samples thinned out")
    notes: list[str] = []
    async with place:
        place.agent.start()
        await place.wait_online()
        began = time.monotonic()
        process = place.agent._process
        assert process is not None
        memory = [_memory_kb(process.pid)]
        # A driver comes in the middle of it.
        first = await place.begin(1, ANNA, online=True)
        await asyncio.sleep(0.5)
        await place.end(1, ANNA, first)
        deadline = time.monotonic() + patience_s
        while True:
            status = await place.display()
            memory.append(_memory_kb(process.pid))
            if status is not None and status["uplink"]["queue"]["pending"] == 0:
                break
            if time.monotonic() > deadline:
                notes.append(f"still {status and status['uplink']['queue']} after {patience_s:g} s")
                break
            await asyncio.sleep(1.0)
        seconds = time.monotonic() - began
        ledger = place.csms.ledger()
    told = [entry for entry in ledger["transactions"] if entry["meter_start_wh"] >= FIRST_WH]
    beside = [entry for entry in ledger["transactions"] if entry["meter_start_wh"] < FIRST_WH]
    calls = len(place.csms.calls)
    progress(f"{calls} messages in {seconds:.0f} s; memory {memory[0]} KB, at most {max(memory)} KB")
    ended = [entry for entry in told if entry["meter_stop_wh"] is not None]
    wrong = [entry for entry in ended if entry["meter_stop_wh"] - entry["meter_start_wh"] != SESSION_WH]
    uneven = [entry for entry in ended if not _even(entry)]
    lost = sessions - len({(e["connector_id"], e["meter_start_wh"]) for e in ended}) + (1 - min(1, len(beside)))
    doubled = len(told) - len({(e["connector_id"], e["meter_start_wh"]) for e in told})
    anomalies = [a for a in ledger["anomalies"] if a["kind"] not in FORGIVEN]
    grown = max(memory) > 1.3 * memory[0] + 8192
    if grown:
        notes.append(f"memory grew from {memory[0]} to {max(memory)} KB")
    notes += [f"samples uneven in {entry['transaction_id']}" for entry in uneven[:2]]
    notes += [str(anomaly) for anomaly in anomalies[:2]]
    return Outcome(
        1,
        sessions + 1,
        max(0, lost),
        max(0, doubled),
        len(wrong) + len(uneven) + len(anomalies) + grown,
        0,
        tuple(notes[:5]),
    )


def _even(entry: dict[str, object]) -> bool:
    """Samples lie equally far apart and are what the meter showed. From 2.0.1 on the start has one of its own."""
    values = entry["meter_values"]
    assert isinstance(values, list)
    sampled = [v for v in values if all(s.get("context") != "Transaction.Begin" for s in v["sampledValue"])]
    found = [sample for value in sampled for sample in samples(value)]
    start_wh = entry["meter_start_wh"]
    assert isinstance(start_wh, int)
    steps = [(wh - start_wh) / STEP_WH for _, wh in found]
    gaps = {round(b - a) for a, b in pairwise(steps)}
    return bool(steps) and all(step.is_integer() for step in steps) and len(gaps) <= 1


def _memory_kb(pid: int) -> int:
    """Resident memory."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")), 0)


def _full(directory: Path, progress: Progress) -> Outcome:
    async def run() -> Outcome:
        whole = await guarded(lambda: _deliver(directory / "whole", 10_000, None, progress, 1500.0))
        bound = await guarded(lambda: _deliver(directory / "bound", 10_000, 24 << 20, progress, 1500.0))
        return whole + bound

    return asyncio.run(run())


def _short(directory: Path, progress: Progress) -> Outcome:
    return asyncio.run(guarded(lambda: _deliver(directory, 60, 120 << 10, progress, 60.0)))


def _control(directory: Path, progress: Progress) -> Outcome:
    from agent.journal.space import Space

    kept = Space.thin
    without_ends()
    try:
        return asyncio.run(guarded(lambda: _deliver(directory, 60, 120 << 10, progress, 60.0)))
    finally:
        Space.thin = kept  # type: ignore[method-assign]


ATTACKS = (
    Attack(
        "volume",
        "10,000 offline sessions with samples; a bound on the journal's size; delivery with a charge beside it",
        "samples thin out evenly, starts and ends stay; taken away: the oldest go, whatever they are",
        _full,
        _short,
        _control,
    ),
)
