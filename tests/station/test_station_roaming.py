"""Drivers of partner networks while the operator's is away: known by their form, served at a bounded risk."""

from __future__ import annotations

from dataclasses import replace

import pytest
from station_world import ACCEPTED, World, config

from agent.config.schema import OnCap, Partner
from agent.journal.events import StopReason
from agent.station.roaming import is_emaid, partner_of
from agent.station.tokens import Token, TokenInfo, TokenStatus

EMAID = "DE-8EX-C12345678-9"


def roaming(*partners: Partner, online: bool = False, evses: int = 1, **extra) -> World:
    base = config(evses=evses, **extra)
    return World(replace(base, authorisation=replace(base.authorisation, partners=partners)), online=online)


def partner(**changes) -> Partner:
    return Partner(**{"name": "Ex", "prefixes": ("DE-8EX",), "energy_cap_wh": 500.0, "time_cap_s": 600.0, **changes})


def start(world: World, uid: str = EMAID) -> None:
    world.plug()
    world.tap(uid)
    world.run(3)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("DE-8EX-C12345678", True),
        ("DE-8EX-C12345678-9", True),
        ("DE8EXC123456789", True),
        ("de8exc12345678", True),
        ("DE*8EX*123456*7", True),
        ("DE-8EX*C12345678", False),
        ("DE-8EX-C12345678-99", False),
        ("D1-8EX-C12345678", False),
        ("04AABBCCDD", False),
        ("DE-8EX-C1234567é", False),
        ("", False),
    ],
)
def test_the_form_of_an_emaid(text: str, is_one: bool) -> None:
    assert is_emaid(text) is is_one


def test_all_rules_must_hold_and_the_first_partner_counts() -> None:
    first, second = partner(length=18, emaid=True), partner(name="Second")
    assert partner_of(Token(EMAID), [first, second]) is first
    assert partner_of(Token(EMAID.lower()), [first]) is first
    assert partner_of(Token("DE-8EX-C12345678"), [first, second]) is second
    assert partner_of(Token("FR-8EX-C12345678-9"), [first, second]) is None


def test_a_partner_without_any_rule_is_no_partner() -> None:
    with pytest.raises(ValueError, match="names no rule"):
        Partner(name="Everyone")


def test_offline_the_energy_is_bounded_and_the_bound_goes_with_the_networks_word() -> None:
    world = roaming(partner())
    start(world)
    assert world.status() == "Charging"
    world.run(600)
    used_wh = world.outlets[1].register_wh - 1000.25
    assert 500 <= used_wh < 520
    assert world.status() == "SuspendedEVSE"
    assert world.reasons() == ["unconfirmed"]
    assert world.ended() == []
    world.uplink(True)
    world.call("start_answered", world.started()[0].transaction, ACCEPTED)
    world.run(60)
    assert world.status() == "Charging"
    assert world.outlets[1].register_wh - 1000.25 > 600


def test_the_time_is_bounded_also_for_a_vehicle_that_takes_nothing() -> None:
    world = roaming(partner(energy_cap_wh=0.0, time_cap_s=120.0, on_cap=OnCap.END))
    world.outlets[1].wants = False
    start(world)
    world.run(110)
    assert world.ended() == []
    world.run(20)
    assert [event.reason for event in world.ended()] == [StopReason.TIME_LIMIT_REACHED]


def test_the_energy_bound_can_end_the_charge() -> None:
    world = roaming(partner(on_cap=OnCap.END))
    start(world)
    world.run(400)
    assert [event.reason for event in world.ended()] == [StopReason.ENERGY_LIMIT_REACHED]
    assert world.ended()[0].meter_wh - world.started()[0].meter_wh < 540


def test_a_silent_meter_does_not_lift_the_bound() -> None:
    world = roaming(partner(time_cap_s=0.0))
    start(world)
    world.outlets[1].meter_works = False
    world.run(600)
    assert world.outlets[1].register_wh - 1000.25 < 520, "the most that can flow is counted instead"
    assert world.status() == "SuspendedEVSE"


def test_without_a_meter_the_most_that_can_flow_counts() -> None:
    base = config()
    evse = replace(base.evses[0], meter="")
    world = World(
        replace(base, evses=(evse,), authorisation=replace(base.authorisation, partners=(partner(time_cap_s=0.0),))),
        online=False,
    )
    world.outlets[1].meter_works = False
    start(world)
    assert world.status() == "Charging"
    world.run(120)
    assert world.status() == "SuspendedEVSE"


@pytest.mark.parametrize("off", ["agent", "power"])
def test_the_bound_survives_a_restart(off: str) -> None:
    world = roaming(partner())
    start(world)
    world.run(100)
    world.online = False
    if off == "agent":
        world.restart_agent()
    else:
        world.power_cut(60)
    world.run(600)
    assert 500 <= world.outlets[1].register_wh - 1000.25 < 540


def test_a_refusal_afterwards_ends_it_as_for_anybody() -> None:
    world = roaming(partner())
    start(world)
    world.uplink(True)
    world.call("start_answered", world.started()[0].transaction, TokenInfo(TokenStatus.BLOCKED))
    world.run(10)
    assert [event.reason for event in world.ended()] == [StopReason.DE_AUTHORIZED]


def test_what_is_known_goes_before_the_partners_policy() -> None:
    world = roaming(partner())
    world.local_list.change(1, True, [(EMAID.casefold(), "Blocked", "", None)], [], 9)
    start(world)
    assert world.started() == []
    world.local_list.change(2, True, [(EMAID.casefold(), "Accepted", "", None)], [], 9)
    world.run(3)
    world.tap(EMAID)
    world.run(600)
    assert world.outlets[1].register_wh - 1000.25 > 600, "one that is listed charges without bound"


def test_a_partner_may_be_shut_out_offline_even_where_unknown_tokens_start() -> None:
    world = roaming(partner(offline=False))
    world.call("set_setting", "AuthCtrlr.OfflineTxForUnknownIdEnabled", "true")
    start(world)
    assert world.started() == []
    world.run(3)
    world.tap("STRANGER")
    world.run(3)
    assert [event.token for event in world.started()] == ["STRANGER"]


def test_online_the_network_is_asked_and_nothing_is_bounded() -> None:
    world = roaming(partner(), online=True)
    start(world)
    world.run(600)
    assert world.outlets[1].register_wh - 1000.25 > 600
