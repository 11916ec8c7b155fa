"""The judge: what the simulated hardware lived through, against what the network has on its books.

The truth comes from three witnesses that know nothing of the agent: the drivers' deeds, the board's contacts and the
meter's register. The other side is the CSMS's ledger and its log of frames. ``judge`` counts what differs.

A charge's start is true when it lies between the deed that allowed it and the first closing of the contacts; its end
when it lies between the deed that ended it and the last opening. Both with ``TIME_TOLERANCE_S`` on either side.
"""

from __future__ import annotations

import json
import math
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from simulators.csms.frames import Direction, Frame
from tests.faults.attack import Outcome

TIME_TOLERANCE_S = 1.0
NOTED_S = 0.02
"""A deed is noted right before it is done."""
OPEN_S = 8.0
"""Control has 6 s to open after a stop (IEC 61851-1 Table A.6, sequence 9.2); the rest is the way there."""
UNPLUGGED_S = 0.5
"""Contacts may be seen closed for so long after the plug has left; a real socket would have held it."""
REGISTER_TOLERANCE_WH = 1.0
METER_LOG_WAIT_S = 5.0
REGISTER = "Energy.Active.Import.Register"


@dataclass(frozen=True, slots=True)
class Deed:
    """What people did around one charge. Unix seconds."""

    evse: int
    token: str
    allowed_from_s: float
    """When the later of plug and card came: a start before that would be invented."""
    ended_by_s: float
    """The first deed that could end it."""
    allowed_until_s: float = 0.0
    """The last deed that could start it, when it took several (nobody heard the first)."""
    ended_until_s: float = 0.0
    """The last deed that could end it, when it took several."""
    gone_s: float = math.inf
    """When the plug was pulled."""
    required: bool = True
    """False: it may have become a transaction or not; if it did, it must be right."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge as the hardware lived it. ``closed_s`` and ``opened_s`` are None when the contacts never closed."""

    deed: Deed
    closed_s: float | None
    opened_s: float | None
    start_wh: float
    stop_wh: float

    @property
    def energy_wh(self) -> float:
        return self.stop_wh - self.start_wh

    @property
    def start_window_s(self) -> tuple[float, float]:
        latest = max(self.deed.allowed_from_s, self.deed.allowed_until_s)
        return (
            self.deed.allowed_from_s - TIME_TOLERANCE_S,
            (self.closed_s if self.closed_s is not None else latest + OPEN_S) + TIME_TOLERANCE_S,
        )

    @property
    def stop_window_s(self) -> tuple[float, float]:
        latest = max(self.deed.ended_by_s, self.deed.ended_until_s, self.opened_s or 0.0)
        return (self.deed.ended_by_s - TIME_TOLERANCE_S, latest + TIME_TOLERANCE_S)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What board and meter of one EVSE wrote down. Unix seconds, watt-hours, in order of time."""

    evse: int
    closed: tuple[tuple[float, float], ...]
    """When the contacts closed and opened; the last one may be open-ended (inf)."""
    registers: tuple[tuple[float, float], ...]
    """Where the register stood, whenever somebody looked or it was noted."""

    def register_before(self, at_s: float) -> float:
        """The register as it stood up to that moment."""
        index = bisect_right(self.registers, (at_s, math.inf))
        return self.registers[max(0, index - 1)][1]

    def register_after(self, at_s: float) -> float | None:
        """The first register noted from that moment on; None when there is none (yet)."""
        index = bisect_left(self.registers, (at_s, -math.inf))
        return self.registers[index][1] if index < len(self.registers) else None

    def had(self, register_wh: float, at_s: float) -> bool:
        """True when the register truly stood there at that time, within both tolerances."""
        first = bisect_left(self.registers, (at_s - TIME_TOLERANCE_S, -math.inf))
        last = bisect_right(self.registers, (at_s + TIME_TOLERANCE_S, math.inf))
        near = self.registers[max(0, first - 1) : last + 1]
        if not near:
            return False
        low, high = min(wh for _, wh in near), max(wh for _, wh in near)
        return low - REGISTER_TOLERANCE_WH <= register_wh <= high + REGISTER_TOLERANCE_WH


def lab_hardware(logs: Path, evse: int) -> Hardware:
    """Read a lab's logs of one EVSE (``DIRECTORY/logs``)."""
    closed: list[tuple[float, float]] = []
    for entry in _lines(logs / f"board{evse}.jsonl"):
        if entry["event"] == "contacts_closed":
            closed.append((entry["wall_s"], math.inf))
        elif entry["event"] == "contacts_opened" and closed and closed[-1][1] == math.inf:
            closed[-1] = (closed[-1][0], entry["wall_s"])
    registers = tuple(
        (entry["wall_s"], float(entry["register_wh"]))
        for entry in _lines(logs / f"meter{evse}.jsonl")
        if "register_wh" in entry
    )
    return Hardware(evse, tuple(closed), registers)


