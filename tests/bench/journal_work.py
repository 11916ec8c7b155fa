"""The work whose writes are counted, in a process of its own so that the kernel's counters hold nothing else.

Run as ``python -m tests.bench.journal_work MODE events|charging AMOUNT FILE CONFIG``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent import config
from agent.clock import Moment
from agent.journal import database
from agent.journal.events import Context, MeterSampled, SampledValue, Stamp, TransactionStarted
from agent.journal.journal import Journal
from agent.link.messages import PROTOCOL, EvseInfo, Hold, MeterSample, Observation, ToAgent, Welcome
from agent.station.effects import Effect, Keep, Record
from agent.station.settings import Settings
from agent.station.station import Station

from .machine import io_bytes

BOOT = "bench"
EVSES = (1, 2)
KEPT = ("session", "availability", "setting", "token", "local_list", "station")
PRAGMAS = {
    "wal_full": {},
    "wal_normal": {"PRAGMA synchronous = FULL": "PRAGMA synchronous = NORMAL"},
    "rollback_full": {"PRAGMA journal_mode = WAL": "PRAGMA journal_mode = DELETE"},
}
UTC_S = 1_780_000_000.0


def main(mode: str, work: str, amount: int, file: Path, config_path: Path) -> int:
    changes = PRAGMAS[mode]
    pragmas: tuple[str, ...] = database._PRAGMAS
    for old in changes:
        assert old in pragmas, f"the journal no longer says {old!r}; mend this comparison"
    setattr(database, "_PRAGMAS", tuple(changes.get(pragma, pragma) for pragma in pragmas))  # noqa: B010 (of any length)
    configuration = config.load(config_path)
    journal = Journal.open(file, BOOT)
    logical, block = io_bytes()
    began = time.monotonic()
    found = _single_events(journal, amount) if work == "events" else _charging(journal, configuration, amount)
    seconds = time.monotonic() - began
    logical_after, block_after = io_bytes()
    journal.close()
    found |= {"seconds": seconds, "logical_bytes": logical_after - logical, "block_bytes": block_after - block}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _single_events(journal: Journal, count: int) -> dict[str, Any]:
    samples = (
        SampledValue("Energy.Active.Import.Register", 12_345.0, "Wh", context=Context.SAMPLE_PERIODIC),
        *(SampledValue("Current.Import", 15.9, "A", f"L{phase}") for phase in (1, 2, 3)),
    )
    for number in range(count):
        journal.append(MeterSampled("7f3c", 1, samples, False), Stamp(BOOT, float(number), UTC_S + number, True))
    return {"rows": count, "commits": count}


def _charging(journal: Journal, configuration: config.Config, minutes: int) -> dict[str, Any]:
    """Play ``minutes`` of both EVSEs charging through the station, at a second a step, and do what it wants done."""
    settings = Settings()
    begin = _moment(0.0)
    kept = {table: journal.kept(table) for table in KEPT}
    station = Station(configuration, settings, kept, begin)
    book = _Book(journal)
    book.carry_out(station.recovered(begin))
    book.carry_out(station.uplink_changed(True, begin))
    for at, message in _messages(minutes):
        moment = _moment(at)
        wake = station.next_wake()
        if wake is not None and wake <= at:
            book.carry_out(station.timer(moment))
        book.carry_out(station.handle(message, moment))
        book.deliver()
    if book.records < 2 * minutes:
        raise RuntimeError(f"only {book.records} records in {minutes} minutes on two EVSEs: nothing charged")
    return {"rows": book.records, "commits": book.commits}


class _Book:
    """Journals effects as the agent does, and marks each record delivered in a commit of its own."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.records = 0
        self.commits = 0

    def carry_out(self, effects: list[Effect]) -> None:
        entries = [effect for effect in effects if isinstance(effect, Record | Keep)]
        if not entries:
            return
        with self._journal.write():
            for entry in entries:
                if isinstance(entry, Record):
                    self._journal.append(entry.event, entry.stamp)
                    self.records += 1
                else:
                    self._journal.keep(entry.table, entry.key, entry.value)
        self.commits += 1

    def deliver(self) -> None:
        for pending in self._journal.pending(8):
            with self._journal.write():
                if isinstance(pending.event, TransactionStarted):
                    self._journal.set_network_transaction(pending.event.transaction, pending.seq)
                self._journal.delivered(pending.seq)
            self.commits += 1


def _moment(at: float) -> Moment:
    return Moment(1000.0 + at, UTC_S + at, True, BOOT)


def _messages(minutes: int) -> Iterator[tuple[float, ToAgent]]:
    """What control says while both EVSEs charge at 11 kW and then leave."""
    yield 0.0, Welcome(PROTOCOL, "bench", "0", tuple(EvseInfo(evse, 32.0, 3, False, True) for evse in EVSES))
    for evse in EVSES:
        yield 0.1, _observation(evse, 0.1, "A1")
        yield 0.2, _sample(evse, 0.2)
        yield 1.0, _observation(evse, 1.0, "B1")
    seconds = 60 * minutes
    for second in range(2, seconds):
        for evse in EVSES:
            yield second, _observation(evse, second, "C2")
            yield second + 0.1, _sample(evse, second + 0.1)
    for evse in EVSES:
        yield seconds, _observation(evse, seconds, "B1")
        yield seconds + 1.0, _observation(evse, seconds + 1.0, "A1")
        yield seconds + 1.1, _sample(evse, seconds + 1.1)


def _observation(evse: int, at: float, pilot: str) -> Observation:
    charging = pilot == "C2"
    return Observation(
        evse=evse,
        at=1000.0 + at,
        pilot=pilot,
        plugged=pilot != "A1",
        vehicle_ready=charging,
        duty_pct=26.6 if charging else 100.0,
        offered_a=16.0 if charging else 0.0,
        phases=3,
        contactor_closed=charging,
        locked=None,
        cable_a=0,
        permit_serial=1 if charging else 0,
        fail_safe=False,
        limit_a=16.0 if charging else 0.0,
        limited_by="permit",
        holds=() if charging else (Hold.NOT_PLUGGED if pilot == "A1" else Hold.NO_PERMIT,),
        faults=(),
    )


def _sample(evse: int, at: float) -> MeterSample:
    energy_wh = 1000.0 * evse + 11_000.0 * at / 3600.0
    return MeterSample(evse, 1000.0 + at, energy_wh, 11_000.0, (230.0,) * 3, (15.9,) * 3, 50.0, "good")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5])))
