"""Start and stop points of a transaction, by single stories in virtual time (OCPP 2.0.1 E01 to E10)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from station_world import World, config

from agent.config.schema import Installation
from agent.journal.events import ChargingState, Context, MeterSampled, StopReason, TransactionUpdated, Trigger
from agent.link.messages import MeterSample
from agent.ocpp.v2.render import Renderer2
from agent.ocpp.v2.version import Version
from agent.ocpp.v16.render import Renderer16
from agent.station.commands import RemoteStart, Reservation
from agent.station.points import Facts, Point, begins, ends_unauthorised, ends_unconnected
from agent.station.session import Phase
from agent.station.tokens import Token, TokenInfo, TokenStatus

START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"


def flexible(start="PowerPathClosed", stop="EVConnected,Authorized", evses=1, socket=True, **texts):
    named = {name.replace("__", "."): text for name, text in texts.items()}
    versions = ("ocpp2.0.1",)
    return World(config(evses=evses, socket=socket, versions=versions), {START: start, STOP: stop, **named})


def updates(world):
    return [event for event in world.records if isinstance(event, TransactionUpdated)]


def at_the_desk(world, deed):
    answer = deed(world.station.desk)
    world.do(world.station.timer(world.moment()))
    return answer


def charging(world):
    world.plug()
    world.run(1)
    world.tap()
    world.run(3)
    assert world.session().state is ChargingState.CHARGING


@pytest.mark.parametrize(
    ("connected", "authorised", "energy", "points"),
    [
        (False, False, False, set()),
        (True, False, False, {"EVConnected"}),
        (False, True, False, {"Authorized"}),
        (True, True, False, {"EVConnected", "Authorized", "PowerPathClosed"}),
        (True, True, True, {"EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer"}),
    ],
)
def test_which_points_hold(connected, authorised, energy, points):
    """Part 2 §2.6.6."""
    facts = Facts(connected, authorised, energy)
    for point in Point:
        assert begins(frozenset({point}), facts) is (point.value in points)


def test_what_ends_with_what():
    def those(ends):
        return [point.value for point in Point if ends(frozenset({point}))]

    assert those(ends_unconnected) == ["EVConnected", "PowerPathClosed"]
    assert those(ends_unauthorised) == ["Authorized", "PowerPathClosed"]


@pytest.mark.parametrize(("versions", "told"), [(("ocpp2.0.1",), {0, 1}), (("ocpp1.6",), {1})])
def test_the_buildings_meter_is_told_as_evse_0(versions, told):
    """J01.FR.03, J01.FR.04, J01.FR.14."""
    feed = Installation(
        max_current_a=32.0, phases=3, grid_meter="house", grid_max_current_a=40.0, grid_fallback_current_a=6.0
    )
    settings = {"AlignedDataCtrlr.Interval": "10", "AlignedDataCtrlr.Measurands": "Energy.Active.Import.Register"}
    world = World(replace(config(versions=versions), installation=feed), settings)
    for _ in range(25):
        sample = MeterSample(0, world.now, 7_000_000.0, 4000.0, (230.0,) * 3, (6.0,) * 3, 50.0, "good")
        world.do(world.station.handle(sample, world.moment()))
        world.run(1)
    assert {report.evse for report in world.meter_reports} == told
    whole = [report.samples[0].value for report in world.meter_reports if report.evse == 0]
    assert set(whole) <= {7_000_000.0}


def test_a_refused_token_may_have_some_energy_first():
    """E05.FR.03, then E05.FR.02."""
    world = flexible(TxCtrlr__StopTxOnInvalidId="false", TxCtrlr__MaxEnergyOnInvalidId="100")
    charging(world)
    world.call("start_answered", world.session().transaction, TokenInfo(TokenStatus.BLOCKED))
    refused_wh = world.outlets[1].register_wh
    world.run(10)
    assert world.outlets[1].closed
    world.run(120)
    assert not world.outlets[1].closed
    assert 100 <= world.outlets[1].register_wh - refused_wh < 120
    assert updates(world)[-1].state is ChargingState.SUSPENDED_EVSE
    assert not world.ended()


def test_the_number_of_phases_is_told_when_it_changes():
    """E02.FR.18, E02.FR.19."""
    world = flexible()
    charging(world)
    assert updates(world)[-1].phases == 3
    outlet = world.outlets[1]
    for _ in range(2):
        world.now += 1.0
        world.do(world.station.handle(replace(outlet.observation(world.now), phases=1), world.moment()))
    told = updates(world)[-1]
    assert (told.trigger, told.phases) == (Trigger.CHARGING_RATE_CHANGED, 1)
    assert [event.phases for event in updates(world)] == [3, 1]


@pytest.mark.parametrize("start", ["EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer"])
def test_the_reservation_that_it_ends_is_told_once(start):
    """E01.FR.13, E02.FR.03, E03.FR.03."""
    world = flexible(start)
    wanted = Reservation(42, 1, Token("04AABBCC"), world.now + world.utc_offset + 600)
    world.call("reserve", wanted)
    world.tap()
    world.run(1)
    world.plug()
    world.run(3)
    told = [event.reservation for event in world.records if getattr(event, "reservation", None) is not None]
    assert told == [42]


def test_under_1_6_the_points_are_what_they_always_were():
    world = World(config(), {START: "EVConnected", STOP: "EnergyTransfer"})
    world.plug()
    world.run(2)
    assert not world.records
    world.tap()
    world.run(3)
    world.outlets[1].wants = False
    world.run(3)
    assert not world.ended()
    world.tap()
    world.run(5)
    assert [event.reason for event in world.ended()] == [StopReason.LOCAL]
    assert not world.session().stop_points


KEYS_OF_OLD = (
    "phase token trigger authorised order group remote_start_id transaction started start_wh register_wh saved_utc_s "
    "state refused refused_wh stopped reason stop_token hold_cable left profile cap signing signed key_told history"
)


def test_under_1_6_the_documents_are_what_an_older_version_reads():
    """After a roll-back of the software the charge goes on."""
    world = World(config(), {"OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"})
    seen = set()

    def look():
        document = world.kept["session"].get("1")
        if document is not None:
            assert set(document) == set(KEYS_OF_OLD.split())
            seen.add(document["phase"])

    steps = (world.tap, world.plug, world.tap, lambda: world.unplug(cable=False))
    for step in steps:
        step()
        for _ in range(40):
            world.run(0.2, step_s=0.2)
            look()
    assert seen == {"waiting", "running", "stopping", "finished"}
    assert not world.ended()[0].meter_stale


def test_what_is_open_goes_on_as_it_began_when_the_network_changes_its_version():
    world = flexible("EVConnected", "EVConnected")
    world.plug()
    world.run(1)
    (started,) = world.started()
    assert started.token == ""
    at_the_desk(world, lambda desk: desk.speak(flexible=False))
    world.tap()
    world.run(3)
    world.tap()
    world.run(5)
    assert not world.ended()
    world.unplug()
    world.run(2)
    assert [event.transaction for event in world.ended()] == [started.transaction]
    world.plug()
    world.run(2)
    assert len(world.started()) == 1  # the next one is 1.6's


def test_values_from_before_anybody_was_authorised_belong_to_no_transaction_of_1_6():
    world = flexible("EVConnected", SampledDataCtrlr__TxUpdatedInterval="2")
    world.plug()
    world.run(5)
    world.tap()
    world.run(5)
    said = [Renderer16().render(event, 1.7e9, 1) for event in world.records]
    assert [message.action for message in said if message is not None][:2] == ["StartTransaction", "MeterValues"]
    early = [event.early for event in world.records if isinstance(event, MeterSampled)]
    assert early == sorted(early, reverse=True)
    assert set(early) == {True, False}


def test_a_vehicle_without_a_driver_waits_for_one_and_holds_no_cable():
    world = flexible("EVConnected")
    world.plug()
    world.run(2)
    assert world.session().open
    assert world.reasons() == ["not_authorised"]
    assert not world.outlets[1].hold
    assert world.status() == "Preparing"


def test_a_remote_start_joins_the_transaction_of_the_vehicle_that_waits():
    """F01.FR.13, F01.FR.19, F01.FR.25."""
    world = flexible("EVConnected")
    world.plug()
    world.run(1)
    assert world.call("remote_start", RemoteStart(Token("APP", "Central"), 1, 7))
    (granted,) = updates(world)
    assert (granted.trigger, granted.remote_start_id) == (Trigger.REMOTE_START, 7)
    assert (granted.token, granted.token_kind) == ("APP", "Central")
    assert granted.transaction == world.started()[0].transaction
    world.run(3)
    assert world.outlets[1].closed
    assert not world.call("remote_start", RemoteStart(Token("OTHER", "Central"), 1, 8))  # F01.FR.24


def test_what_is_open_is_told_when_the_network_asks():
    """F06.FR.07, E14.FR.02."""
    world = flexible("EVConnected,Authorized", evses=2)
    desk = world.station.desk

    def ask(number):
        return at_the_desk(world, lambda desk: desk.trigger(number))

    assert not ask(None)
    world.plug(2)
    world.run(1)
    assert desk.open() == {world.started()[0].transaction: 2}
    assert not ask(1)
    assert ask(2)
    told = updates(world)[-1]
    assert (told.trigger, told.state) == (Trigger.TRIGGER, ChargingState.EV_CONNECTED)
    assert [sample.measurand for sample in told.samples] == ["Energy.Active.Import.Register"]


def test_a_meter_that_was_silent_at_the_start_tells_its_register_with_the_driver():
    """Never a register that nobody has read: found by the machine, which saw a start at 0 Wh."""
    world = flexible("EVConnected")
    world.outlets[1].meter_works = False
    world.plug()
    world.run(5)
    (started,) = world.started()
    assert started.meter_stale
    assert "meterValue" not in Renderer2(Version.V201).render(started, 1.7e9, 0).payload
    world.outlets[1].meter_works = True
    world.run(2)
    world.tap()
    world.run(10)
    (granted,) = [event for event in updates(world) if event.trigger is Trigger.AUTHORIZED]
    assert granted.start_wh == 1000.25
    assert [(sample.value, sample.context) for sample in granted.samples] == [(1000.25, Context.TRANSACTION_BEGIN)]
    world.unplug()
    world.run(5)
    (ended,) = world.ended()
    assert ended.meter_wh == world.outlets[1].register_wh
    assert not ended.meter_stale


def test_a_meter_that_was_silent_when_the_charging_ended_tells_the_rest_before_the_transaction_does():
    world = flexible("EVConnected", "EVConnected")
    charging(world)
    world.outlets[1].meter_works = False
    world.run(60)
    world.tap()
    world.run(20)
    assert world.session().stale
    world.outlets[1].meter_works = True
    world.run(2)
    world.outlets[1].meter_works = False
    world.run(20)
    world.unplug()
    world.run(2)
    (ended,) = world.ended()
    assert ended.meter_wh == world.outlets[1].register_wh
    assert not ended.meter_stale


def test_which_version_is_spoken_is_known_again_after_a_restart():
    world = World(config(), {START: "EVConnected"})
    at_the_desk(world, lambda desk: desk.speak(flexible=True))
    world.restart_agent()
    world.plug()
    world.run(1)
    assert len(world.started()) == 1


def test_a_transaction_without_a_driver_ends_with_a_reset():
    world = flexible("EVConnected", "EVConnected")
    world.plug()
    world.run(1)
    world.restart_agent()
    assert world.session().open
    world.station._site.books = replace(world.station._site.books)
    world.do(world.station.make_safe(True, world.moment()))
    assert [event.reason for event in world.ended()] == [StopReason.EMERGENCY_STOP]
    assert world.ended()[0].anonymous


def test_no_new_transaction_begins_while_the_same_vehicle_stays():
    world = flexible("EVConnected", "Authorized")
    charging(world)
    world.tap()
    world.run(5)
    assert world.session().phase is Phase.FINISHED
    world.run(30)
    assert (len(world.started()), len(world.ended())) == (1, 1)
    world.unplug()
    world.run(1)
    world.plug()
    world.run(1)
    assert len(world.started()) == 2


def test_an_unplugged_driver_who_taps_again_changed_his_mind():
    """E07.FR.01."""
    world = flexible("Authorized", "Authorized", evses=2)
    world.tap()
    world.run(3)
    world.tap()
    assert [event.reason for event in world.ended()] == [StopReason.LOCAL]
    assert world.ended()[0].evse == 0
    assert not world.station._site.waiting
