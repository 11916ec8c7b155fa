"""A residual-current monitor as IEC 62955 wants it: how long which current may last. Pure.

The times are recalled, not quoted: 6 mA within 10 s, 60 mA within 0.3 s, 200 mA within 0.1 s of smooth direct current;
30 mA within 0.3 s and 150 mA within 0.04 s of alternating current.
"""

from __future__ import annotations

from enum import Enum

DC_TIMES_S = ((200.0, 0.1), (60.0, 0.3), (6.0, 10.0))
AC_TIMES_S = ((150.0, 0.04), (30.0, 0.3))
MARGIN = 0.5
"""A sound monitor takes half of what it may."""
RELEASE = 0.5
"""It lets go when the current has fallen to this share of the lowest that trips."""
TEST_S = 0.6
"""A self-test: the test current flows for so long, and the outputs with it."""
TEST_MA = 9.0


class TestResult(Enum):
    """As a monitor tells it in a register."""

    __test__ = False  # not a pytest class

    NONE = 0
    RUNNING = 1
    PASSED = 2
    FAILED = 3


def longest_s(dc_ma: float, ac_ma: float) -> float | None:
    """How long these currents may flow; None for ever."""
    allowed = [time_s for limit_ma, time_s in DC_TIMES_S if abs(dc_ma) >= limit_ma][:1]
    allowed += [time_s for limit_ma, time_s in AC_TIMES_S if abs(ac_ma) >= limit_ma][:1]
    return min(allowed, default=None)


class Monitor:
    """``dc_ma`` and ``ac_ma`` flow. ``broken``: the monitor reports a fault of its own; ``test_broken``: its test
    circuit is dead; ``stuck``: the trip does not clear."""

    def __init__(self) -> None:
        self.dc_ma = 0.0
        self.ac_ma = 0.0
        self.broken = False
        self.test_broken = False
        self.stuck = False
        self.tripped = False
        self.result = TestResult.NONE
        self._above_since: float | None = None
        self._test_at: float | None = None

    def start_test(self, now: float) -> None:
        self._test_at, self.result = now, TestResult.RUNNING

    def reset(self) -> None:
        self.tripped, self._above_since = False, None

    @property
    def measured_dc_ma(self) -> float:
        testing = self._test_at is not None and not self.test_broken
        return self.dc_ma + (TEST_MA if testing else 0.0)

    def step(self, now: float) -> None:
        if self._test_at is not None and now - self._test_at >= TEST_S:
            self._test_at = None
            self.result = TestResult.FAILED if self.test_broken else TestResult.PASSED
        if self._test_at is not None and not self.test_broken:
            self.tripped = True
            return
        allowed_s = longest_s(self.dc_ma, self.ac_ma)
        if allowed_s is not None:
            self._above_since = now if self._above_since is None else self._above_since
            self.tripped = self.tripped or now - self._above_since >= MARGIN * allowed_s
            return
        self._above_since = None
        if abs(self.dc_ma) <= RELEASE * 6.0 and abs(self.ac_ma) <= RELEASE * 30.0 and not self.stuck:
            self.tripped = False
