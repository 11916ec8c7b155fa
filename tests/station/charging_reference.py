"""Smart charging as slowly and plainly as it can be said: what holds at one second, from the words of the standard."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from agent.station.charging.profile import Kind, Profile, Purpose, RateUnit

BERLIN = ZoneInfo("Europe/Berlin")
DAY_S = 86_400


def utc(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


SPRING = utc("2026-03-28T12:00:00")  # the clock goes forward on the 29th at 01:00 UTC
AUTUMN = utc("2026-10-24T12:00:00")  # and back on the 25th at 01:00 UTC
SPAN_S = 40 * 3600


def wall_s(t):
    """The clock on a wall in Berlin, as seconds since 1970 by its own reckoning."""
    return int(datetime.fromtimestamp(t, BERLIN).replace(tzinfo=UTC).timestamp())


def highest_so_far(begin):
    """second → the latest time that the clock has shown up to then."""
    seen, high = {}, 0
    for t in range(begin - 7200, begin + SPAN_S):
        high = max(high, wall_s(t))
        seen[t] = high
    return seen


@cache
def walls(begin):
    """Made once: a hundred thousand readings of the clock each."""
    return highest_so_far(begin)


def period_at(profile: Profile, t, anchor, seen=None):
    """The period that holds at second ``t``, or None. ``seen``: readings of the wall clock, None for UTC."""
    if profile.valid_from_s is not None and t < profile.valid_from_s:
        return None
    if profile.valid_to_s is not None and t >= profile.valid_to_s:
        return None
    schedule = profile.schedule
    start = schedule.start_utc_s
    if profile.kind is Kind.RELATIVE or start is None:
        start = anchor
    if start is None or t < start:
        return None
    elapsed = t - start
    if profile.kind is Kind.RECURRING:
        if seen is not None:
            elapsed = seen[t] - wall_s(start)
        elapsed %= DAY_S * profile.recurrence.days
    if schedule.duration_s is not None and elapsed >= schedule.duration_s:
        return None
    holding = None
    for period in schedule.periods:
        if period.start_s <= elapsed:
            holding = period
    return holding


def ampere_at(profiles, t, anchor, wiring, seen=None):
    """Ampere per phase by the highest stack level that holds; None when none does."""
    for profile in sorted(profiles, key=lambda profile: -profile.stack_level):
        period = period_at(profile, t, anchor, seen)
        if period is not None:
            if profile.schedule.unit is RateUnit.AMPERE:
                return period.limit
            return period.limit / (wiring.nominal_v * wiring.phases)
    return None


def evse_at(installed, evse, t, charging, wiring, seen=None):
    """``installed``: (profile, evse) pairs."""
    start = charging[1] if charging else None
    own = [
        profile
        for profile, _ in installed
        if profile.purpose is Purpose.TX and charging and profile.transaction == charging[0]
    ]
    special = {p.stack_level: p for p, where in installed if p.purpose is Purpose.TX_DEFAULT and where == evse}
    common = {p.stack_level: p for p, where in installed if p.purpose is Purpose.TX_DEFAULT and where == 0}
    found = ampere_at(own, t, start, wiring, seen)
    return found if found is not None else ampere_at((common | special).values(), t, start, wiring, seen)
