"""The stricter rules of OCPP 2 for charging profiles, each with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.station.charging.profile import (
    LARGEST_OWN_ID,
    Kind,
    Offline,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Recurrence,
    Schedule,
    Updates,
)
from agent.station.charging.refusal import Why
from agent.station.charging.rules import Outlet, Placed, problem, strict_problem

PLAIN = Schedule(RateUnit.AMPERE, (Period(0, 16.0),))
FIXED = {1: Outlet(3, False, None), 2: Outlet(1, False, 2)}
SWITCHING = {1: Outlet(3, True, 1)}


def profile(purpose=Purpose.TX_DEFAULT, kind=Kind.RELATIVE, schedule=PLAIN, number=1, level=0, **more):
    return Profile(number, level, purpose, kind, schedule, **more)


def one(phases, use=None):
    return profile(schedule=Schedule(RateUnit.AMPERE, (Period(0, 16.0, phases, use),)))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (profile(kind=Kind.DYNAMIC, schedule=replace(PLAIN, periods=(Period(0, 6.0), Period(9, 7.0)))), Why.SCHEDULE),
        (profile(kind=Kind.DYNAMIC, schedule=replace(PLAIN, periods=(Period(1, 6.0),))), Why.SCHEDULE),
        (profile(kind=Kind.DYNAMIC, schedule=replace(PLAIN, duration_s=60)), Why.SCHEDULE),
        (profile(kind=Kind.DYNAMIC, updates=Updates(None, -1)), Why.PROFILE),
        (profile(updates=Updates(None, 60)), Why.PROFILE),
        (profile(updates=Updates(0.0)), Why.PROFILE),
        (profile(Purpose.PRIORITY, schedule=replace(PLAIN, duration_s=60)), Why.SCHEDULE),
        (profile(offline=Offline(-1)), Why.PROFILE),
        (one(3, 1), Why.SCHEDULE),
        (one(None, 1), Why.SCHEDULE),
        (one(1, 4), Why.SCHEDULE),
        (profile(level=51), Why.STACK_LEVEL),
        (profile(schedule=replace(PLAIN, periods=tuple(Period(i, 6.0) for i in range(301)))), Why.TOO_MUCH),
    ],
)
def test_rules_of_all_versions(wrong, why):
    assert problem(wrong).why is why


@pytest.mark.parametrize(
    ("given", "evse", "outlets", "why"),
    [
        (profile(), 1, FIXED, None),
        (profile(Purpose.EXTERNAL), 1, FIXED, Why.PURPOSE),
        (profile(number=LARGEST_OWN_ID), 1, FIXED, Why.ID),
        (profile(number=LARGEST_OWN_ID + 1), 1, FIXED, None),
        (profile(Purpose.STATION_MAX), 0, FIXED, Why.PROFILE),
        (profile(Purpose.STATION_MAX, Kind.ABSOLUTE, replace(PLAIN, start_utc_s=5)), 0, FIXED, None),
        (profile(kind=Kind.ABSOLUTE), 1, FIXED, Why.SCHEDULE),
        (profile(kind=Kind.RECURRING, recurrence=Recurrence.DAILY), 1, FIXED, Why.SCHEDULE),
        (profile(schedule=replace(PLAIN, start_utc_s=5)), 1, FIXED, Why.SCHEDULE),
        (profile(kind=Kind.DYNAMIC), 1, FIXED, None),
        # K01.FR.43, FR.45: no fewer phases than charge.
        (one(3), 1, FIXED, None),
        (one(2), 1, FIXED, Why.SCHEDULE),
        (one(1), 1, FIXED, Why.SCHEDULE),
        (one(1), 2, FIXED, None),
        (one(3), 2, FIXED, None),
        (one(1), 0, FIXED, Why.SCHEDULE),
        (one(1), 1, SWITCHING, None),
        (one(2), 1, SWITCHING, None),
        # K01.FR.46, FR.48: a phase to use only where it is used anyway.
        (one(1, 2), 2, FIXED, None),
        (one(1, 1), 2, FIXED, Why.SCHEDULE),
        (one(1, 1), 1, SWITCHING, None),
        (one(1, 3), 1, SWITCHING, Why.SCHEDULE),
    ],
)
def test_rules_of_ocpp_2(given, evse, outlets, why):
    found = strict_problem(given, evse, outlets, ())
    assert (found and found.why) is why


@pytest.mark.parametrize(
    ("evse", "placed", "clash"),
    [
        (0, Placed(9, Purpose.TX_DEFAULT, 0, 1), True),  # K01.FR.52
        (1, Placed(9, Purpose.TX_DEFAULT, 0, 0), True),  # K01.FR.53
        (0, Placed(1, Purpose.TX_DEFAULT, 0, 1), False),
        (0, Placed(9, Purpose.TX_DEFAULT, 1, 1), False),
        (0, Placed(9, Purpose.PRIORITY, 0, 1), False),
        (0, Placed(9, Purpose.TX_DEFAULT, 0, 0), False),
        (2, Placed(9, Purpose.TX_DEFAULT, 0, 1), False),
    ],
)
def test_a_default_of_all_and_one_of_an_evse_share_no_level(evse, placed, clash):
    found = strict_problem(profile(), evse, FIXED, [placed])
    assert (found is not None) is clash
    assert found is None or found.why is Why.DUPLICATE
