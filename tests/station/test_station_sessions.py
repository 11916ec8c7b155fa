"""Sessions as people have them, in virtual time."""

from __future__ import annotations

import pytest
from station_world import World, config

from agent.journal.events import StartTrigger, StopReason
from agent.link.messages import HoldCable, Permit, Withdraw
from agent.station.effects import Record, ReportStatus


def test_plug_tap_charge_unplug():
    world = World()
    world.run(3)
    assert world.status() == "Available"
    world.plug()
    assert world.status() == "Preparing"
    assert world.started() == []
    world.run(2)
    world.tap("04AABBCC")
    started = world.started()[0]
    assert (started.token, started.evse, started.trigger) == ("04AABBCC", 1, StartTrigger.AUTHORIZED)
    assert started.meter_wh == 1000.25
    assert not started.offline
    assert not started.meter_stale
    world.run(600)
    assert world.status() == "Charging"
    assert world.outlets[1].hold
    world.unplug()
    world.run(5)
    ended = world.ended()[0]
    assert ended.reason is StopReason.EV_DISCONNECTED
    assert ended.meter_wh == world.outlets[1].register_wh
    assert ended.meter_wh > started.meter_wh + 1000
    assert world.status() == "Available"
    assert world.history[1] == ["Available", "Preparing", "Charging", "Available"]
    assert not world.outlets[1].hold
    assert world.kept["session"] == {}


def test_tap_first_then_plug():
    world = World()
    world.run(2)
    world.tap()
    assert world.status() == "Preparing"
    world.run(30)
    assert world.started() == []
    world.plug()
    world.run(2)
    assert world.started()[0].trigger is StartTrigger.CABLE_PLUGGED_IN
    told = [
        effect.report.status.value if isinstance(effect, ReportStatus) else type(effect.event).__name__
        for effect in world.log
        if isinstance(effect, Record) or (isinstance(effect, ReportStatus) and effect.report.evse == 1)
    ]
    assert told == ["Available", "Preparing", "TransactionStarted", "Charging", "TransactionUpdated"]


def test_tap_and_nobody_plugs():
    world = World(settings={"TxCtrlr.EVConnectionTimeOut": "45"})
    world.run(1)
    world.tap()
    world.run(44)
    assert world.status() == "Preparing"
    world.run(2)
    assert world.status() == "Available"
    world.plug()
    world.run(5)
    assert world.started() == []


def test_stop_with_the_same_card_counts_the_energy_until_the_contacts_open():
    world = World()
    world.plug()
    world.run(2)
    world.tap()
    world.run(60)
    before = world.outlets[1].register_wh
    world.tap()
    assert world.ended() == []
    assert world.outlets[1].closed
    world.run(10)
    ended = world.ended()[0]
    assert ended.reason is StopReason.LOCAL
    assert ended.token == "04AABBCC"
    assert ended.meter_wh == world.outlets[1].register_wh > before
    assert world.status() == "Finishing"
    assert not world.outlets[1].hold
    world.run(60)
    assert len(world.started()) == 1
    world.unplug()
    assert world.status() == "Available"


def test_permits_are_renewed_three_times_per_lease_with_rising_serials():
    world = World()
    world.plug()
    world.run(2)
    world.tap()
    world.run(200)
    permits = world.sent(Permit)
    assert len(permits) >= 10
    assert [permit.serial for permit in permits] == sorted({permit.serial for permit in permits})
    assert {permit.current_a for permit in permits} == {32.0}
    assert {permit.transaction for permit in permits} == {world.started()[0].transaction}
    world.tap()
    world.run(2)
    assert world.sent(Withdraw)[-1].reason == "Local"


def test_agent_restart_in_mid_session_goes_on():
    world = World()
    world.plug()
    world.run(2)
    world.tap()
    world.run(100)
    serial = world.outlets[1].permit.serial
    withdrawals = len(world.sent(Withdraw))
    world.restart_agent()
    assert len(world.sent(Withdraw)) == withdrawals
    assert world.outlets[1].closed
    assert world.outlets[1].permit.serial > serial
    world.run(100)
    world.unplug()
    world.run(5)
    assert len(world.started()) == len(world.ended()) == 1
    assert world.ended()[0].meter_wh == world.outlets[1].register_wh


@pytest.mark.parametrize("socket", [True, False])
def test_fixed_cables_are_never_held(socket):
    world = World(config(socket=socket))
    world.plug()
    world.run(2)
    world.tap()
    world.run(10)
    assert bool(world.sent(HoldCable)) is socket
