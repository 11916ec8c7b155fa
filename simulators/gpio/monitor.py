"""A residual-current monitor: trips in the times of IEC 62955, tests itself as an X804-type module does. Pure."""

from __future__ import annotations

import math

TRIP_TIMES = ((6.0, 10.0), (60.0, 0.3), (200.0, 0.1))
"""Smooth DC in mA, and the longest time to trip (IEC 62955 as quoted, unverified)."""
SHARE = 0.5
"""Of the longest time that it needs."""
AC_TRIP_MA, AC_TRIP_S = 30.0, 0.04
TEST_TRIP_S = 0.2
"""From the test input to the trip; the trip lasts so long after the input."""
RELEASE_S = 0.1


class ResidualMonitor:
    """``dc_ma`` and ``ac_ma`` flow; ``tripped`` is the trip output. ``broken``: it never trips, by test or current."""

    def __init__(self) -> None:
        self.dc_ma = 0.0
        self.ac_ma = 0.0
        self.broken = False
        self.tripped = False
        self._over_since: float | None = None
        self._test_since: float | None = None
        self._clear_since: float | None = None
        self._tested_until = -math.inf

    def longest_s(self) -> float:
        """How long the present current may flow before it must have tripped; infinite for one that is allowed."""
        dc_s = min((limit_s for limit_ma, limit_s in TRIP_TIMES if self.dc_ma >= limit_ma), default=math.inf)
        return min(dc_s, AC_TRIP_S if self.ac_ma >= AC_TRIP_MA else math.inf)

    def step(self, test: bool, now: float) -> bool:
        """Look at current and test input. True while it waits for something."""
        if test and self._test_since is None:
            self._test_since = now
        elif not test:
            self._test_since = None
        limit_s = self.longest_s() * SHARE
        if limit_s < math.inf and self._over_since is None:
            self._over_since = now
        elif limit_s == math.inf:
            self._over_since = None
        tested = self._test_since is not None and now - self._test_since >= TEST_TRIP_S
        if tested:
            self._tested_until = now + TEST_TRIP_S
        over = self._over_since is not None and now - self._over_since >= limit_s
        if (over or now < self._tested_until) and not self.broken:
            self.tripped, self._clear_since = True, None
        elif self.tripped:
            if self._clear_since is None:
                self._clear_since = now
            if now - self._clear_since >= RELEASE_S:
                self.tripped = False
        return self._test_since is not None or self._over_since is not None or self.tripped
