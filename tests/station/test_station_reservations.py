"""Reservations: who may use what is kept, how long it is kept, and what ends it. And the table of transitions."""

from __future__ import annotations

import itertools

import pytest
from station_world import ACCEPTED, World, config

from agent.link.messages import FaultCode
from agent.station.commands import ConnectorStatus, RemoteStart, Reservation, ReservationAnswer
from agent.station.tokens import Token, TokenInfo, TokenStatus
from agent.station.transitions import ALLOWED, between


def until(world: World, seconds: float = 600.0) -> float:
    return world.moment().utc_s + seconds


def reserve(world: World, number: int = 1, evse: int = 1, uid: str = "OWNER", group: str = "", seconds: float = 600.0):
    return world.call("reserve", Reservation(number, evse, Token(uid), until(world, seconds), group))


def test_the_owner_charges_and_the_start_names_the_reservation() -> None:
    world = World()
    assert reserve(world, 7) is ReservationAnswer.ACCEPTED
    assert world.status() == "Reserved"
    world.plug()
    world.tap("OWNER")
    world.run(5)
    assert world.started()[0].reservation == 7
    assert world.kept["reservation"] == {}
    assert world.history[1][:4] == ["Available", "Reserved", "Preparing", "Charging"]


def test_others_are_refused_with_or_without_a_vehicle() -> None:
    world = World()
    reserve(world)
    world.tap("OTHER")
    world.plug()
    world.tap("OTHER")
    world.run(5)
    assert world.started() == []
    assert world.status() == "Reserved"
    assert world.reasons() == ["reserved"]
    assert world.call("remote_start", RemoteStart(Token("OTHER"), 1)) is False
    assert world.call("remote_start", RemoteStart(Token("OTHER"))) is False


def test_others_use_the_other_evse_and_never_the_reserved_one() -> None:
    world = World(config(evses=2))
    reserve(world)
    world.tap("OTHER")
    world.plug(1)
    world.run(3)
    assert world.started() == [], "the reserved one was plugged"
    world.plug(2)
    world.run(3)
    assert [event.evse for event in world.started()] == [2]


def test_a_free_vending_station_keeps_reservations_too() -> None:
    world = World(config(free_vend=True))
    reserve(world)
    world.plug()
    world.run(3)
    assert world.started() == []


def test_the_group_opens_it_once_the_network_has_told_the_group() -> None:
    world = World(known={"MATE": TokenInfo(TokenStatus.ACCEPTED, "FAMILY")})
    reserve(world, group="family")
    world.plug()
    world.tap("MATE")
    world.run(3)
    assert world.started()[0].reservation == 1


def test_a_remote_start_of_the_group_asks_the_network_for_it() -> None:
    world = World(known={"MATE": TokenInfo(TokenStatus.ACCEPTED, "FAMILY"), "OTHER": ACCEPTED})
    reserve(world, group="FAMILY")
    assert world.call("remote_start", RemoteStart(Token("OTHER"), 1)) is True, "only the network knows"
    world.plug()
    world.run(3)
    assert world.started() == []
    assert world.call("remote_start", RemoteStart(Token("MATE"), 1)) is True
    world.run(3)
    assert [event.token for event in world.started()] == ["MATE"]


def test_it_expires_by_itself() -> None:
    world = World()
    reserve(world, seconds=30)
    world.run(29)
    assert world.status() == "Reserved"
    world.run(2)
    assert world.reports[1].status is ConnectorStatus.AVAILABLE
    assert world.kept["reservation"] == {}


@pytest.mark.parametrize("off", ["agent", "power"])
def test_it_survives_a_restart(off: str) -> None:
    world = World()
    reserve(world, 3, seconds=120)
    if off == "agent":
        world.restart_agent()
    else:
        world.power_cut(60)
    world.run(1)
    assert world.status() == "Reserved"
    world.plug()
    world.tap("OWNER")
    world.run(5)
    assert world.started()[0].reservation == 3


def test_it_is_over_when_the_power_cut_outlasted_it() -> None:
    world = World()
    reserve(world, seconds=120)
    world.power_cut(180)
    world.run(1)
    assert world.status() == "Available"


def test_the_same_number_replaces_also_at_another_evse() -> None:
    world = World(config(evses=2))
    reserve(world, 5, 1)
    assert reserve(world, 5, 2, "SECOND") is ReservationAnswer.ACCEPTED
    world.run(1)
    assert (world.status(1), world.status(2)) == ("Available", "Reserved")
    assert reserve(world, 5, 2, "THIRD") is ReservationAnswer.ACCEPTED
    assert len(world.kept["reservation"]) == 1


def test_a_refused_replacement_leaves_the_old_one() -> None:
    world = World(config(evses=2))
    reserve(world, 5, 1)
    assert reserve(world, 5, 9) is ReservationAnswer.REJECTED
    assert world.status(1) == "Reserved"