def lab_charges(logs: Path, deeds: Sequence[Deed]) -> tuple[list[Charge], list[Hardware]]:
    """Read each deed's charge from a lab's logs; waits until the meter's log has come to the last opening."""
    deadline = time.monotonic() + METER_LOG_WAIT_S
    while True:
        hardware = [lab_hardware(logs, evse) for evse in sorted({deed.evse for deed in deeds})]
        try:
            return charges(deeds, hardware), hardware
        except LookupError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def charges(deeds: Sequence[Deed], hardware: Iterable[Hardware]) -> list[Charge]:
    """Find what each deed led to. Raises LookupError when the meter was not looked at after the end."""
    by_evse = {entry.evse: entry for entry in hardware}
    found = []
    for deed in deeds:
        place = by_evse[deed.evse]
        next_from_s = min(
            (d.allowed_from_s for d in deeds if d.evse == deed.evse and d.allowed_from_s > deed.allowed_from_s),
            default=math.inf,
        )
        own = [span for span in place.closed if deed.allowed_from_s - NOTED_S <= span[0] < next_from_s]
        if not own:
            register_wh = place.register_before(deed.allowed_from_s)
            found.append(Charge(deed, None, None, register_wh, register_wh))
            continue
        closed_s, opened_s = own[0][0], own[-1][1]
        stop_wh = place.register_after(opened_s)
        if stop_wh is None:
            raise LookupError(f"EVSE {deed.evse}: the meter was not read after the contacts opened")
        found.append(Charge(deed, closed_s, opened_s, place.register_before(closed_s), stop_wh))
    return found


def closed_wrongly(deeds: Sequence[Deed], hardware: Iterable[Hardware]) -> list[str]:
    """Every closing of contacts that nobody allowed, or that outlived its end."""
    found = []
    for place in hardware:
        own = [deed for deed in deeds if deed.evse == place.evse]
        for closed_s, opened_s in place.closed:
            deed = max(
                (deed for deed in own if deed.allowed_from_s - NOTED_S <= closed_s),
                key=lambda deed: deed.allowed_from_s,
                default=None,
            )
            if deed is None:
                found.append(f"EVSE {place.evse}: contacts closed at {closed_s:.3f} though nobody had asked")
                continue
            latest_s = min(max(deed.ended_by_s, deed.ended_until_s) + OPEN_S, deed.gone_s + UNPLUGGED_S)
            if opened_s > latest_s:
                found.append(
                    f"EVSE {place.evse}: contacts closed at {closed_s:.3f} opened {opened_s - latest_s:.2f} s late"
                )
    return found


@dataclass(slots=True)
class Verdict:
    """Counts with their reasons; ``outcome`` makes an Outcome of them."""

    transactions: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def outcome(self, trials: int = 1, what: str = "") -> Outcome:
        notes = [f"{what}{': ' if what else ''}{text}" for text in self.lost + self.doubled + self.wrong + self.closed]
        return Outcome(
            trials,
            self.transactions,
            len(self.lost),
            len(self.doubled),
            len(self.wrong),
            len(self.closed),
            tuple(notes[:5]),
        )


def judge(
    lived: Sequence[Charge],
    hardware: Sequence[Hardware],
    ledger: Mapping[str, Any],
    frames: Sequence[Frame] = (),
    forgive: frozenset[str] = frozenset(),
) -> Verdict:
    """Compare charges with the books. ``forgive``: kinds of anomaly that the attack itself brings about."""
    verdict = Verdict(len(lived))
    verdict.closed += closed_wrongly([charge.deed for charge in lived], hardware)
    booked: list[Mapping[str, Any]] = list(ledger["transactions"])
    for charge, entry in _match(lived, booked):
        name = f"EVSE {charge.deed.evse}, card {charge.deed.token}"
        if entry is None:
            if charge.deed.required or charge.closed_s is not None:
                verdict.lost.append(f"{name}: no transaction on the books for {charge.energy_wh:g} Wh")
            continue
        booked.remove(entry)
        _compare(name, charge, entry, next(h for h in hardware if h.evse == charge.deed.evse), verdict)
    for entry in booked:
        words = f"transaction {entry['transaction_id']} on EVSE {entry['connector_id']}, card {entry['id_tag']}"
        if any(_overlaps(charge, entry) for charge in lived):
            verdict.doubled.append(f"{words}, stands for a charge that is on the books already")
        else:
            verdict.wrong.append(f"{words}: nobody charged")
    verdict.wrong += [
        f"{anomaly['kind']} ({anomaly['action']}): {anomaly['detail']}"
        for anomaly in ledger.get("anomalies", ())
        if anomaly["kind"] not in forgive
    ]
    verdict.doubled += _said_twice(frames)
    return verdict


