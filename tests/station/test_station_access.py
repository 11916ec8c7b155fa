"""Who may charge and where, by the rules of OCPP 2: levels of availability, connector types, groups, master passes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station_world import ACCEPTED, World, config

from agent.config.schema import ConnectorType
from agent.link.messages import FaultCode
from agent.station.commands import (
    AvailabilityAnswer,
    Level,
    RemoteStart,
    Reservation,
    ReservationAnswer,
    ReservationEnd,
    UnlockAnswer,
)
from agent.station.evse import Evse
from agent.station.reservations import _enough
from agent.station.tokens import Token, TokenInfo, TokenStatus

FLEXIBLE = ("ocpp2.0.1",)
MASTER = {"AuthCtrlr.MasterPassGroupId": "POLICE"}


def world(evses: int = 1, settings: dict[str, str] | None = None, **more: object) -> World:
    return World(config(evses=evses, versions=FLEXIBLE), settings, **more)


def change(here: World, level: Level, operative: bool, evse: int = 1) -> AvailabilityAnswer:
    answer, effects = here.station.within(
        lambda: here.station.access.availability.change_at(level, evse, operative), here.moment()
    )
    here.do(effects)
    return answer


def reserve(here: World, number: int = 1, evse: int = 1, uid: str = "OWNER", **more: str) -> ReservationAnswer:
    return here.call("reserve", Reservation(number, evse, Token(uid), here.moment().utc_s + 600, **more))


# ---- availability --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(Level), st.booleans(), st.sampled_from((1, 2)), st.booleans()), max_size=8))
def test_every_level_keeps_its_state_over_restarts(changes: list) -> None:
    """G03 and G04, note 1"""
    here = world(2)
    wanted: dict[tuple[Level, int], bool] = {}
    for level, operative, evse, restart in changes:
        assert change(here, level, operative, evse) is AvailabilityAnswer.ACCEPTED
        wanted[level, 0 if level is Level.STATION else evse] = operative
        if restart:
            here.restart_agent()
        for evse_number in (1, 2):
            levels = ((Level.STATION, 0), (Level.EVSE, evse_number), (Level.CONNECTOR, evse_number))
            there = all(wanted.get(key, True) for key in levels)
            assert here.status(evse_number) == ("Available" if there else "Unavailable")


def test_the_word_of_1_6_goes_for_every_level() -> None:
    here = world()
    for level in Level:
        change(here, level, False)
    assert here.call("change_availability", 1, True) is AvailabilityAnswer.ACCEPTED
    assert here.status() == "Unavailable"  # the station as a whole is still out of service
    here.call("change_availability", 0, True)
    assert here.status() == "Available"
    assert here.kept["availability"] == {}


def test_what_runs_is_let_finish() -> None:
    here = world()
    here.plug()
    here.tap("A")
    here.run(3)
    for level in Level:
        assert change(here, level, False) is AvailabilityAnswer.SCHEDULED
        assert change(here, level, True) is AvailabilityAnswer.ACCEPTED
    assert change(here, Level.EVSE, False, 7) is AvailabilityAnswer.REJECTED


# ---- unlocking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("versions", "answer"), [(FLEXIBLE, UnlockAnswer.ONGOING), (("ocpp1.6",), UnlockAnswer.UNLOCKED)]
)
def test_unlocking_ends_a_charge_under_1_6_alone(versions: tuple[str, ...], answer: UnlockAnswer) -> None:
    """F05.FR.02; OCPP 1.6 §5.18"""
    here = World(config(versions=versions))
    here.plug()
    here.tap("A")
    here.run(3)
    here.do(here.station.unlock(1, 9, here.moment()))
    here.run(12)
    assert here.unlocks == {9: answer}
    assert bool(here.ended()) is (answer is UnlockAnswer.UNLOCKED)


def unlocked(here: World) -> UnlockAnswer:
    here.do(here.station.unlock(1, 9, here.moment()))
    here.run(12)
    return here.unlocks.pop(9)


@pytest.mark.parametrize("start", ["Authorized", "PowerPathClosed", "EnergyTransfer"])
def test_unlocking_under_ocpp_2_takes_nothing_from_anybody(start: str) -> None:
    here = world(settings={"TxCtrlr.TxStartPoint": start})
    assert unlocked(here) is UnlockAnswer.UNLOCKED  # F05.FR.06
    here.tap("A")
    waits = UnlockAnswer.ONGOING if start == "Authorized" else UnlockAnswer.UNLOCKED
    assert unlocked(here) is waits
    here.outlets[1].wants = False
    here.plug()
    here.run(3)
    assert unlocked(here) is UnlockAnswer.ONGOING
    here.outlets[1].wants = True
    here.run(5)
    assert len(here.started()) == 1
    assert here.ended() == []


@pytest.mark.parametrize(("stop", "ends"), [("EVConnected", False), ("Authorized", True)])
def test_a_charge_that_is_being_ended_is_unlocked_in_the_end(stop: str, ends: bool) -> None:
    here = world(settings={"TxCtrlr.TxStopPoint": stop})
    here.plug()
    here.tap("A")
    here.run(5)
    here.tap("A")
    assert unlocked(here) is UnlockAnswer.UNLOCKED
    assert bool(here.ended()) is ends


# ---- reservations --------------------------------------------------------------------------------------------------


def evse(number: int, socket: bool) -> Evse:
    (place,) = config(socket=socket).evses
    return Evse(number, place)


@given(st.lists(st.booleans(), max_size=4), st.lists(st.sampled_from(("", "sType2", "cType2")), max_size=4))
def test_enough_is_what_trying_every_order_says(sockets: list[bool], wanted: list[str]) -> None:
    free = [evse(number, socket) for number, socket in enumerate(sockets, 1)]
    needed = [Reservation(number, 0, Token("X"), 0.0, connector=kind) for number, kind in enumerate(wanted)]
    tried = any(
        all(kind in ("", place.connector_type) for kind, place in zip(wanted, order, strict=False))
        for order in itertools.permutations(free, len(wanted))
    )
    assert _enough(free, needed) is tried


def test_a_connector_of_the_type_stays_free() -> None:
    """H01.FR.09: one socket and one fixed cable; the socket is kept, the cable may go to anybody."""
    both = config(evses=2, versions=FLEXIBLE)
    mixed = replace(both, evses=(both.evses[0], replace(both.evses[1], connector=ConnectorType.CABLE)))
    here = World(mixed)
    assert reserve(here, 1, 0, connector="sType2") is ReservationAnswer.ACCEPTED
    assert reserve(here, 2, 0, "SECOND", connector="sType2") is ReservationAnswer.OCCUPIED
    assert (here.status(1), here.status(2)) == ("Reserved", "Available")
    here.restart_agent()
    here.plug(1)
    here.tap("OTHER", 1)
    here.run(3)
    assert here.started() == []
    here.plug(2)
    here.tap("OTHER", 2)
    here.run(3)
    assert [event.evse for event in here.started()] == [2]


def ended(here: World) -> dict[int, ReservationEnd]:
    return dict(here.station.access.reservations.ended)


def test_how_a_reservation_ended_is_known_until_it_was_told() -> None:
    here = world(2)
    reserve(here, 1, 1)
    reserve(here, 2, 2, "OTHER")
    here.fault(1, FaultCode.PILOT)
    assert ended(here) == {1: ReservationEnd.REMOVED}
    here.run(700, step_s=60)
    assert ended(here) == {1: ReservationEnd.REMOVED, 2: ReservationEnd.EXPIRED}
    here.restart_agent()
    assert ended(here) == {1: ReservationEnd.REMOVED, 2: ReservationEnd.EXPIRED}
    here.do(here.station.within(lambda: here.station.access.reservations.end_told(1), here.moment())[1])
    here.restart_agent()
    assert ended(here) == {2: ReservationEnd.EXPIRED}


def test_nobody_is_told_under_1_6() -> None:
    here = World()
    reserve(here)
    here.run(700, step_s=60)
    assert (ended(here), here.kept["reservation"]) == ({}, {})


def test_only_so_many_ends_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.station.reservations.MOST_ENDED", 3)
    here = world()
    for number in range(5):
        reserve(here, number)
        here.run(700, step_s=60)
    assert list(ended(here)) == [2, 3, 4]
    assert len(here.kept["reservation"]) == 3


def test_a_driver_who_came_uses_the_reservation_up_and_keeps_its_number_over_a_restart() -> None:
    """H03.FR.09, H01.FR.15"""
    here = world()
    reserve(here, 7)
    here.tap("OWNER")
    assert (here.kept["reservation"], here.status()) == ({}, "Available")
    here.restart_agent()
    here.plug()
    here.run(3)
    assert [event.reservation for event in here.started()] == [7]
    assert ended(here) == {}


def test_a_driver_who_came_and_left() -> None:
    """2.1 H03.FR.11"""
    here = world(settings={"TxCtrlr.EVConnectionTimeOut": "30"})
    reserve(here, 7)
    here.tap("OWNER")
    here.run(40)
    assert ended(here) == {7: ReservationEnd.NO_TRANSACTION}


# ---- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_for_some_evses_is_given_one_of_them() -> None:
    """C01.FR.21"""
    here = world(3, known={"A": TokenInfo(TokenStatus.ACCEPTED, evses=(2, 3))})
    here.plug(1)
    here.tap("A")
    here.run(3)
    assert here.started() == []
    here.plug(2)
    here.run(3)
    assert [event.evse for event in here.started()] == [2]


def test_a_token_for_an_evse_that_is_not_here() -> None:
    here = world(known={"A": TokenInfo(TokenStatus.ACCEPTED, evses=(9,))})
    here.plug()
    here.tap("A")
    here.run(3)
    assert here.started() == []


@pytest.mark.parametrize("stop", ["Authorized", "EVConnected"])
def test_a_master_pass_ends_every_transaction_by_its_stop_point(stop: str) -> None:
    """C16.FR.02 and its remark"""
    police = TokenInfo(TokenStatus.ACCEPTED, "police")
    here = world(2, {**MASTER, "TxCtrlr.TxStopPoint": stop}, known={"COP": police, "A": ACCEPTED, "B": ACCEPTED})
    for number, uid in ((1, "A"), (2, "B")):
        here.plug(number)
        here.tap(uid, number)
    here.run(5)
    assert len(here.started()) == 2
    here.tap("COP")
    here.run(10)
    assert all(outlet.permit is None and not outlet.hold for outlet in here.outlets.values())
    if stop == "EVConnected":
        assert here.ended() == []
        for number in (1, 2):
            here.unplug(number)
        here.run(5)
    assert [event.reason.value for event in here.ended()] == ["MasterPass", "MasterPass"]


def test_a_master_pass_starts_nothing() -> None:
    """C12.FR.09, C16.FR.03"""
    here = world(settings=MASTER, known={"COP": TokenInfo(TokenStatus.ACCEPTED, "POLICE")})
    here.plug()
    here.tap("COP")
    assert here.call("remote_start", RemoteStart(Token("COP"), 1)) is False
    assert here.call("remote_start", RemoteStart(Token("X"), 1, group="Police")) is False
    here.run(3)
    assert here.started() == []


def test_a_group_of_a_token_that_has_expired_stops_nothing() -> None:
    """C01.FR.03, C09.FR.07: it must be valid"""
    mate = TokenInfo(TokenStatus.ACCEPTED, "FAMILY", 1_770_002_000.0)
    here = world(known={"A": TokenInfo(TokenStatus.ACCEPTED, "FAMILY"), "MATE": mate})
    here.tap("MATE")
    here.run(70)
    here.plug()
    here.tap("A")
    here.run(1000, step_s=30)
    here.answers["MATE"] = TokenInfo(TokenStatus.EXPIRED, "FAMILY")
    here.tap("MATE")
    here.run(5)
    assert here.ended() == []
