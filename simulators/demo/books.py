"""The ledger: what the meter's own register says of each charge, against what the network has on its books.

The truth comes from the simulated hardware's logs alone: when the board's contacts closed and opened, and where the
meter's register stood before and after. Nothing the product says about itself goes into it.
"""

from __future__ import annotations

import json
import math
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

TIME_TOLERANCE_S = 1.0
METER_LOG_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge as the hardware lived it. Times are Unix seconds, registers watt-hours."""

    evse: int
    token: str
    allowed_from_s: float
    """When the later of plug and card came: a start before that would be invented."""
    closed_s: float
    opened_s: float
    ended_by_s: float
    """When the driver's last deed ended it."""
    start_wh: int
    stop_wh: int

    @property
    def energy_wh(self) -> int:
        return self.stop_wh - self.start_wh


@dataclass(frozen=True, slots=True)
class Deed:
    """What a driver did, noted by the story as it happened. Unix seconds."""

    evse: int
    token: str
    allowed_from_s: float
    ended_by_s: float


@dataclass(frozen=True, slots=True)
class Row:
    charge: Charge | None
    booked: dict[str, Any] | None
    complaints: tuple[str, ...]


def lived(directory: Path, deeds: Sequence[Deed]) -> list[Charge]:
    """Read each deed's charge from the hardware's logs in ``directory``."""
    charges = []
    for deed in deeds:
        board = _events(directory / f"board{deed.evse}.jsonl")
        meter = directory / f"meter{deed.evse}.jsonl"
        closed = next(e for e in board if e["event"] == "contacts_closed" and e["wall_s"] >= deed.allowed_from_s)
        opened = _opened(board, closed["wall_s"], deed)
        charges.append(
            Charge(
                deed.evse,
                deed.token,
                deed.allowed_from_s,
                closed["wall_s"],
                opened["wall_s"],
                deed.ended_by_s,
                [e for e in _registered(meter) if e["mono_s"] <= closed["mono_s"]][-1]["register_wh"],
                _register_after(meter, opened["mono_s"]),
            )
        )
    return charges


def _opened(board: Sequence[dict[str, Any]], closed_s: float, deed: Deed) -> dict[str, Any]:
    """Return the opening that ended the charge: the last before anything closed again, however long that took."""
    again = (e["wall_s"] for e in board if e["event"] == "contacts_closed" and e["wall_s"] >= deed.ended_by_s)
    end_s = next(again, math.inf)
    opened = [e for e in board if e["event"] == "contacts_opened" and closed_s < e["wall_s"] < end_s]
    if not opened:
        raise ValueError(f"EVSE {deed.evse}: its contacts never opened after {deed.token}; look into the board's log")
    return opened[-1]


def _registered(path: Path) -> list[dict[str, Any]]:
    return [entry for entry in _events(path) if "register_wh" in entry]


def _register_after(path: Path, mono_s: float) -> int:
    """Where the register stood after that moment; waits for the meter's log to come to it."""
    deadline = time.monotonic() + METER_LOG_WAIT_S
    while True:
        later = [entry for entry in _registered(path) if entry["mono_s"] >= mono_s]
        if later:
            return int(later[0]["register_wh"])
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{path}: the meter was not read after the contacts opened")
        time.sleep(0.1)


def compare(charges: Sequence[Charge], ledger: dict[str, Any]) -> list[Row]:
    """Match each charge with its transaction; what is left over on either side is a row of its own."""
    booked = sorted(ledger["transactions"], key=lambda t: str(t["started_at"]))
    rows = []
    for charge in sorted(charges, key=lambda c: c.closed_s):
        match = next(
            (t for t in booked if t["connector_id"] == charge.evse and t["id_tag"] == charge.token),
            None,
        )
        if match is None:
            rows.append(Row(charge, None, ("missing from the network's books",)))
            continue
        booked.remove(match)
        rows.append(Row(charge, match, tuple(_complaints(charge, match))))
    rows += [Row(None, extra, ("on the network's books, but nobody charged",)) for extra in booked]
    return rows


def _complaints(charge: Charge, booked: dict[str, Any]) -> list[str]:
    found = []
    if booked["energy_wh"] != charge.energy_wh:
        found.append(f"energy differs: {charge.energy_wh} Wh by the meter, {booked['energy_wh']} Wh on the books")
    if (booked["meter_start_wh"], booked["meter_stop_wh"]) != (charge.start_wh, charge.stop_wh):
        found.append("registers differ")
    started, stopped = _unix(booked["started_at"]), _unix(booked["stopped_at"])
    if not charge.allowed_from_s - TIME_TOLERANCE_S <= started <= charge.closed_s + TIME_TOLERANCE_S:
        found.append(f"start is told as {booked['started_at']}")
    if not charge.ended_by_s - TIME_TOLERANCE_S <= stopped <= charge.opened_s + TIME_TOLERANCE_S:
        found.append(f"end is told as {booked['stopped_at']}")
    previous = (started, float(charge.start_wh))
    for value in booked["meter_values"]:
        for at, register in _registers(value):
            if not (previous[0] <= at <= stopped + TIME_TOLERANCE_S and previous[1] <= register <= charge.stop_wh):
                found.append(f"a sample of {register} Wh at {at:.1f} is out of order")
            previous = (at, register)
    return found


def _registers(message: dict[str, Any]) -> list[tuple[float, float]]:
    entries = message.get("meter_value") or message.get("meterValue") or [message]
    return [
        (_unix(entry["timestamp"]), float(sample["value"]))
        for entry in entries
        for sample in entry.get("sampled_value") or entry.get("sampledValue") or []
        if sample.get("measurand", "Energy.Active.Import.Register") == "Energy.Active.Import.Register"
    ]


def _events(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _unix(text: str | None) -> float:
    return float("nan") if text is None else datetime.fromisoformat(text).timestamp()


def table(rows: Sequence[Row]) -> list[str]:
    """Return the ledger as lines of text, at most 80 columns wide; complaints stand below their row."""
    lines = [
        f"{'EVSE':>4}  {'card':<10} {'meter start':>12} {'meter stop':>12} {'by meter':>10} {'on books':>10}  verdict",
        f"{'':>4}  {'':<10} {'Wh':>12} {'Wh':>12} {'Wh':>10} {'Wh':>10}",
    ]
    for row in rows:
        charge, booked = row.charge, row.booked
        evse = charge.evse if charge else booked["connector_id"] if booked else 0
        token = charge.token if charge else booked["id_tag"] if booked else ""
        lines.append(
            f"{evse:>4}  {token:<10} {_cell(charge and charge.start_wh):>12} {_cell(charge and charge.stop_wh):>12} "
            f"{_cell(charge and charge.energy_wh):>10} {_cell(booked and booked['energy_wh']):>10}  "
            f"{'DIFFERS' if row.complaints else 'agrees'}"
        )
        for complaint in row.complaints:
            lines += textwrap.wrap(complaint, 80, initial_indent=f"{'':>6}- ", subsequent_indent=f"{'':>8}")
    return lines


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:,}".replace(",", " ")
