"""What hangs on the inputs and outputs of a node: contactor, lock, residual-current monitor, switches.

Inputs are active when their bit is 1; ``inverted_inputs`` of the device turns the others. While the node is not
operational there is no reading at all.
"""

# ruff: noqa: ARG002 (every port method takes the time)
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from hal.drivers.lock_motor import DEAD_TIME_S, MAX_PULSE_MS, LockMotor
from hal.drivers.monitor_test import MonitorTest, TestTimes
from hal.options import option
from hal.values import (
    ContactorReading,
    EmergencyStopReading,
    EnclosureReading,
    LockReading,
    ResidualCurrentReading,
)

NO_BIT = -1
MOST_BIT = 63
RESET_S = 0.25
TEST_TIMES = TestTimes(trip_s=2.0, release_s=3.0)
"""With room for the bus: the slowest known module (X804) trips in 740 ms, 660 ms later again, and clears in 1.2 s."""


def _bit(text: str) -> Any:
    return option(help=text, ge=0, le=MOST_BIT)


def _bit_or_none(text: str) -> Any:
    return option(NO_BIT, help=f"{text}; -1 for none", ge=NO_BIT, le=MOST_BIT)


def _name() -> Any:
    return option(help="name of the unit")


class Lines(Protocol):
    """The node's inputs and outputs as a unit sees them."""

    @property
    def at(self) -> float | None:
        """When the inputs were last known to be so; None while the node is not operational."""

    def active(self, bit: int) -> bool | None: ...

    def drive(self, bit: int, on: bool) -> bool:
        """Returns whether the output holds that now."""


@dataclass(frozen=True, slots=True)
class ContactorOptions:
    name: str = _name()
    coil: int = _bit("output: 1 energises the coil")
    mirror: int = _bit_or_none("input: mirror contact (normally closed), active while the main contacts are open")
    feedback: int = _bit_or_none("input: auxiliary contact (normally open), active while closed. Proves no weld")

    def __post_init__(self) -> None:
        if (self.mirror == NO_BIT) == (self.feedback == NO_BIT):
            raise ValueError(f"contactor {self.name}: give mirror (better) or feedback")


@dataclass(frozen=True, slots=True)
class LockOptions:
    name: str = _name()
    lock: int = _bit("output: drives the motor towards locked (alone: holds the bolt while it is 1)")
    feedback: int = _bit("input: active while the bolt is locked")
    unlock: int = _bit_or_none("output: drives the motor towards unlocked")
    pulse_ms: float = option(600.0, help="how long the motor is driven", unit="ms", ge=50, le=MAX_PULSE_MS)


@dataclass(frozen=True, slots=True)
class ResidualCurrentOptions:
    name: str = _name()
    trip: int = _bit("input: active while the monitor has tripped")
    test: int = _bit_or_none("output: 1 asks for the self-test")
    reset: int = _bit_or_none("output: a pulse clears a latched trip")


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    name: str = _name()
    input: int = _bit("input: active while pressed, open or tilted")


@dataclass(frozen=True, slots=True)
class EnclosureOptions:
    name: str = _name()
    open: int = _bit_or_none("input: active while a cover is open")
    tilted: int = _bit_or_none("input: active while the charger does not stand upright")

    def __post_init__(self) -> None:
        if self.open == self.tilted == NO_BIT:
            raise ValueError(f"enclosure {self.name}: give open, tilted or both")


class Unit:
    """What the device asks of every unit."""

    def make_safe(self, now: float) -> None:
        """The node was lost, or is about to be left: its outputs are zero."""

    def on_timer(self, now: float) -> float:
        """Do what is due; return when to come again."""
        return math.inf


class ContactorUnit(Unit):
    """Implements Contactor."""

    def __init__(self, options: ContactorOptions, lines: Lines) -> None:
        self._options, self._lines = options, lines

    def set_contactor(self, closed: bool, now: float) -> None:
        self._lines.drive(self._options.coil, closed)

    def set_phases(self, phases: int, now: float) -> None:
        """It has one contactor for all phases."""

    def contactor(self) -> ContactorReading | None:
        mirrored = self._options.mirror != NO_BIT
        level = self._lines.active(self._options.mirror if mirrored else self._options.feedback)
        at = self._lines.at
        return None if at is None or level is None else ContactorReading(at, level != mirrored)


