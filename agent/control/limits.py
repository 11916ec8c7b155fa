"""Ampere to duty cycle and back, and the lowest of all limits."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hal.duty import MAX_CURRENT_A
from hal.values import PILOT_X1_PCT

DEAD_BAND_A = 0.5
"""A raise by less than this does not move the pilot (iec61851.md §2.3)."""


def duty_of(current_a: float) -> float:
    """Return the duty cycle in percent that offers ``current_a``; 100 (x1) where nothing can be offered.

    IEC 61851-1 Table A.7 as in iec61851.md §2.2. Rounded down to 0.01 %, so never more than asked is offered
    (the standard's one exception: 5.9 to 6 A give 10 %).
    """
    if not current_a >= 5.9:
        return PILOT_X1_PCT
    if current_a <= 6.1:
        return 10.0
    if current_a <= 51.0:
        duty = current_a / 0.6
    elif current_a < 52.5:
        duty = 85.0
    else:
        duty = min(current_a, MAX_CURRENT_A) / 2.5 + 64.0
    return math.floor(duty * 100.0 + 1e-6) / 100.0


def lowest(limits: Iterable[tuple[str, float]]) -> tuple[float, str]:
    """Return the lowest limit in ampere and its name; the first named wins a tie. Unknown (NaN) counts as 0."""
    least, name = math.inf, ""
    for each, current_a in limits:
        value = current_a if current_a == current_a else 0.0  # NaN differs from itself
        if value < least:
            least, name = value, each
    return max(least, 0.0), name


class DutyGovernor:
    """Lets the duty cycle move at most every 5 s, except to or from a steady pilot (IEC 61851-1 Table A.6, seq. 5)."""

    __slots__ = ("_changed_at", "_interval_s", "_offer_a")

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._changed_at = float("-inf")
        self._offer_a = 0.0

    def steady(self) -> None:
        """PWM is off: the next offer may come at once, at any value."""
        self._offer_a = 0.0

    def offer(self, limit_a: float, now: float) -> float:
        """Return the current in ampere to offer now, given the lowest limit (at least 6 A)."""
        worth_it = limit_a < self._offer_a or limit_a - self._offer_a >= DEAD_BAND_A
        if self._offer_a == 0.0 or (worth_it and now - self._changed_at >= self._interval_s):
            self._offer_a, self._changed_at = limit_a, now
        return self._offer_a
