"""Duty cycle against current, the lowest limit, the governor and the lease, by table and by property."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.control.limits import DutyGovernor, duty_of, lowest
from agent.control.permit import Lease, PermitHolder
from agent.link.messages import Permit
from hal.duty import current_of


@pytest.mark.parametrize(
    ("current_a", "duty_pct"),
    [
        (-1.0, 100.0),
        (0.0, 100.0),
        (5.89, 100.0),
        (5.9, 10.0),
        (6.0, 10.0),
        (6.1, 10.0),
        (6.2, 10.33),
        (10.0, 16.66),
        (13.0, 21.66),
        (16.0, 26.66),
        (20.0, 33.33),
        (30.0, 50.0),
        (32.0, 53.33),
        (48.0, 80.0),
        (51.0, 85.0),
        (51.5, 85.0),
        (52.4, 85.0),
        (52.5, 85.0),
        (55.0, 86.0),
        (63.0, 89.2),
        (70.0, 92.0),
        (80.0, 96.0),
        (81.0, 96.0),
        (1000.0, 96.0),
        (math.inf, 96.0),
        (math.nan, 100.0),
    ],
)
def test_duty_of_a_current(current_a: float, duty_pct: float) -> None:
    assert duty_of(current_a) == pytest.approx(duty_pct, abs=1e-9)


@pytest.mark.parametrize(
    ("duty_pct", "current_a"),
    [
        (0.0, 0.0),
        (2.9, 0.0),
        (5.0, 0.0),
        (7.9, 0.0),
        (8.0, 6.0),
        (9.99, 6.0),
        (10.0, 6.0),
        (50.0, 30.0),
        (85.0, 51.0),
        (90.0, 65.0),
        (96.0, 80.0),
        (97.0, 80.0),
        (97.1, 0.0),
        (100.0, 0.0),
    ],
)
def test_what_a_vehicle_reads(duty_pct: float, current_a: float) -> None:
    assert current_of(duty_pct) == pytest.approx(current_a)


@given(st.floats(6.0, 80.0))
def test_an_offer_is_never_above_what_was_asked_and_hardly_below(current_a: float) -> None:
    offered_a = current_of(duty_of(current_a))
    assert offered_a <= current_a + 1e-6
    gap_a = 1.5 if 51.0 < current_a <= 52.51 else 0.1
    assert offered_a >= current_a - gap_a - 0.025


def test_the_lowest_limit_wins_and_the_unknown_is_nothing() -> None:
    assert lowest([("a", 32.0), ("b", 16.0), ("c", 16.0)]) == (16.0, "b")
    assert lowest([("a", 32.0), ("b", math.nan)]) == (0.0, "b")
    assert lowest([("a", -3.0)]) == (0.0, "a")


def test_governor_keeps_5_s_and_the_dead_band() -> None:
    governor = DutyGovernor(5.0)
    assert governor.offer(16.0, 0.0) == 16.0
    assert governor.offer(10.0, 4.9) == 16.0
    assert governor.offer(10.0, 5.0) == 10.0
    assert governor.offer(10.4, 20.0) == 10.0, "not worth it"
    assert governor.offer(10.5, 20.0) == 10.5
    assert governor.offer(10.4, 30.0) == 10.4, "down is always worth it"
    governor.steady()
    assert governor.offer(32.0, 30.1) == 32.0


def permit(current_a: float = 16.0, phases: int = 3, lease_s: float = 10.0) -> Permit:
    return Permit(1, 1, current_a, phases, lease_s)


def test_a_lease_runs_out_into_fail_safe_and_then_into_nothing() -> None:
    holder = PermitHolder(6.0, 20.0)
    assert holder.lease(0.0) is Lease.NONE
    assert holder.grant(permit(), 0.0) == ""
    assert (holder.lease(9.99), holder.limit(9.99)) == (Lease.LIVE, ("permit", 16.0))
    assert (holder.lease(10.0), holder.limit(10.0)) == (Lease.FAIL_SAFE, ("fail_safe", 6.0))
    assert (holder.lease(30.0), holder.limit(30.0)) == (Lease.EXPIRED, ("permit", 0.0))
    holder.withdraw()
    assert holder.lease(5.0) is Lease.NONE


def test_no_fail_safe_current_no_fail_safe() -> None:
    holder = PermitHolder(0.0, 600.0)
    holder.grant(permit(), 0.0)
    assert holder.lease(10.0) is Lease.EXPIRED


def test_fail_safe_never_raises_a_permit() -> None:
    holder = PermitHolder(16.0, 600.0)
    holder.grant(permit(current_a=8.0), 0.0)
    assert holder.limit(10.0) == ("fail_safe", 8.0)
    holder.grant(permit(current_a=0.0), 20.0)
    assert holder.limit(40.0) == ("fail_safe", 0.0)


@pytest.mark.parametrize(
    "bad",
    [
        permit(current_a=-1.0),
        permit(current_a=math.nan),
        permit(current_a=math.inf),
        permit(phases=0),
        permit(phases=4),
        permit(lease_s=0.0),
        permit(lease_s=-5.0),
        permit(lease_s=math.nan),
    ],
)
def test_a_permit_that_makes_no_sense_leaves_none(bad: Permit) -> None:
    holder = PermitHolder(6.0, 600.0)
    holder.grant(permit(), 0.0)
    assert holder.grant(bad, 1.0)
    assert holder.lease(1.0) is Lease.NONE


def test_no_lease_is_longer_than_the_configuration_could_say() -> None:
    holder = PermitHolder(0.0, 0.0)
    holder.grant(permit(lease_s=1e9), 0.0)
    assert holder.lease(901.0) is Lease.EXPIRED
