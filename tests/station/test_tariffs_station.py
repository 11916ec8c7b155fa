"""Tariffs at the EVSEs in virtual time: which one holds when, and what a restart leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ocpp.times import time_text
from agent.station.commands import Reservation, ReservationAnswer
from agent.station.tariffs.answers import TariffAnswer
from agent.station.tariffs.defaults import Installed, added, current, next_change, pruned
from agent.station.tariffs.tariff import Tariff
from agent.station.tokens import Token
from tests.station.station_world import World, config

CARD = "04AABBCC"


def tariff(number: str = "T1", per_kwh: float = 0.5, **more: Any) -> dict[str, Any]:
    return {"tariffId": number, "currency": "EUR", "energy": {"prices": [{"priceKwh": per_kwh}]}, **more}


def ask(world: World, verb: str, *arguments: Any) -> Any:
    return world.call("within", lambda: getattr(world.station.tariffs, verb)(*arguments))


def ids(world: World) -> list[str]:
    return [each.tariff.id for each in ask(world, "assignments", 0)]


def charging(world: World) -> str:
    world.plug()
    world.tap(CARD)
    world.run(5)
    return str(world.started()[-1].transaction)


def test_the_next_tariff_takes_over_at_its_time() -> None:
    """I07.FR.19 to FR.24"""
    world = World()
    begin = int(world.moment().utc_s) + 60
    ask(world, "set_default", 0, tariff("NOW"))
    ask(world, "set_default", 0, tariff("NEXT", 1.0, validFrom=time_text(begin)))
    transaction = charging(world)
    assert ids(world) == ["NOW", "NEXT"]
    world.run(120)
    assert ids(world)[0] == "NEXT"
    assert world.station.tariffs._running[transaction].account.tariff.id == "NOW", "it goes on as it began"


def test_what_a_charge_costs_is_what_it_used_over_a_restart_too() -> None:
    world = World()
    ask(world, "set_default", 0, tariff())
    transaction = charging(world)
    world.run(600)
    world.restart_agent()
    world.run(600)
    used = ask(world, "running_cost", transaction)
    session = world.session()
    assert abs(used["totalUsage"]["energy"] - (session.register_wh - session.start_wh)) < 0.01
    assert abs(used["totalCost"]["total"]["exclTax"] - used["totalUsage"]["energy"] / 2000) <= 0.00005
    assert abs(used["totalUsage"]["chargingTime"] + used["totalUsage"]["idleTime"] - 1200) < 60


def test_writing_is_thrifty() -> None:
    world = World()
    ask(world, "set_default", 0, tariff())
    charging(world)
    world.run(60)
    before = len([effect for effect in world.log if getattr(effect, "table", "") == "tariff"])
    world.run(1700)
    after = len([effect for effect in world.log if getattr(effect, "table", "") == "tariff"])
    assert after - before <= 2


def test_a_second_tariff_of_the_same_id_is_refused_and_a_cleared_one_can_come_again() -> None:
    world = World()
    assert ask(world, "set_default", 0, tariff())[0] is TariffAnswer.ACCEPTED
    assert ask(world, "set_default", 0, tariff())[0] is TariffAnswer.DUPLICATE_ID
    assert ask(world, "clear", ["T1"], None) == ["T1"]
    assert ask(world, "set_default", 0, tariff())[0] is TariffAnswer.ACCEPTED


def test_a_driver_who_does_not_begin_loses_his_tariff() -> None:
    """I08.FR.07"""
    world = World(settings={"TxCtrlr.EVConnectionTimeOut": "60"})
    ask(world, "driver", Token(CARD), tariff("OWN"))
    world.tap(CARD)
    world.run(30)
    assert ids(world) == ["OWN"]
    world.run(200)
    assert ids(world) == []


def test_a_reservation_that_was_used_is_paid() -> None:
    """I12.FR.06 to FR.08"""
    world = World(config(versions=("ocpp2.1",)))
    prices = {"reservationTime": {"prices": [{"priceMinute": 0.1}]}}
    prices["reservationFixed"] = {"prices": [{"priceFixed": 2.0}]}  # type: ignore[dict-item]
    ask(world, "set_default", 0, tariff(**prices))
    kept = Reservation(7, 1, Token(CARD), world.moment().utc_s + 3600)
    assert world.call("reserve", kept) is ReservationAnswer.ACCEPTED
    world.run(300)
    world.restart_agent()
    world.run(300)
    transaction = charging(world)
    found = ask(world, "running_cost", transaction)
    assert found["totalUsage"]["reservationTime"] == pytest.approx(600, abs=30)
    assert found["totalCost"]["reservationFixed"]["exclTax"] == 2.0
    minutes = found["totalUsage"]["reservationTime"] / 60
    assert found["totalCost"]["reservationTime"]["exclTax"] == pytest.approx(minutes / 10, abs=0.0001)


def test_without_a_reservation_none_is_paid() -> None:
    world = World(config(versions=("ocpp2.1",)))
    ask(world, "set_default", 0, tariff(reservationFixed={"prices": [{"priceFixed": 2.0}]}))
    found = ask(world, "running_cost", charging(world))
    assert "reservationFixed" not in found["totalCost"]
    assert "reservationTime" not in found["totalUsage"]


def test_clearing_by_evse() -> None:
    """I10.FR.03"""
    world = World(config(evses=2))
    ask(world, "set_default", 1, tariff("A"))
    ask(world, "set_default", 2, tariff("B"))
    assert ask(world, "clear", None, 1) == ["A"]
    assert ids(world) == ["B"]


def test_a_change_to_too_many_prices() -> None:
    """I11.FR.02, FR.04"""
    world = World()
    many = tariff("T2") | {"energy": {"prices": [{"priceKwh": 0.1}] * 51}}
    assert ask(world, "change", "nobody's", many)[0] is TariffAnswer.TX_NOT_FOUND
    transaction = charging(world)
    assert ask(world, "change", transaction, many)[0] is TariffAnswer.TOO_MANY_ELEMENTS
    assert ask(world, "change", transaction, tariff("T2"))[0] is TariffAnswer.ACCEPTED
    register_wh = world.session().register_wh
    world.run(60)
    used = ask(world, "running_cost", transaction)["totalUsage"]["energy"]
    assert abs(used - (world.session().register_wh - register_wh)) < 0.01, "nothing of what was before"


def test_the_tariff_of_a_driver_has_no_beginning() -> None:
    """I08.FR.10"""
    world = World()
    told = tariff("OWN", validFrom=time_text(int(world.moment().utc_s) + 3600))
    assert ask(world, "driver", Token(CARD), told)
    transaction = charging(world)
    assert world.station.tariffs._running[transaction].account.tariff.id == "OWN"


tariffs = st.lists(st.none() | st.integers(0, 10).map(float), max_size=6)


@given(begins=tariffs, now=st.integers(0, 10))
def test_of_those_whose_time_has_come_the_latest_holds(begins: list[float | None], now: int) -> None:
    installed: list[Installed] = []
    for number, begin in enumerate(begins):
        new = Installed(Tariff(str(number), "EUR", {}, valid_from_utc_s=begin), {})
        installed = added(installed, new, float(now))
        holds = current(installed, float(now))
        if begin is None or begin <= now:
            assert holds is new, "what holds at once replaces what held"
    assert pruned(installed, float(now)) == installed
    for later in range(now, 11):
        change = next_change(installed, float(later))
        installed = pruned(installed, float(later))
        assert len([each for each in installed if (each.tariff.valid_from_utc_s or 0) <= later]) <= 1
        assert change is None or change > later
