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


def period_at(profile: Profile, t, anchor, seen=None, offline=None):
    """The period that holds at second ``t``, or None. ``seen``: readings of the wall clock, None for UTC. ``offline``:
    since when the network is away."""
    if profile.valid_from_s is not None and t < profile.valid_from_s:
        return None
    if profile.valid_to_s is not None and t >= profile.valid_to_s:
        return None
    if profile.offline is not None and offline is not None and t >= offline + profile.offline.most_s:
        return None
    schedule = profile.schedule
    if profile.kind is Kind.DYNAMIC:
        return schedule.periods[0]
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


def ampere_at(profiles, t, anchor, wiring, seen=None, offline=None):
    """Ampere per phase by the highest stack level that holds; None when none does."""
    for profile in sorted(profiles, key=lambda profile: -profile.stack_level):
        period = period_at(profile, t, anchor, seen, offline)
        if period is not None:
            if profile.schedule.unit is RateUnit.AMPERE:
                return period.limit
            return period.limit / (wiring.nominal_v * wiring.phases)
    return None


def lowest_of(values):
    """None is no limit."""
    told = [value for value in values if value is not None]
    return min(told) if told else None


def evse_at(installed, evse, t, charging, wiring, seen=None, offline=None, among=1):
    """``installed``: (profile, evse) or (profile, evse, since); ``charging``: (transaction, start[, first of all])."""
    start = charging[1] if charging else None

    def level(purpose, where, anchor=start, only=lambda profile: True):
        chosen = [p for p, at, *_ in installed if p.purpose is purpose and at in where and only(p)]
        return ampere_at(chosen, t, anchor, wiring, seen, offline)

    def own_or_common(purpose):
        special = [p for p, where, *_ in installed if p.purpose is purpose and where == evse]
        taken = {p.stack_level for p in special}
        common = [p for p, where, *_ in installed if p.purpose is purpose and where == 0]
        chosen = special + [p for p in common if p.stack_level not in taken]
        return ampere_at(chosen, t, start, wiring, seen, offline)

    found = level(Purpose.TX, {evse}, only=lambda p: charging and p.transaction == charging[0])
    if found is None:
        found = own_or_common(Purpose.TX_DEFAULT)
    if charging and len(charging) > 2 and charging[2]:
        first = own_or_common(Purpose.PRIORITY)
        found = found if first is None else first
    found = lowest_of([found, *external_at(installed, evse, t, wiring, seen, offline)])
    if found is None:
        return None
    for where, parts in ((evse, 1), (0, among)):
        found += (generated_at(installed, where, t, wiring, seen, offline) or 0) / parts
    return found


def external_at(installed, evse, t, wiring, seen=None, offline=None):
    """What each external constraint at an EVSE says."""
    return [
        ampere_at([p], t, since[0] if since else None, wiring, seen, offline)
        for p, at, *since in installed
        if p.purpose is Purpose.EXTERNAL and at == evse
    ]


def generated_at(installed, evse, t, wiring, seen=None, offline=None):
    """What is generated at the site for an EVSE, or (0) for all."""
    best = None
    for profile, at, *since in installed:
        period = period_at(profile, t, since[0] if since else None, seen, offline)
        ours = profile.purpose is Purpose.LOCAL_GENERATION and at == evse and period is not None
        if ours and (best is None or profile.stack_level > best[0].stack_level):
            best = (profile, period)
    if best is None:
        return None
    profile, period = best
    if profile.schedule.unit is RateUnit.WATT:
        return period.limit / (wiring.nominal_v * wiring.phases)
    return 0 if period.phases is not None and period.phases < wiring.phases else period.limit


def station_at(installed, t, wiring, seen=None, offline=None):
    """What all EVSEs together may draw, each profile relative to its installation."""
    most = None
    for profile, _, since in sorted(installed, key=lambda entry: -entry[0].stack_level):
        if profile.purpose is Purpose.STATION_MAX:
            most = ampere_at([profile], t, since, wiring, seen, offline)
            if most is not None:
                break
    most = lowest_of([most, *external_at(installed, 0, t, wiring, seen, offline)])
    return None if most is None else most + (generated_at(installed, 0, t, wiring, seen, offline) or 0)
