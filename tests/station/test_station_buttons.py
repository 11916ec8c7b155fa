"""The button of an EVSE, and a housing that somebody opens."""

from __future__ import annotations

import pytest
from station_world import World, config

from agent.config.schema import ButtonAction
from agent.journal.events import StopReason
from agent.link.messages import ButtonPressed, FaultCode
from agent.station.effects import Tampered


def press(world, number=1, long=False):
    world.do(world.station.handle(ButtonPressed(number, world.now, long), world.moment()))


def charging(**extra):
    free = extra.pop("free_vend", False)
    world = World(config(free_vend=free, **extra))
    world.run(1)
    world.plug()
    if not free:
        world.tap()
    world.run(5)
    assert len(world.started()) == 1
    return world


def test_a_press_is_the_drivers_own_stop() -> None:
    world = charging()
    press(world)
    world.run(10)
    (end,) = world.ended()
    assert end.reason is StopReason.LOCAL
    press(world)
    world.run(10)
    assert len(world.started()) == 1


def test_a_long_press_does_nothing() -> None:
    world = charging()
    press(world, long=True)
    world.run(10)
    assert not world.ended()


def test_none_is_none() -> None:
    world = charging(button_action=ButtonAction.NONE)
    press(world)
    world.run(10)
    assert not world.ended()


def test_where_everyone_may_charge_it_starts_again() -> None:
    world = charging(button_action=ButtonAction.START_STOP, free_vend=True)
    press(world)
    world.run(10)
    assert len(world.ended()) == 1
    press(world)
    world.run(10)
    assert len(world.started()) == 2


@pytest.mark.parametrize(
    ("action", "free"), [(ButtonAction.START_STOP, False), (ButtonAction.STOP, True)], ids=["card", "stop only"]
)
def test_it_starts_nothing_elsewhere(action, free) -> None:
    world = charging(button_action=action, free_vend=free)
    press(world)
    world.run(10)
    press(world)
    world.run(10)
    assert len(world.started()) == 1


def test_it_ends_the_transaction_of_its_own_evse_only() -> None:
    world = World(config(evses=2))
    world.run(1)
    for number in (1, 2):
        world.plug(number)
        world.tap(f"04AA0{number}", number)
        world.run(5)
    press(world, 2)
    press(world, 7)
    world.run(10)
    assert [event.evse for event in world.ended()] == [2]


@pytest.mark.parametrize("code", [FaultCode.ENCLOSURE, FaultCode.TILT])
def test_tampering_is_told_once_each_time(code) -> None:
    world = World(config(evses=2))
    world.run(1)
    for number in (1, 2):  # one contact for both
        world.fault(number, code)
    world.run(2)
    world.fault(1, code)  # told again after a reconnect
    assert [effect for effect in world.log if isinstance(effect, Tampered)] == [Tampered("EVSE 1: it broke")]
    for number in (1, 2):
        world.fault(number, code, active=False)
    world.run(2)
    world.fault(2, code)
    assert len([effect for effect in world.log if isinstance(effect, Tampered)]) == 2


def test_an_ordinary_fault_is_no_tampering() -> None:
    world = World()
    world.run(1)
    world.fault(1, FaultCode.LOCK)
    assert not [effect for effect in world.log if isinstance(effect, Tampered)]
