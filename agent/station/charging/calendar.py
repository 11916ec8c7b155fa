"""When each period of a profile holds: absolute, relative, daily and weekly, also across a change to summer time.

Recurrence. OCPP 1.6 and 2.0.1 let a schedule restart "every 24 hours" (or 7 days) "at the same time" as its start,
recommend UTC for all times and leave days with a clock change to special profiles (1.6 §3.13.7, §3.14, §7.16). OCPP
2.1 makes local time a wish of its own (useLocalTime). So without a time zone a day here is 86,400 s of UTC. With one
(``station.time_zone`` of the configuration) recurring schedules follow the clock on the wall: a boundary lies at the
first moment at which that clock shows its time or a later one. A time that is skipped falls on the change itself; of
a time shown twice the first counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from agent.station.charging.profile import Kind, Period, Profile

DAY_S = 86_400

Span = tuple[int, int, Period]
"""From, to (exclusive) and what holds between."""


def spans(profile: Profile, begin_s: int, end_s: int, anchor_s: int | None, zone: tzinfo | None = None) -> list[Span]:
    """Return in order when which period holds within ``begin_s`` … ``end_s``.

    ``anchor_s``: start of charging, for schedules without a start of their own; None: no charging, so none of them. A
    dynamic one is always in force.
    """
    begin_s = begin_s if profile.valid_from_s is None else max(begin_s, profile.valid_from_s)
    end_s = end_s if profile.valid_to_s is None else min(end_s, profile.valid_to_s)
    schedule = profile.schedule
    start_s = None if profile.kind is Kind.RELATIVE else schedule.start_utc_s
    if profile.kind is Kind.DYNAMIC:
        start_s = begin_s
    if start_s is None:
        start_s = anchor_s
    if start_s is None or begin_s >= end_s:
        return []
    found: list[Span] = []
    if profile.kind is Kind.RECURRING and profile.recurrence is not None:
        for at, lasts_s in _occurrences(start_s, profile.recurrence.days, begin_s, end_s, zone):
            _add(found, profile, at, max(begin_s, start_s), end_s, lasts_s)
    else:
        _add(found, profile, _fixed(start_s), begin_s, end_s, None)
    return found


def _add(
    found: list[Span], profile: Profile, at: Callable[[int], int], begin_s: int, end_s: int, lasts_s: int | None
) -> None:
    """``at`` tells the moment of an offset into the schedule; ``lasts_s`` when the next recurrence takes over."""
    schedule = profile.schedule
    # OCPP 1.6 §5.16.4: what lies behind duration or recurrence is not carried out.
    most_s = min((value for value in (schedule.duration_s, lasts_s) if value is not None), default=None)
    stop_s = end_s if most_s is None else min(end_s, at(most_s))
    for index, period in enumerate(schedule.periods):
        if most_s is not None and period.start_s >= most_s:
            return
        from_s = max(begin_s, at(period.start_s))
        if from_s >= stop_s:
            return
        next_s = schedule.periods[index + 1].start_s if index + 1 < len(schedule.periods) else None
        to_s = stop_s if next_s is None or (most_s is not None and next_s >= most_s) else min(stop_s, at(next_s))
        if from_s < to_s:
            found.append((from_s, to_s, period))


def _fixed(start_s: int) -> Callable[[int], int]:
    return lambda offset_s: start_s + offset_s


def _occurrences(
    start_s: int, days: int, begin_s: int, end_s: int, zone: tzinfo | None
) -> Iterator[tuple[Callable[[int], int], int]]:
    """Yield every recurrence that touches the time asked for: where its offsets lie, and how long it lasts."""
    lasts_s = days * DAY_S
    # One earlier than reckoned: a day on the wall may have 25 hours.
    number = max(0, (begin_s - start_s) // lasts_s - 1)
    wall = None if zone is None else datetime.fromtimestamp(start_s, zone).replace(tzinfo=None, fold=0)
    while True:
        if zone is None or wall is None:
            at = _fixed(start_s + number * lasts_s)
        else:
            at = _on_the_wall(wall + timedelta(days=days * number), zone)
        if at(0) >= end_s:
            return
        yield at, lasts_s
        number += 1


def _on_the_wall(start: datetime, zone: tzinfo) -> Callable[[int], int]:
    return lambda offset_s: moment_of(start + timedelta(seconds=offset_s), zone)


def moment_of(wall: datetime, zone: tzinfo) -> int:
    """Return the first second at which a clock in ``zone`` shows ``wall`` or a later time, after any earlier one."""
    first = int(wall.replace(tzinfo=zone, fold=0).timestamp())
    second = int(wall.replace(tzinfo=zone, fold=1).timestamp())
    if first <= second:
        return first
    # Skipped: the change lies between the readings by the offsets of after and before it.
    low_s, high_s = second, first
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if _shown(middle_s, zone) >= wall:
            high_s = middle_s
        else:
            low_s = middle_s
    return high_s


def _shown(utc_s: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(utc_s, UTC).astimezone(zone).replace(tzinfo=None)
