"""Prices at the EVSEs in virtual time: whose they are, when they go, and what a restart leaves."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from station_world import World

from agent.journal.events import MeterSampled, Unplugged
from agent.station.commands import FinalCost
from agent.station.price_texts import PriceText
from agent.station.tariff import ChargingPrice, IdlePrice, RunningCost, Triggers, decimal_wh
from agent.station.tokens import Token

CARD = "04AABBCC"
TEXT = PriceText("0.30 $/kWh")


def price(world: World):
    return world.station.snapshot(world.moment())[0]["price"]


def tell(world: World, verb: str, *arguments):
    return world.call("within", lambda: getattr(world.station.pricing, verb)(*arguments))


def told(world: World, **fields) -> RunningCost:
    register_wh = decimal_wh(world.outlets[1].register_wh)
    cost = RunningCost(world.moment().utc_s, register_wh, Decimal(1), False, ChargingPrice(Decimal("0.30")))
    return replace(cost, **fields)


def charging(world: World) -> str:
    world.plug()
    world.tap(CARD)
    world.run(5)
    return world.started()[-1].transaction


def test_the_running_cost_is_the_networks_plus_the_energy_since() -> None:
    world = World()
    transaction = charging(world)
    before_wh = world.outlets[1].register_wh
    assert tell(world, "running_cost", transaction, told(world)) is True
    world.run(600)
    given_wh = decimal_wh(world.outlets[1].register_wh) - decimal_wh(before_wh)
    exact = 1 + Decimal("0.30") * given_wh / 1000
    assert abs(Decimal(price(world)["running_cost"]) - exact) <= Decimal("0.0005")
    assert given_wh > 1000


def test_everything_survives_a_restart_and_a_power_cut() -> None:
    world = World()
    tell(world, "set_user_price", Token(CARD).key, TEXT)
    world.restart_agent()
    transaction = charging(world)
    assert price(world)["text"] == TEXT.text
    assert "users" not in world.kept["price"], "used up"
    tell(world, "running_cost", transaction, told(world, cost=Decimal("5.55"), charging=ChargingPrice()))
    world.restart_agent()
    world.run(3)
    assert (price(world)["text"], price(world)["running_cost"]) == (TEXT.text, "5.550")
    world.power_cut(60)
    world.run(3)
    assert price(world)["running_cost"] == "5.550"
    world.unplug()
    world.run(5)
    tell(world, "final_cost", transaction, FinalCost(Decimal("6.1"), PriceText("Thanks"), "https://x"))
    world.restart_agent()
    world.run(3)
    assert (price(world)["final_cost"], price(world)["final_text"]) == ("6.100", "Thanks")


def test_the_next_driver_sees_nothing_of_the_one_before() -> None:
    world = World()
    transaction = charging(world)
    tell(world, "running_cost", transaction, told(world))
    world.unplug()
    world.run(5)
    assert price(world) is not None
    world.plug()
    world.tap("OTHER")
    assert price(world) is None
    world.run(5)
    assert price(world) is None
    assert world.kept["price"] == {}
    assert tell(world, "running_cost", transaction, told(world)) is False
    assert tell(world, "running_cost", "nobody's", told(world)) is False


def test_what_is_kept_and_cannot_be_read_is_dropped() -> None:
    world = World()
    world.kept["price"] = {"1": {"transaction": "t"}, "users": {"card": 5}, "nine": {}}
    world.restart_agent()
    assert world.kept["price"] == {}
    assert price(world) is None


def test_nothing_is_added_after_the_stop_unless_idle_costs_go_on() -> None:
    for after_stop, cost in (("false", "1.000"), ("true", "2.000")):
        world = World(settings={"TariffCostCtrlr.IdleFeeAfterStop": after_stop})
        transaction = charging(world)
        idle = IdlePrice(0, Decimal(3600))
        world.call("remote_stop", transaction)
        world.run(5)
        tell(world, "running_cost", transaction, told(world, idle=True, idle_price=idle))
        world.run(1)
        world.unplug()
        world.run(30)
        assert price(world)["running_cost"] == cost
        unplugged = [event for event in world.records if isinstance(event, Unplugged)]
        assert unplugged == ([Unplugged(transaction, 1)] if after_stop == "true" else [])


def test_a_silent_meter_is_waited_for() -> None:
    world = World(settings={"SampledDataCtrlr.TxUpdatedInterval": "0"})
    transaction = charging(world)
    tell(world, "running_cost", transaction, told(world, triggers=Triggers(at_utc_s=world.moment().utc_s + 20)))
    world.outlets[1].meter_works = False
    world.run(40)
    assert not [event for event in world.records if isinstance(event, MeterSampled)]
    world.outlets[1].meter_works = True
    world.run(5)
    assert len([event for event in world.records if isinstance(event, MeterSampled)]) == 1