class LockUnit(Unit):
    """Implements CableLock."""

    def __init__(self, options: LockOptions, lines: Lines) -> None:
        self._options, self._lines = options, lines
        bolt = options.unlock == NO_BIT
        self._motor = LockMotor(self._drive, options.pulse_ms / 1000, DEAD_TIME_S, bolt=bolt)

    def set_lock(self, locked: bool, now: float) -> None:
        if self._lines.at is not None:
            self._motor.set(locked, now)

    def lock(self) -> LockReading | None:
        """``locked`` is None while the motor turns or the bridge rests."""
        at, level = self._lines.at, self._lines.active(self._options.feedback)
        if at is None or level is None:
            return None
        return LockReading(at, None if self._motor.moving(at) else level)

    def on_timer(self, now: float) -> float:
        return self._motor.on_timer(now)

    def make_safe(self, now: float) -> None:
        """The motor is off; the next command drives it, whatever was wanted before."""
        self._motor.forget(now)

    def _drive(self, towards_locked: bool, on: bool) -> bool:
        return self._lines.drive(self._options.lock if towards_locked else self._options.unlock, on)


class ResidualCurrentUnit(Unit):
    """Implements ResidualCurrentMonitor. While the self-test runs, a trip is the test's own."""

    def __init__(self, options: ResidualCurrentOptions, lines: Lines) -> None:
        self._options, self._lines = options, lines
        self._test = MonitorTest(None if options.test == NO_BIT else TEST_TIMES)
        self._reset_until: float | None = None

    def residual_current(self) -> ResidualCurrentReading | None:
        at, tripped = self._lines.at, self._lines.active(self._options.trip)
        if at is None or tripped is None:
            return None
        return ResidualCurrentReading(at, tripped and not self._test.running, self._test.state, self._test.ended_at)

    def start_self_test(self, now: float) -> None:
        """No effect while the monitor is tripped, or the node is not operational."""
        if self._options.test != NO_BIT and self._lines.active(self._options.trip) is False:
            self._test.start(now)
            self._lines.drive(self._options.test, self._test.drives)

    def reset_residual_current(self, now: float) -> None:
        if self._options.reset != NO_BIT and self._lines.drive(self._options.reset, True):
            self._reset_until = now + RESET_S

    def on_timer(self, now: float) -> float:
        tripped = self._lines.active(self._options.trip)
        if self._test.running:
            if tripped is None:
                self._test.abort()
            else:
                self._test.step(tripped, None, now)
            self._lines.drive(self._options.test, self._test.drives)
            if self._test.resets:
                self.reset_residual_current(now)
        if self._reset_until is not None and now >= self._reset_until:
            self._lines.drive(self._options.reset, False)
            self._reset_until = None
        return now + 0.01 if self._test.running or self._reset_until is not None else math.inf

    def make_safe(self, now: float) -> None:
        self._test.abort()
        self._reset_until = None


class EmergencyStopUnit(Unit):
    """Implements EmergencyStop."""

    def __init__(self, options: SwitchOptions, lines: Lines) -> None:
        self._options, self._lines = options, lines

    def emergency_stop(self) -> EmergencyStopReading | None:
        at, pressed = self._lines.at, self._lines.active(self._options.input)
        return None if at is None or pressed is None else EmergencyStopReading(at, pressed)


class EnclosureUnit(Unit):
    """Implements Enclosure."""

    def __init__(self, options: EnclosureOptions, lines: Lines) -> None:
        self._options, self._lines = options, lines

    def enclosure(self) -> EnclosureReading | None:
        at = self._lines.at
        told = [
            False if bit == NO_BIT else self._lines.active(bit) for bit in (self._options.open, self._options.tilted)
        ]
        if at is None or None in told:
            return None
        return EnclosureReading(at, bool(told[0]), bool(told[1]))