def test_refusals() -> None:
    world = World(config(evses=2), settings={})
    assert reserve(world, evse=3) is ReservationAnswer.REJECTED
    assert reserve(world, seconds=-1) is ReservationAnswer.REJECTED
    assert reserve(world, 1, 1) is ReservationAnswer.ACCEPTED
    assert reserve(world, 2, 1, "SECOND") is ReservationAnswer.OCCUPIED
    world.plug(2)
    assert reserve(world, 3, 2) is ReservationAnswer.OCCUPIED
    assert reserve(world, 4, 0) is ReservationAnswer.OCCUPIED
    world.unplug(2)
    world.fault(2, FaultCode.PILOT)
    assert reserve(world, 3, 2) is ReservationAnswer.FAULTED
    world.fault(2, FaultCode.PILOT, active=False)
    world.call("change_availability", 2, False)
    assert reserve(world, 3, 2) is ReservationAnswer.UNAVAILABLE
    world.call("cancel_reservation", 1)
    world.call("change_availability", 1, False)
    assert reserve(world, 4, 0) is ReservationAnswer.UNAVAILABLE
    world.fault(1, FaultCode.PILOT)
    world.fault(2, FaultCode.PILOT)
    assert reserve(world, 4, 0) is ReservationAnswer.FAULTED
    assert world.kept["reservation"] == {}


@pytest.mark.parametrize(
    ("settings", "evse"),
    [({"ReservationCtrlr.Enabled": "false"}, 1), ({"ReservationCtrlr.NonEvseSpecific": "false"}, 0)],
)
def test_what_is_switched_off_is_rejected(settings: dict[str, str], evse: int) -> None:
    assert reserve(World(settings=settings), evse=evse) is ReservationAnswer.REJECTED


def test_cancelling_frees_it_and_an_unknown_one_is_refused() -> None:
    world = World()
    reserve(world)
    assert world.call("cancel_reservation", 2) is False
    assert world.call("cancel_reservation", 1) is True
    assert world.call("cancel_reservation", 1) is False
    assert world.status() == "Available"


@pytest.mark.parametrize("end", ["fault", "unavailable"])
def test_a_fault_or_an_outage_ends_it(end: str) -> None:
    world = World()
    reserve(world)
    if end == "fault":
        world.fault(1, FaultCode.PILOT)
        world.fault(1, FaultCode.PILOT, active=False)
    else:
        world.call("change_availability", 1, False)
        world.call("change_availability", 1, True)
    world.run(1)
    assert world.status() == "Available"
    assert world.kept["reservation"] == {}


def test_any_one_is_kept_free() -> None:
    world = World(config(evses=2))
    assert reserve(world, 1, 0) is ReservationAnswer.ACCEPTED
    assert (world.status(1), world.status(2)) == ("Available", "Available"), "one of the two may still be used"
    world.plug(1)
    world.tap("OTHER")
    world.run(3)
    assert [event.token for event in world.started()] == ["OTHER"]
    assert world.status(2) == "Reserved"
    world.tap("THIRD")
    world.plug(2)
    world.tap("THIRD")
    world.run(3)
    assert len(world.started()) == 1
    world.tap("OWNER")
    world.run(3)
    assert (world.started()[1].token, world.started()[1].reservation) == ("OWNER", 1)


def test_two_authorised_drivers_cannot_outrun_a_floating_reservation() -> None:
    world = World(config(evses=2))
    reserve(world, 1, 0)
    world.tap("FIRST")
    world.now += 2
    world.tap("SECOND")
    world.plug(1)
    world.plug(2)
    world.run(3)
    assert [event.token for event in world.started()] == ["FIRST"]


def test_an_authorised_owner_who_never_plugs_leaves_the_reservation_standing() -> None:
    world = World(settings={"TxCtrlr.EVConnectionTimeOut": "20"})
    reserve(world)
    world.tap("OWNER", 1)
    world.run(1)
    assert world.status() == "Preparing"
    world.run(30)
    assert world.status() == "Reserved"
    assert world.history[1][-3:] == ["Preparing", "Available", "Reserved"], "the way that OCPP 1.6 §4.9 allows"


def test_an_unreadable_reservation_is_dropped() -> None:
    world = World()
    world.kept["reservation"]["9"] = {"id": 9}
    world.restart_agent()
    world.run(1)
    assert world.kept["reservation"] == {}
    assert world.status() == "Available"


def test_between_gives_allowed_steps_for_every_pair() -> None:
    for old, new in itertools.product(ConnectorStatus, repeat=2):
        way = [old, *between(old, new), new] if old is not new else [old]
        for one, other in itertools.pairwise(way):
            assert other in ALLOWED[one], (old, new)
        if new in ALLOWED[old]:
            assert between(old, new) == ()
        assert len(way) <= 4


SECTION_4_9 = """
Available: Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted
Preparing: Available Charging SuspendedEV SuspendedEVSE Finishing Faulted
Charging: Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted
SuspendedEV: Available Charging SuspendedEVSE Finishing Unavailable Faulted
SuspendedEVSE: Available Charging SuspendedEV Finishing Unavailable Faulted
Finishing: Available Preparing Unavailable Faulted
Reserved: Available Preparing Unavailable Faulted
Unavailable: Available Preparing Charging SuspendedEV SuspendedEVSE Faulted
Faulted: Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable
"""


def test_the_table_is_that_of_the_standard() -> None:
    for line in SECTION_4_9.split("\n")[1:-1]:
        old, _, targets = line.partition(": ")
        assert {status.value for status in ALLOWED[ConnectorStatus(old)]} == set(targets.split()), old