def _match(
    lived: Sequence[Charge], booked: Sequence[Mapping[str, Any]]
) -> list[tuple[Charge, Mapping[str, Any] | None]]:
    """Pair charges with transactions: same place and card, nearest register, then nearest time."""
    costs = []
    for index, charge in enumerate(lived):
        for number, entry in enumerate(booked):
            if entry["connector_id"] != charge.deed.evse or entry["id_tag"].casefold() != charge.deed.token.casefold():
                continue
            off_wh = abs((entry["meter_start_wh"] or 0.0) - charge.start_wh)
            off_s = abs(_unix(entry["started_at"]) - charge.deed.allowed_from_s)
            low_s, high_s = charge.start_window_s
            if off_wh <= 2 * REGISTER_TOLERANCE_WH or low_s - 5 <= _unix(entry["started_at"]) <= high_s + 5:
                costs.append((off_wh, off_s, index, number))
    pairs: dict[int, int] = {}
    for _, _, index, number in sorted(costs):
        if index not in pairs and number not in pairs.values():
            pairs[index] = number
    return [(charge, booked[pairs[i]] if i in pairs else None) for i, charge in enumerate(lived)]


def _overlaps(charge: Charge, entry: Mapping[str, Any]) -> bool:
    if entry["connector_id"] != charge.deed.evse:
        return False
    start_wh = entry["meter_start_wh"] or 0.0
    stop_wh = entry["meter_stop_wh"] if entry["meter_stop_wh"] is not None else start_wh
    same_energy = start_wh < charge.stop_wh and stop_wh > charge.start_wh
    low_s, high_s = charge.start_window_s[0], charge.stop_window_s[1]
    return same_energy or low_s <= _unix(entry["started_at"]) <= high_s


def _compare(name: str, charge: Charge, entry: Mapping[str, Any], place: Hardware, verdict: Verdict) -> None:
    started = _unix(entry["started_at"])
    if not charge.start_window_s[0] <= started <= charge.start_window_s[1]:
        verdict.wrong.append(f"{name}: start told as {started:.2f}, true is {_span(charge.start_window_s)}")
    if entry["stopped_at"] is None:
        verdict.lost.append(f"{name}: no end on the books")
        return
    if entry["meter_start_wh"] is None or entry["meter_stop_wh"] is None:
        verdict.lost.append(f"{name}: a register is missing: {entry['meter_start_wh']} to {entry['meter_stop_wh']} Wh")
        return
    told = (float(entry["meter_start_wh"]), float(entry["meter_stop_wh"]))
    true = (charge.start_wh, charge.stop_wh)
    if told != true:
        verdict.wrong.append(
            f"{name}: registers told as {told[0]:g} to {told[1]:g} Wh, true {true[0]:g} to {true[1]:g}"
        )
    stopped = _unix(entry["stopped_at"])
    if not charge.stop_window_s[0] <= stopped <= charge.stop_window_s[1]:
        verdict.wrong.append(f"{name}: end told as {stopped:.2f}, true is {_span(charge.stop_window_s)}")
    previous = (started - TIME_TOLERANCE_S, charge.start_wh)
    for value in entry["meter_values"]:
        for at_s, register_wh in samples(value):
            if at_s < previous[0] or register_wh < previous[1] or at_s > stopped + TIME_TOLERANCE_S:
                verdict.wrong.append(f"{name}: sample of {register_wh:g} Wh at {at_s:.2f} is out of order")
            if not place.had(register_wh, at_s):
                verdict.wrong.append(f"{name}: sample of {register_wh:g} Wh at {at_s:.2f} is invented")
            previous = (at_s, register_wh)


def samples(value: Mapping[str, Any]) -> list[tuple[float, float]]:
    """(Unix time, register in Wh) of each register sample in one MeterValue of the ledger."""
    return [
        (_unix(value["timestamp"]), float(sample["value"]))
        for sample in value.get("sampledValue", ())
        if sample.get("measurand", REGISTER) == REGISTER and "phase" not in sample
    ]


def _said_twice(frames: Sequence[Frame]) -> list[str]:
    """The same record under two message ids: a network that remembers ids would book it twice."""
    ids: dict[tuple[Any, ...], set[str]] = {}
    for frame in frames:
        if frame.direction is not Direction.RECEIVED or frame.binary:
            continue
        try:
            message = json.loads(frame.text)
        except ValueError:
            continue
        if not (isinstance(message, list) and len(message) == 4 and message[0] == 2):
            continue
        key = _identity(frame.charge_point, message[2], message[3])
        if key is not None:
            ids.setdefault(key, set()).add(message[1])
    return [
        f"{key[1]} {key[2:]} was sent under {len(known)} message ids" for key, known in ids.items() if len(known) > 1
    ]


def _identity(charge_point: str, action: str, payload: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What tells a transaction's message from all others, whatever id it is sent under."""
    if action == "StartTransaction":
        return (charge_point, action, payload["connectorId"], payload["idTag"], payload["timestamp"])
    if action == "StopTransaction":
        return (charge_point, action, payload["transactionId"], payload["meterStop"])
    if action == "TransactionEvent":
        return (charge_point, action, payload["transactionInfo"]["transactionId"], payload["seqNo"])
    if action == "MeterValues" and "transactionId" in payload:
        return (charge_point, action, payload["transactionId"], json.dumps(payload["meterValue"], sort_keys=True))
    return None


def _span(window: tuple[float, float]) -> str:
    return f"{window[0]:.2f} … {window[1]:.2f}"


def _unix(text: str | None) -> float:
    return math.nan if text is None else datetime.fromisoformat(text).timestamp()


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # the last line of a lab that is still writing
    return found
