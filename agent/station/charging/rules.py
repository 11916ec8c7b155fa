"""The rules a charging profile must keep: those of every version of OCPP, and the stricter ones of OCPP 2.

Each refusal says which, in words and as a reason code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from agent.station.charging.levels import DEFAULT_PHASES
from agent.station.charging.profile import (
    CAPACITY,
    LARGEST_OWN_ID,
    Capacity,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
)
from agent.station.charging.refusal import Refusal, Why

LATEST_START_S = 4_102_444_800
"""2100-01-01. A calendar has an end, and sums with times near it fail; validity may well go beyond."""


def problem(profile: Profile, capacity: Capacity = CAPACITY) -> Refusal | None:
    """Say which rule of all versions a profile breaks, whatever it is installed for; None when none."""
    if not 0 <= profile.stack_level <= capacity.stack_level:
        text = f"stack level {profile.stack_level} is not within 0 to {capacity.stack_level}"
        return Refusal(Why.STACK_LEVEL, text)
    count = len(profile.schedule.periods)
    if not 1 <= count <= capacity.periods:
        return Refusal(Why.TOO_MUCH, f"{count} periods; 1 to {capacity.periods} are taken")
    text = _schedule_problem(profile.schedule) or _dynamic_problem(profile)
    if text:
        return Refusal(Why.SCHEDULE, text)
    text = _profile_problem(profile)
    return Refusal(Why.PROFILE, text) if text else None


def _schedule_problem(schedule: Schedule) -> str:
    starts = [period.start_s for period in schedule.periods]
    if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
        return "periods must begin at 0 and follow each other"  # OCPP 1.6 §5.16.4, 2.0.1 K01.FR.31, FR.35
    for period in schedule.periods:
        if not (math.isfinite(period.limit) and period.limit >= 0):
            return f"limit {period.limit:g} is not 0 or more"
        if period.phases is not None and not 1 <= period.phases <= 3:
            return f"{period.phases} phases; 1 to 3 there are"
        if period.phase_to_use is not None and (period.phases != 1 or not 1 <= period.phase_to_use <= 3):
            return "a phase to use is one of 1 to 3, and only for one phase"  # K01.FR.19
    if schedule.minimum_rate is not None and not (math.isfinite(schedule.minimum_rate) and schedule.minimum_rate >= 0):
        return f"minimum rate {schedule.minimum_rate:g} is not 0 or more"
    if schedule.duration_s is not None and schedule.duration_s <= 0:
        return f"duration {schedule.duration_s} s never is"
    if schedule.start_utc_s is not None and not 0 <= schedule.start_utc_s < LATEST_START_S:
        return "its start does not lie between 1970 and 2100"
    return ""


def _dynamic_problem(profile: Profile) -> str:
    schedule = profile.schedule
    if profile.kind is Kind.DYNAMIC:
        # 2.1 K28.FR.01, FR.02. It is in force at once and until something else is said.
        if len(schedule.periods) > 1:
            return "a dynamic profile has one period"
        if schedule.start_utc_s is not None or schedule.duration_s is not None:
            return "a dynamic profile has neither start nor duration"
    if profile.purpose is Purpose.PRIORITY and schedule.duration_s is not None:
        return "a profile for priority charging has no duration"  # 2.1 K01.FR.70
    return ""


def _profile_problem(profile: Profile) -> str:
    if profile.kind is Kind.RECURRING and profile.recurrence is None:
        return "a recurring profile must say how it recurs"
    if None not in (profile.valid_from_s, profile.valid_to_s) and profile.valid_from_s >= profile.valid_to_s:  # type: ignore[operator]
        return "it ends before it begins to be valid"
    if profile.updates is not None and profile.kind is not Kind.DYNAMIC:
        return "only a dynamic profile is updated"  # 2.1 K01.FR.122, K28.FR.04
    if profile.updates is not None and profile.updates.every_s is not None and profile.updates.every_s <= 0:
        return f"it cannot be updated every {profile.updates.every_s} s"
    if profile.offline is not None and profile.offline.most_s < 0:
        return f"{profile.offline.most_s} s offline never are"
    return ""


@dataclass(frozen=True, slots=True)
class Outlet:
    """What an EVSE can do about phases."""

    phases: int
    switchable: bool
    """It can go from all phases to one."""
    line: int | None
    """Phase of the feed (1 to 3) that it loads when it loads one; None: nobody has said."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What is installed already: its number, purpose, stack level and EVSE."""

    id: int
    purpose: Purpose
    stack_level: int
    evse: int


def strict_problem(
    profile: Profile, evse: int, outlets: Mapping[int, Outlet], installed: Iterable[Placed]
) -> Refusal | None:
    """Say which rule of OCPP 2 a network's profile breaks that 1.6 does not have; None when none.

    ``evse`` exists, or is 0. Whether a transaction runs there is judged by who knows.
    """
    if profile.purpose is Purpose.EXTERNAL:
        return Refusal(Why.PURPOSE, "external constraints are not the network's to set")  # K01.FR.22
    if profile.id <= LARGEST_OWN_ID:
        return Refusal(Why.ID, f"numbers up to {LARGEST_OWN_ID} are the station's own")  # 2.1 K01.FR.81
    if profile.purpose is Purpose.STATION_MAX and profile.kind is Kind.RELATIVE:
        return Refusal(Why.PROFILE, "a limit of the whole station cannot be relative")  # K01.FR.38
    start_s = profile.schedule.start_utc_s
    if profile.kind in (Kind.ABSOLUTE, Kind.RECURRING) and start_s is None:
        return Refusal(Why.SCHEDULE, f"a schedule that is {profile.kind.value} needs a start")  # K01.FR.40
    if profile.kind is Kind.RELATIVE and start_s is not None:
        return Refusal(Why.SCHEDULE, "a relative schedule has no start of its own")  # K01.FR.41
    if profile.purpose is Purpose.TX_DEFAULT and (clash := _clash(profile, evse, installed)) is not None:
        return Refusal(Why.DUPLICATE, clash)
    concerned = outlets.values() if evse == 0 else (outlets[evse],)
    for period in profile.schedule.periods:
        text = next((found for outlet in concerned if (found := _phases_problem(period, outlet))), "")
        if text:
            return Refusal(Why.SCHEDULE, text)
    return None


def _clash(profile: Profile, evse: int, installed: Iterable[Placed]) -> str | None:
    """K01.FR.52, FR.53: a default of all EVSEs and one of a single EVSE cannot share a stack level."""
    for other in installed:
        same = other.purpose is profile.purpose and other.stack_level == profile.stack_level
        if same and other.id != profile.id and (other.evse == 0) is not (evse == 0):
            return f"profile {other.id} at EVSE {other.evse} is a default of this stack level already"
    return None


def _phases_problem(period: Period, outlet: Outlet) -> str:
    wanted = DEFAULT_PHASES if period.phases is None else period.phases
    if wanted < outlet.phases and not outlet.switchable:
        return f"the outlet charges on {outlet.phases} phases, not on {wanted}"  # K01.FR.43
    if period.phase_to_use is not None and period.phase_to_use != outlet.line:
        return "the outlet cannot choose the phase it loads"  # K01.FR.20, FR.46, FR.48
    return ""
