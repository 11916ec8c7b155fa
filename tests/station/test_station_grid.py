"""The building's supply: never more than what other loads leave, down at once, up slowly, and a silent meter."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station_world import World, config

from agent.config.schema import Installation
from agent.link.messages import MeterSample
from agent.station.grid import GRID_STALE_S, RISE_A_PER_S, GridLimit, follow, headroom_a, own_a

AMPERES = st.floats(0.0, 200.0)
PHASES = st.tuples(AMPERES, AMPERES, AMPERES)


def sample(at, currents, evse=0, quality="good"):
    return MeterSample(evse, at, 0.0, None, (), tuple(currents), None, quality)


@pytest.mark.parametrize(
    ("grid", "mine", "room"),
    [
        ((10.0, 20.0, 5.0), (0.0, 0.0, 0.0), 43.0),
        ((42.0, 20.0, 32.0), (32.0, 0.0, 0.0), 31.0),
        ((42.0, 42.0, 42.0), (32.0, 32.0, 32.0), 53.0),
        ((70.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0),
        ((90.0, 0.0, 0.0), (32.0, 0.0, 0.0), 5.0),
        ((-20.0, -20.0, -20.0), (10.0, 10.0, 10.0), 63.0),
        ((10.0,), (0.0,), 53.0),
        ((), (), 0.0),
        ((math.nan, 1.0, 1.0), (0.0, 0.0, 0.0), 0.0),
        ((1.0, 1.0, 1.0), (math.inf, 0.0, 0.0), 0.0),
    ],
)
def test_headroom(grid, mine, room) -> None:
    assert headroom_a(63.0, grid, mine) == pytest.approx(room)


@given(st.floats(0, 300), PHASES, PHASES)
def test_headroom_and_the_others_together_never_exceed_the_supply(most_a, others, mine) -> None:
    grid = [a + b for a, b in zip(others, mine, strict=True)]
    room = headroom_a(most_a, grid, mine)
    assert 0.0 <= room <= most_a
    for each in others:
        assert room + each <= max(most_a, each) + 1e-6


@given(AMPERES, AMPERES, st.floats(0, 100))
def test_never_above_the_room_and_never_faster_up_than_agreed(last_a, room, passed_s) -> None:
    limit = follow(last_a, room, passed_s)
    assert limit <= room
    assert limit <= last_a + RISE_A_PER_S * passed_s
    assert limit == room or limit >= last_a, "down only as far as it must"


@given(PHASES, st.floats(0.0, 63.0))
def test_it_converges_on_what_the_others_leave(others, start_a) -> None:
    """Three-phase vehicles that take all they are given, and a building that does not change."""
    grid, now, drawn = GridLimit(63.0, start_a), 100.0, 0.0
    for second in range(200):
        now += 1.0
        measured = [each + drawn for each in others]
        grid.measure(sample(now, measured), [(sample(now, (drawn,) * 3, 1), ())], now)
        limit = grid.limit_a(now)
        assert limit <= max(63.0 - max(others), 0.0) + 1e-6
        drawn = limit
        assert second < 2 or max(measured) <= max(63.0, *others) + 1e-6
    assert drawn == pytest.approx(max(63.0 - max(others), 0.0), abs=1e-6)


@given(st.lists(st.tuples(st.floats(0.1, 30.0), PHASES, st.booleans()), min_size=1, max_size=40))
def test_whatever_happens_the_limit_is_the_room_or_less_and_stale_is_the_fallback(steps) -> None:
    grid, now, told = GridLimit(63.0, 8.0), 50.0, None
    for passed_s, currents, speaks in steps:
        now += passed_s
        if speaks:
            grid.measure(sample(now, currents), [], now)
            told = now
            assert grid.limit_a(now) <= headroom_a(63.0, currents, (0.0, 0.0, 0.0))
        elif told is None or now - told > GRID_STALE_S:
            assert grid.limit_a(now) == 8.0
            assert grid.wake(now) is None


def test_what_the_chargers_draw_for_certain() -> None:
    assert own_a([((16.0, 15.0, 14.0), ())], 3) == [14.0, 14.0, 14.0], "wiring not known: what is on every phase"
    assert own_a([((16.0, 0.0, 0.0), ())], 3) == [0.0, 0.0, 0.0]
    assert own_a([((16.0, 1.0, 2.0), (2, 3, 1))], 3) == [2.0, 16.0, 1.0]
    assert own_a([((16.0,), (3,)), ((10.0,), ())], 3) == [0.0, 0.0, 16.0]
    assert own_a([((16.0,), ())], 1) == [16.0]
    assert own_a([((-3.0,), ()), ((), ())], 1) == [0.0]


def test_doubtful_old_and_unpaired_readings_count_for_nothing() -> None:
    grid = GridLimit(63.0, 10.0)
    grid.measure(sample(10.0, (1.0,), quality="suspect"), [], 10.0)
    assert not grid.fresh(10.0)
    grid.measure(sample(10.0, (50.0,)), [(sample(2.0, (30.0,), 1), ())], 10.0)
    assert grid.limit_a(10.0) == 10.0
    assert headroom_a(63.0, (50.0,), (0.0,)) == 13.0
    grid.measure(sample(9.0, (63.0,)), [], 10.0)
    assert grid.limit_a(10.0) == 10.0, "older than the last one"


def building(evses=1, fallback_a=6.0):
    feed = Installation(
        max_current_a=32.0, phases=3, grid_meter="house", grid_max_current_a=40.0, grid_fallback_current_a=fallback_a
    )
    return World(replace(config(evses=evses), installation=feed))


def tell(world, *currents):
    world.do(world.station.handle(sample(world.now, currents), world.moment()))


def run(world, seconds, others):
    for _ in range(seconds):
        drawn = sum(outlet.current_a() for outlet in world.outlets.values() if outlet.closed)
        tell(world, *(others + drawn for _ in range(3)))
        world.run(1.0)


def permitted(world, number=1):
    permit = world.outlets[number].permit
    return permit.current_a if permit is not None else 0.0


def test_the_station_follows_the_building() -> None:
    world = building()
    run(world, 30, 10.0)
    world.plug()
    world.tap()
    run(world, 60, 10.0)
    assert permitted(world) == pytest.approx(30.0, abs=0.1)
    run(world, 2, 28.0)
    assert permitted(world) == pytest.approx(12.0, abs=0.1), "down at once"
    run(world, 5, 10.0)
    assert permitted(world) <= 12.0 + 6 * RISE_A_PER_S, "up slowly"
    run(world, 60, 10.0)
    assert permitted(world) == pytest.approx(30.0, abs=0.1)


def test_a_full_building_pauses_and_says_why() -> None:
    world = building()
    run(world, 30, 10.0)
    world.plug()
    world.tap()
    run(world, 10, 10.0)
    run(world, 5, 36.0)
    assert permitted(world) == 0.0
    assert world.reasons()[0] == "grid_limit"
    document = world.station.grid(world.moment())
    assert document["fresh"]
    assert document["limit_a"] == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(("fallback_a", "reason"), [(6.0, None), (0.0, "grid_meter")])
def test_a_silent_meter_falls_back(fallback_a, reason) -> None:
    world = building(fallback_a=fallback_a)
    run(world, 30, 10.0)
    world.plug()
    world.tap()
    run(world, 60, 10.0)
    world.run(GRID_STALE_S + 2.0)
    assert permitted(world) == fallback_a
    if reason:
        assert world.reasons()[0] == reason
    assert not world.station.grid(world.moment())["fresh"]


def test_without_a_grid_meter_nothing_is_shown_and_its_readings_are_nobodys() -> None:
    world = World()
    tell(world, 100.0, 100.0, 100.0)
    assert world.station.grid(world.moment()) is None
    world.plug()
    world.tap()
    world.run(5)
    assert permitted(world) == 32.0
