"""The device that polls units on one Modbus line: its life, its line, and what it says of itself.

What is asked, and what becomes of the answers, is the driver's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from hal.drivers.modbus.framing import Rtu, gap_s
from hal.drivers.modbus.master import Line, Master
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.ports import DeviceError
from hal.values import Health

CLOSED_S = 1.0
"""How soon a device that was closed is come back to: there is nothing to do."""


class Named(Protocol):
    """Options of a unit."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> int: ...


class Polled(Protocol):
    """A unit on the line."""

    @property
    def answered_at(self) -> float | None: ...


def check_units(units: Sequence[Named], noun: str) -> str:
    """For ``hal.options.option``: at least one unit, each with a name and an address of its own."""
    if not units:
        return f"name at least one {noun}"
    names = [unit.name for unit in units]
    if len(units) > 1 and "" in names:
        return f"with several {noun}s each needs a 'name'"
    for what, values in (("name", names), ("address", [str(unit.address) for unit in units])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            return f"{what} {twice} is given twice; each {noun} needs its own"
    return ""


def rtu_master(settings: SerialSettings, response_timeout_s: float) -> tuple[Line, Master]:
    """A serial line and the master on it."""
    line = SerialLine(settings)
    gap = gap_s(settings.character_s, settings.baud)
    return line, Master(line, Rtu(), gap_s=gap, response_timeout_s=response_timeout_s, character_s=settings.character_s)


UnitT = TypeVar("UnitT", bound=Polled)


class PolledLine(ABC, Generic[UnitT]):
    """The device: the line and its master. ``trouble`` of a configuration that can never work keeps it from starting.

    ``noun`` is what a unit is called in messages, ``place`` where the line is.
    """

    def __init__(self, name: str, noun: str, place: str, line: Line, master: Master) -> None:
        self.name = name
        self._noun = noun
        self._place = place
        self._line = line
        self._master = master
        self._units: dict[str, UnitT] = {}
        self._trouble = ""
        self._next_cycle = 0.0
        self._closed = False

    def start(self, now: float) -> None:
        if self._trouble:
            raise DeviceError(f"{self.name}: {self._trouble}")
        self._line.check()
        self._next_cycle = now
        self._line.open(now)
        self._open(now)
        self._work(now)

    def fileno(self) -> int | None:
        return self._line.fileno()

    def on_readable(self, now: float) -> None:
        self._master.on_readable(now)
        if self._line.is_open:
            self._work(now)
        else:
            self._lost()

    def on_timer(self, now: float) -> float:
        if self._closed:
            return now + CLOSED_S
        if not self._line.is_open:
            self._lost()
            self._open(now)
            if not self._line.is_open:
                return max(self._line.next_open_at, now + 0.01)
        self._line.flush()
        return self._work(now)

    def close(self) -> None:
        self._closed = True
        self._lost()
        self._line.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        heard = [unit.answered_at for unit in self._units.values() if unit.answered_at is not None]
        last_heard_at = max(heard) if heard else None
        if self._trouble:
            return Health(False, self._trouble)
        if not self._line.is_open:
            return Health(False, self._line.trouble, last_heard_at)
        troubles = [trouble for trouble in self._troubles() if trouble]
        told = troubles or [remark for remark in self._remarks() if remark]
        return Health(not troubles, f"{self._place}: {'; '.join(told)}" if told else "", last_heard_at)

    def unit(self, name: str) -> UnitT:
        if name not in self._units:
            known = ", ".join(repr(known) for known in self._units)
            raise KeyError(f"{self.name}: no {self._noun} named {name!r}; there are: {known}")
        return self._units[name]

    def _open(self, now: float) -> None:
        if self._line.reopen(now):
            self._master.reset(now)

    def _remarks(self) -> Iterable[str]:
        """What is worth telling of units that are well."""
        return ()

    @abstractmethod
    def _troubles(self) -> Iterable[str]:
        """What is wrong with each unit, empty where nothing is."""

    @abstractmethod
    def _lost(self) -> None:
        """The line is gone, and with it what was under way."""

    @abstractmethod
    def _work(self, now: float) -> float:
        """Do what is due and return when to come again."""
