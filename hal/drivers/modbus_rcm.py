"""Residual-current monitors on a Modbus RTU line: a unit per monitor, where each keeps what is a map.

Polling is for knowing, not for protecting: the monitor's own outputs must open the contactor. A monitor that says it is
broken, or that is not the one its map describes, never gives a reading that says all is well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hal.drivers import rcm_map
from hal.drivers.map_reading import MapError
from hal.drivers.modbus.master import Outcome, Unanswered
from hal.drivers.modbus.pdu import Answered, Read, Refused, Request, WriteRegisters
from hal.drivers.modbus.polled import PolledLine, check_units, rtu_master
from hal.drivers.rcm_map import Write
from hal.drivers.rcm_monitor import MonitorOptions, MonitorUnit
from hal.drivers.register_map import Block
from hal.drivers.serial_line import SerialSettings
from hal.options import option
from hal.ports import PortKind
from hal.registry import Driver

WRITE_TRIES = 3
NOUN = "monitor"


@dataclass(frozen=True, slots=True)
class ModbusRcmOptions:
    port: str = option(help="serial node of the line, best one under /dev/serial/by-id", exclusive="serial port")
    monitors: tuple[MonitorOptions, ...] = option(help="the monitors on the line", check=lambda v: check_units(v, NOUN))
    baud: int = option(19_200, help="line speed", unit="Bd", ge=1200, le=921_600)
    parity: str = option("E", help="N, E or O", choices=("N", "E", "O"))
    stop_bits: int = option(1, help="stop bits", choices=(1, 2))
    poll_interval_s: float = option(0.2, help="how often every monitor is read", unit="s", ge=0.05, le=2)
    response_timeout_s: float = option(0.15, help="how long it may think before it answers", unit="s", ge=0.02, le=5)


@dataclass(frozen=True, slots=True)
class Job:
    """One request of a cycle. ``block`` is None for the question of identity."""

    unit: MonitorUnit
    block: Block | None


class ModbusRcm(PolledLine[MonitorUnit]):
    """The device: the line and its master."""

    def __init__(self, name: str, options: ModbusRcmOptions) -> None:
        settings = SerialSettings(options.port, options.baud, options.parity, options.stop_bits)
        super().__init__(name, NOUN, options.port, *rtu_master(settings, options.response_timeout_s))
        self._options = options
        self._trouble = check_units(options.monitors, NOUN)
        try:
            for monitor in options.monitors:
                self._units[monitor.name] = MonitorUnit(monitor, rcm_map.load(monitor.map))
        except MapError as error:
            self._trouble = str(error)
        self._jobs: deque[Job] = deque()
        self._job: Job | tuple[MonitorUnit, Write, bool] | None = None
        self._tries = 0

    def _troubles(self) -> Iterable[str]:
        return (unit.trouble for unit in self._units.values())

    def _lost(self) -> None:
        self._jobs.clear()
        self._job = None
        for unit in self._units.values():
            unit.forget()

    def _work(self, now: float) -> float:
        """Do what is due and return when to come again."""
        if not self._line.is_open:
            return self._line.next_open_at
        outcome = self._master.take(now)
        if outcome is not None and self._job is not None:
            self._became(outcome, now)
        if self._job is None:
            self._choose(now)
        if self._job is not None and self._master.free(now):
            self._ask(now)
        if self._job is not None or self._jobs:
            return self._master.wake_at(now)
        return max(self._next_cycle, now + 0.001)

    def _choose(self, now: float) -> None:
        """What comes next: a command first, then what is left of the cycle, then a new cycle."""
        for unit in self._units.values():
            if unit.writes:
                self._job, self._tries = (unit, *unit.writes[0]), WRITE_TRIES
                return
        if not self._jobs and now >= self._next_cycle:
            self._next_cycle = now + self._options.poll_interval_s
            for unit in self._units.values():
                if not unit.identified:
                    self._jobs.append(Job(unit, None))
                self._jobs.extend(Job(unit, block) for block in unit.map.blocks)
        if self._jobs:
            self._job, self._tries = self._jobs.popleft(), 2

    def _ask(self, now: float) -> None:
        job = self._job
        assert job is not None
        self._tries -= 1
        if isinstance(job, Job):
            if job.block is None or job.block == job.unit.map.blocks[0]:
                job.unit.begin(now)
            self._master.ask(job.unit.options.address, _read(job), now)
        else:
            unit, write, _ = job
            self._master.ask(unit.options.address, WriteRegisters(write.address, write.values), now)

    def _became(self, outcome: Outcome, now: float) -> None:
        job = self._job
        assert job is not None
        if isinstance(outcome, Unanswered) and self._tries > 0:
            return  # once more
        self._job = None
        if isinstance(job, Job):
            self._read_became(job, outcome, now)
            return
        unit, _, test = job
        if unit.writes:
            unit.writes.popleft()
        unit.written(test, accepted=isinstance(outcome, Answered), now=now)
        if isinstance(outcome, Refused):
            unit.trouble = f"{unit.label}: answers {outcome.text} to a command; check 'map'"

    def _read_became(self, job: Job, outcome: Outcome, now: float) -> None:
        unit = job.unit
        if isinstance(outcome, Answered):
            if job.block is None:
                unit.identify(outcome.data)
                if not unit.identified:
                    self._drop(unit)
            else:
                unit.take(job.block, outcome.data, now)
                if not self._jobs or self._jobs[0].unit is not unit:
                    unit.finish(now)
            return
        if isinstance(outcome, Refused):
            unit.trouble = f"{unit.label}: answers {outcome.text}; check 'map'"
        else:
            unit.trouble = f"{unit.label}: does not answer; check its power, the wiring (A/B), 'address' and 'baud'"
        self._drop(unit)

    def _drop(self, unit: MonitorUnit) -> None:
        """Leave this monitor for the rest of the cycle."""
        while self._jobs and self._jobs[0].unit is unit:
            self._jobs.popleft()


def _read(job: Job) -> Request:
    identity = job.unit.map.identity
    if job.block is None:
        assert identity is not None
        return Read(job.unit.map.function, identity.register.address, identity.register.count)
    return Read(job.unit.map.function, job.block.address, job.block.count)


def _units(options: ModbusRcmOptions) -> Mapping[str, frozenset[PortKind]]:
    return {monitor.name: frozenset({PortKind.RESIDUAL_CURRENT_MONITOR}) for monitor in options.monitors}


DRIVER = Driver(
    name="modbus-rcm",
    summary="residual-current monitors on a Modbus RTU line, by map",
    options=ModbusRcmOptions,
    units=_units,
    create=ModbusRcm,
)
