"""The self-test of a residual-current monitor by its lines, whatever those hang on. Pure.

TEST must trip the monitor; released, and reset where it latches, it must let go of the trip again. The reset belongs
to the test's own trip: any other stays until control has it reset (iec61851.md §8.1, latch).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from hal.values import SelfTest


@dataclass(frozen=True, slots=True)
class TestTimes:
    """Seconds from the start to the trip, from there to the second trip, and from the end of TEST to the release."""

    __test__ = False  # no test of pytest's

    trip_s: float
    release_s: float
    drive_s: float = math.inf
    """How long TEST is active; for ever: until the monitor has tripped."""
    second_trip_s: float = math.inf


class Stage(Enum):
    IDLE = "idle"
    TRIP = "trip"
    SECOND_TRIP = "second_trip"
    RELEASE = "release"


class MonitorTest:
    """The test's course: ``step`` gets the inputs, ``drives`` is what the test output does.

    ``times`` is None for a monitor without a test line. ``resets`` is true after the one step that asks for a pulse on
    the reset line.
    """

    def __init__(self, times: TestTimes | None) -> None:
        self._times = times
        self._stage = Stage.IDLE
        self._deadline = math.inf
        self._drive_until = -math.inf
        self._released = False
        self.drives = False
        self.resets = False
        self.state = SelfTest.UNSUPPORTED if times is None else SelfTest.NOT_RUN
        self.ended_at: float | None = None

    @property
    def running(self) -> bool:
        return self._stage is not Stage.IDLE

    def start(self, now: float) -> None:
        if self.running or self._times is None:
            return
        self.state, self._stage, self.drives, self._released = SelfTest.RUNNING, Stage.TRIP, True, False
        self._drive_until = now + self._times.drive_s
        self._deadline = now + self._times.trip_s

    def abort(self) -> None:
        """The lines were lost: what the test would have said is unknown."""
        self._stage, self.drives, self.resets = Stage.IDLE, False, False
        if self.state is not SelfTest.UNSUPPORTED:
            self.state, self.ended_at = SelfTest.NOT_RUN, None

    def step(self, tripped: bool, second: bool | None, now: float) -> None:
        """``second`` is None where there is no second trip output."""
        self.resets = False
        times = self._times
        if not self.running or times is None:
            return
        if self._stage is Stage.TRIP and tripped and now <= self._deadline:
            self._stage, self._deadline = Stage.SECOND_TRIP, now + times.second_trip_s
        if self._stage is Stage.SECOND_TRIP and second is not False and now <= self._deadline:
            self._stage = Stage.RELEASE
            if math.isinf(self._drive_until):
                self._drive_until = now
            self._deadline = max(now, self._drive_until) + times.release_s
        if now >= self._drive_until:
            self.drives = False
        if self._stage is Stage.RELEASE and not self.drives:
            if not tripped and not second:
                self._end(SelfTest.PASSED if now <= self._deadline else SelfTest.FAILED, now)
                return
            self.resets, self._released = not self._released, True
        if now > self._deadline:
            self._end(SelfTest.FAILED, now)

    def _end(self, state: SelfTest, now: float) -> None:
        self.state, self.ended_at, self._stage, self.drives = state, now, Stage.IDLE, False
