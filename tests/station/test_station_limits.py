"""Sharing the feed: the pure function, and rebalancing between vehicles that come, rest and leave."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station_world import World, config

from agent.link.messages import Permit, Withdraw
from agent.station.effects import Send
from agent.station.limits import Claim, share
from agent.station.phase_rotation import lines_of

CLAIMS = st.lists(
    st.builds(
        Claim,
        st.integers(1, 99),
        st.sampled_from([5.0, 6.0, 10.0, 13.0, 16.0, 20.0, 32.0, 63.0]),
        st.integers(0, 9),
        st.booleans(),
        st.booleans(),
        st.just(6.0),
    ),
    max_size=8,
    unique_by=lambda claim: claim.evse,
)


@given(st.floats(0, 200), CLAIMS)
def test_nobody_gets_too_much_and_nothing_is_wasted(limit_a, claims):
    result = share(limit_a, claims)
    assert set(result) == {claim.evse for claim in claims}
    assert sum(result.values()) <= limit_a + 1e-9
    able = [claim for claim in claims if claim.max_a >= 6]
    for claim in claims:
        assert result[claim.evse] == 0 or 6 <= result[claim.evse] <= claim.max_a
    served = [claim for claim in able if result[claim.evse]]
    assert len(served) == min(len(able), int(limit_a // 6))
    wanted = sum(claim.max_a for claim in served)
    if served and limit_a >= 6:
        assert sum(result.values()) >= min(limit_a, wanted) - 0.1 * len(served) - 1e-6
    for claim in able:
        if not result[claim.evse]:
            assert all((other.resting, other.order) <= (claim.resting, claim.order) for other in served)


@given(st.integers(6, 200), st.integers(1, 6))
def test_equals_get_equal_shares(limit_a, count):
    result = share(limit_a, [Claim(number, 32.0, number) for number in range(1, count + 1)])
    shares = {value for value in result.values() if value}
    assert max(shares) - min(shares) < 0.2


def test_a_table_of_shares():
    one, two, three = Claim(1, 32, 1), Claim(2, 32, 2), Claim(3, 32, 3)
    assert share(32, [one]) == {1: 32}
    assert share(32, [one, two]) == {1: 16, 2: 16}
    assert share(16, [one, two, three]) == {1: 8, 2: 8, 3: 0}
    assert share(11, [two, one]) == {1: 11, 2: 0}
    assert share(5.9, [one]) == {1: 0}
    assert share(32, [Claim(1, 10, 1), two]) == {1: 10, 2: 22}
    assert share(32, [Claim(1, 32, 1, asking=False), two]) == {1: 6, 2: 26}
    assert share(10, [Claim(1, 32, 1, asking=False, resting=True), two]) == {1: 0, 2: 10}


@given(st.floats(0, 200), CLAIMS, st.lists(st.sampled_from([6.0, 8.0, 12.5, 20.0]), min_size=8, max_size=8))
def test_least_currents_are_kept_and_the_feed_too(limit_a, claims, least):
    claims = [replace(claim, least_a=least_a) for claim, least_a in zip(claims, least, strict=False)]
    result = share(limit_a, claims)
    assert sum(result.values()) <= limit_a + 1e-9
    for claim in claims:
        assert result[claim.evse] == 0 or claim.least_a <= result[claim.evse] <= claim.max_a
    # Nobody is passed over who would have fitted beside those that came before.
    for claim in claims:
        if not result[claim.evse] and claim.least_a <= claim.max_a:
            before = [c for c in claims if result[c.evse] and (c.resting, c.order) <= (claim.resting, claim.order)]
            assert claim.least_a > limit_a - sum(c.least_a for c in before) - 1e-9


def charge(world, *numbers):
    for number in numbers:
        world.plug(number)
        world.run(3)
        world.tap(f"CARD000{number}")
        world.run(3)


def permits(world):
    return {number: outlet.permit.current_a if outlet.permit else 0.0 for number, outlet in world.outlets.items()}


def test_vehicles_come_and_go():
    world = World(config(evses=3, feed_a=32.0))
    world.run(1)
    charge(world, 1)
    assert permits(world) == {1: 32, 2: 0, 3: 0}
    charge(world, 2)
    assert permits(world) == {1: 16, 2: 16, 3: 0}
    lowered = [
        effect.message.evse for effect in world.log if isinstance(effect, Send) and isinstance(effect.message, Permit)
    ]
    assert lowered.index(1, 1) < lowered.index(2)
    charge(world, 3)
    assert sum(permits(world).values()) <= 32
    assert min(permits(world).values()) > 10
    world.unplug(1)
    world.run(5)
    assert permits(world) == {1: 0, 2: 16, 3: 16}


def test_who_came_first_charges_when_it_does_not_suffice_for_all():
    world = World(config(evses=2, feed_a=10.0))
    world.run(1)
    charge(world, 1, 2)
    world.run(10)
    assert permits(world) == {1: 10, 2: 0}
    assert world.status(2) == "SuspendedEVSE"
    assert world.reasons(2)[0] == "waiting_for_share"
    world.outlets[1].wants = False  # full
    world.run(30)
    assert permits(world) == {1: 10, 2: 0}
    world.run(40)
    assert permits(world) == {1: 0, 2: 10}
    assert world.sent(Withdraw)[-1].evse == 1
    world.unplug(2)
    world.run(5)
    assert permits(world) == {1: 10, 2: 0}


def test_a_resting_vehicle_keeps_the_minimum_and_gets_its_share_when_it_asks():
    world = World(config(evses=2, feed_a=20.0))
    world.run(1)
    charge(world, 1, 2)
    assert permits(world) == {1: 10, 2: 10}
    world.outlets[1].wants = False
    world.run(3)
    assert permits(world) == {1: 6, 2: 14}
    world.run(100)
    assert permits(world) == {1: 6, 2: 14}
    world.outlets[1].wants = True
    world.run(3)
    assert permits(world) == {1: 10, 2: 10}


def test_the_cable_limits():
    world = World(config(evses=2, feed_a=32.0))
    world.run(1)
    original = world.outlets[1].observation
    world.outlets[1].observation = lambda now: __import__("dataclasses").replace(original(now), cable_a=13)
    charge(world, 1, 2)
    assert permits(world) == {1: 13, 2: 19}


LINES = st.sampled_from([frozenset((1,)), frozenset((2,)), frozenset((3,)), frozenset((1, 2, 3))])


@given(st.floats(0, 200), CLAIMS, st.lists(LINES, min_size=8, max_size=8))
def test_no_phase_of_the_feed_is_overdrawn(limit_a, claims, lines):
    claims = [replace(claim, lines=each) for claim, each in zip(claims, lines, strict=False)]
    result = share(limit_a, claims)
    for line in (1, 2, 3):
        assert sum(result[claim.evse] for claim in claims if line in claim.lines) <= limit_a + 1e-9
    for claim in claims:
        assert result[claim.evse] == 0 or 6 <= result[claim.evse] <= claim.max_a
    # Knowing the phases never gives an EVSE that loads only one of them less room than the feed has there.
    for claim in claims:
        alone = all(other is claim or not other.lines & claim.lines for other in claims)
        if alone and claim.max_a >= 6 and limit_a >= 6:
            assert result[claim.evse] >= min(claim.max_a, limit_a) - 0.11


def test_single_phase_outlets_on_phases_of_their_own():
    one, two = Claim(1, 32, 1, lines=frozenset((1,))), Claim(2, 32, 2, lines=frozenset((2,)))
    three = Claim(3, 32, 3)
    assert share(20, [one, two]) == {1: 20, 2: 20}
    assert share(20, [one, two, three]) == {1: 10, 2: 10, 3: 10}
    also = Claim(4, 32, 0, lines=frozenset((1,)))
    # Phase 1 is divided by three; what the three-phase outlet cannot take on phase 2 is left to the one there.
    assert share(24, [one, two, three, also]) == {1: 8, 2: 16, 3: 8, 4: 8}


@pytest.mark.parametrize(
    ("rotations", "evse", "phases", "feed_phases", "lines"),
    [
        ("", 1, 1, 3, {1, 2, 3}),
        ("1.RST,2.STR", 1, 1, 3, {1}),
        ("1.RST,2.STR", 2, 1, 3, {2}),
        ("1.RST, 2.TRS ", 2, 1, 3, {3}),
        ("2.Unknown", 2, 1, 3, {1, 2, 3}),
        ("0.STR", 2, 1, 3, {1, 2, 3}),
        ("2.STR", 2, 3, 3, {1, 2, 3}),
        ("2.STR", 2, 1, 1, {1, 2, 3}),
        ("2.SSS", 2, 1, 3, {1, 2, 3}),
    ],
)
def test_which_phases_an_outlet_loads(rotations, evse, phases, feed_phases, lines):
    assert lines_of(rotations, evse, phases, feed_phases) == lines


def test_a_told_phase_rotation_lets_single_phase_outlets_charge_side_by_side():
    world = World(config(evses=2, feed_a=16.0, phases=1))
    world.run(1)
    charge(world, 1, 2)
    assert permits(world) == {1: 8, 2: 8}  # nothing is known: they may hang on one phase
    world.call("set_setting", "ElectricalFeed.PhaseRotation", "1.RST,2.STR")
    world.run(10)
    assert permits(world) == {1: 16, 2: 16}
    world.call("set_setting", "ElectricalFeed.PhaseRotation", "1.RST,2.RTS")
    world.run(10)
    assert permits(world) == {1: 8, 2: 8}
