"""Limits over time as steps, and how they combine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.station.charging.calendar import Span
from agent.station.charging.profile import Period, RateUnit, Schedule

DEFAULT_PHASES = 3
"""OCPP 1.6 §7.14, OCPP 2.0.1 K01.FR.49."""

UNLIMITED_A = 100_000.0
"""What is meant by any number beyond it; sums and products of it stay finite."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a limit is for: an outlet, or the feed of them all."""

    phases: int
    nominal_v: float = 230.0
    switchable: bool = False
    """The hardware can go from all phases to one."""

    def watts(self, current_a: float, phases: int | None = None) -> float:
        return current_a * self.nominal_v * (self.phases if phases is None else phases)


@dataclass(frozen=True, slots=True)
class Level:
    """A limit that holds for a while."""

    current_a: float
    """Per phase."""
    phases: int
    minimum_a: float = 0.0
    """Below this the vehicle charges badly."""


Steps = list[tuple[int, Level | None]]
"""(from, what holds from then on), rising, the first at the begin of the time asked for. None: no limit."""


def level_of(period: Period, schedule: Schedule, wiring: Wiring) -> Level:
    """Turn a period into ampere on the phases that are there.

    More phases than there are: the limit is used as it is. Fewer, and the hardware cannot switch: all of them carry
    current, so a power is divided among all of them (2.0.1 K01.FR.50).
    """
    wanted = period.phases if period.phases is not None else DEFAULT_PHASES
    phases = 1 if wiring.switchable and wanted < wiring.phases else wiring.phases
    per_a = wiring.watts(1.0, phases) if schedule.unit is RateUnit.WATT else 1.0
    least_a = (schedule.minimum_rate or 0.0) / per_a
    return Level(min(period.limit / per_a, UNLIMITED_A), phases, min(least_a, UNLIMITED_A))


def steps_of(spans: Iterable[Span], schedule: Schedule, wiring: Wiring, begin_s: int, end_s: int) -> Steps:
    """Turn the spans of one profile into steps; None in its gaps."""
    found: Steps = [(begin_s, None)]
    for from_s, to_s, period in spans:
        _append(found, from_s, level_of(period, schedule, wiring))
        if to_s < end_s:
            _append(found, to_s, None)
    return found


def combine(one: Steps, other: Steps, choose: Callable[[Level | None, Level | None], Level | None]) -> Steps:
    """Apply ``choose`` at every moment. Both begin at the same one."""
    found: Steps = []
    i = j = 0
    while i < len(one) or j < len(other):
        at_one = one[i][0] if i < len(one) else None
        at_other = other[j][0] if j < len(other) else None
        at = min(value for value in (at_one, at_other) if value is not None)
        i += at_one == at
        j += at_other == at
        _append(found, at, choose(one[i - 1][1], other[j - 1][1]))
    return found


def _append(steps: Steps, at: int, level: Level | None) -> None:
    if steps and steps[-1][0] == at:
        steps.pop()
    if not steps or steps[-1][1] != level:
        steps.append((at, level))


def first(upper: Level | None, lower: Level | None) -> Level | None:
    """Stacking: the upper one where it holds (OCPP 1.6 §3.13.2)."""
    return lower if upper is None else upper


def lowest(one: Level | None, other: Level | None) -> Level | None:
    """Combining: the lower of both (OCPP 1.6 §3.13.3)."""
    if one is None or other is None:
        return other if one is None else one
    return Level(
        min(one.current_a, other.current_a), min(one.phases, other.phases), max(one.minimum_a, other.minimum_a)
    )


def plus(limit: Level | None, more: Level | None) -> Level | None:
    """Add what is generated at the site to a limit (OCPP 2.1 SC.01); where there is none, there is none."""
    if limit is None or more is None:
        return limit
    return Level(min(limit.current_a + more.current_a, UNLIMITED_A), limit.phases, limit.minimum_a)


def at(steps: Steps, utc_s: float) -> Level | None:
    """Return what holds at a moment not before the first step."""
    low, high = 0, len(steps)
    while high - low > 1:
        middle = (low + high) // 2
        if steps[middle][0] <= utc_s:
            low = middle
        else:
            high = middle
    return steps[low][1]


def next_change(steps: Steps, utc_s: float) -> int | None:
    """Return when the limit changes next after a moment; None when it does not any more."""
    return next((from_s for from_s, _ in steps if from_s > utc_s), None)
