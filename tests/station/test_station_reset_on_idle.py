"""A reset when idle (2.0.1 B12.FR.01): nothing new begins, nothing that runs is ended."""

from __future__ import annotations

import pytest
from station_world import World

from agent.journal.events import StopReason
from agent.station.commands import ResetKind


@pytest.fixture
def world() -> World:
    world = World()
    world.plug()
    world.run(2)
    world.tap("04AABBCC")
    world.run(20)
    assert world.status() == "Charging"
    return world


def test_it_waits_for_the_end_of_what_runs(world: World) -> None:
    assert world.call("reset", ResetKind.ON_IDLE)
    world.run(3600)
    assert (world.restarts, world.ended(), world.status()) == ([], [], "Charging")
    world.unplug()
    world.run(10)
    assert world.restarts == [ResetKind.ON_IDLE]
    assert len(world.ended()) == 1


def test_without_a_transaction_it_comes_at_once() -> None:
    idle = World()
    assert idle.call("reset", ResetKind.ON_IDLE)
    assert idle.restarts == [ResetKind.IMMEDIATE]


def test_a_reset_that_comes_sooner_takes_its_place_and_not_the_other_way_round(world: World) -> None:
    assert world.call("reset", ResetKind.ON_IDLE)
    assert world.call("reset", ResetKind.SOFT)
    assert world.call("reset", ResetKind.ON_IDLE)
    world.run(10)
    assert world.restarts == [ResetKind.SOFT]


def test_nothing_new_begins_meanwhile(world: World) -> None:
    assert world.call("reset", ResetKind.ON_IDLE)
    world.tap("04AABBCC")  # ends its own transaction, and begins no other
    world.run(30)
    world.tap("04AABBCC")
    world.run(30)
    assert len(world.ended()) == 1
    assert world.restarts == [ResetKind.ON_IDLE]


def test_a_reset_in_good_order_ends_what_runs_first(world: World) -> None:
    """2.0.1 B12.FR.04"""
    assert world.call("reset", ResetKind.IMMEDIATE)
    assert world.restarts == []
    world.run(10)
    assert world.restarts == [ResetKind.IMMEDIATE]
    (ended,) = world.ended()
    assert ended.reason is StopReason.SCHEDULED_RESET


def test_a_reset_with_resumption_stops_the_energy_and_keeps_the_transaction(world: World) -> None:
    """2.1 B13.FR.04, FR.20, FR.23"""
    assert world.call("reset", ResetKind.RESUME)
    assert world.restarts == [ResetKind.RESUME]
    assert world.kept["station"]["reset"] == "Resume"
    world.run(5)
    assert not world.outlets[1].closed
    assert world.ended() == []
    world.power_cut(100_000)  # longer than any power cut that is bridged
    world.run(30)
    assert world.status() == "Charging"
    assert "reset" not in world.kept["station"]
    world.unplug()
    world.run(10)
    assert len(world.ended()) == 1


def test_a_hard_reset_takes_the_permit_back_for_good(world: World) -> None:
    """It was given again in the same step: on a machine that takes long to go down energy flowed on."""
    assert world.call("reset", ResetKind.HARD)
    world.run(20)
    assert not world.outlets[1].closed
