"""Rules of authorisation, stopping, unlocking, availability, reset and restart, one by one."""

from __future__ import annotations

import pytest
from station_world import World, config

from agent.config.schema import MeterLoss
from agent.journal.events import MeterSampled, StartTrigger, StopReason, TransactionEnded, TransactionUpdated
from agent.link.messages import FaultCode, FaultReport, HoldCable, TokenPresented, Welcome, Withdraw
from agent.station.authorisation import Verdict, decide
from agent.station.commands import (
    AvailabilityAnswer,
    RemoteStart,
    ResetKind,
    SettingAnswer,
    UnlockAnswer,
)
from agent.station.settings import Settings
from agent.station.statuses import CHARGEX_CODES
from agent.station.tokens import Token, TokenInfo, TokenStatus

GOOD = TokenInfo(TokenStatus.ACCEPTED)
BLOCKED = TokenInfo(TokenStatus.BLOCKED)
INVALID = TokenInfo(TokenStatus.INVALID)


def in_session(settings=None, configuration=None, known=None, uid="04AABBCC", online=True):
    world = World(configuration, settings=settings, known=known, online=online)
    world.plug()
    world.run(2)
    world.tap(uid)
    world.run(20)
    assert world.status() == "Charging"
    return world


# ---- who may charge ------------------------------------------------------------------------------------------------

OLD = TokenInfo(TokenStatus.ACCEPTED, expires_utc_s=999.0)
UNKNOWN_OK = {"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}
NO_LOCAL = {"AuthCtrlr.LocalAuthorizeOffline": "false"}
PRE = {"AuthCtrlr.LocalPreAuthorize": "true"}


@pytest.mark.parametrize(
    ("known", "online", "settings", "verdict"),
    [
        (None, True, {}, Verdict.ASK),
        (GOOD, True, {}, Verdict.ASK),
        (GOOD, True, PRE, Verdict.ACCEPT),
        (BLOCKED, True, PRE, Verdict.ASK),
        (OLD, True, PRE, Verdict.ASK),
        (None, False, {}, Verdict.REFUSE),
        (None, False, UNKNOWN_OK, Verdict.ACCEPT),
        (GOOD, False, {}, Verdict.ACCEPT),
        (OLD, False, {}, Verdict.REFUSE),
        (OLD, False, UNKNOWN_OK, Verdict.REFUSE),
        (BLOCKED, False, UNKNOWN_OK, Verdict.REFUSE),
        (GOOD, False, NO_LOCAL, Verdict.REFUSE),
        (None, False, {**NO_LOCAL, **UNKNOWN_OK}, Verdict.ACCEPT),
    ],
)
def test_who_may_charge(known, online, settings, verdict):
    values = Settings()
    for name, text in settings.items():
        values.set(name, text)
    assert decide(known, online, values, utc_s=1000.0).verdict is verdict


def test_a_blocked_card_starts_nothing():
    world = World(known={"BAD00001": BLOCKED})
    world.plug()
    world.run(2)
    world.tap("BAD00001")
    assert world.outlets[1].indication == "refused"
    world.run(10)
    assert world.started() == []
    assert world.outlets[1].indication == "preparing"
    assert world.kept["token"]["bad00001"]["status"] == "Blocked"


def test_the_list_goes_before_the_cache_and_keeps_tokens_out_of_it():
    world = World(online=False)
    world.local_list.change(1, True, [("04aa", "Blocked", "", None)], [], 10)
    world.kept["token"]["04aa"] = {"status": "Accepted", "group": "", "expires_utc_s": None}
    world.kept["token"]["04bb"] = "rubbish"
    world.restart_agent()
    world.plug()
    world.run(2)
    world.tap("04AA")
    world.run(5)
    assert world.started() == []
    world.uplink(True)
    world.tap("04AA")
    world.run(5)
    assert len(world.started()) == 1
    assert world.kept["token"]["04aa"]["status"] == "Accepted", "the cache was not asked and not changed"
    assert (world.reports[0].error, world.reports[0].status.value) == ("LocalListConflict", "Available")


def test_offline_the_cache_remembers_what_the_network_said():
    world = in_session()
    world.unplug()
    world.run(5)
    world.uplink(False)
    world.restart_agent()
    world.plug()
    world.run(2)
    world.tap("STRANGER")
    world.run(2)
    assert len(world.started()) == 1
    world.tap("04aabbcc")
    world.run(2)
    assert len(world.started()) == 2
    assert world.started()[1].offline
    assert world.call("clear_cache")
    assert world.kept["token"] == {}


def test_no_cache_no_clearing():
    world = World(settings={"AuthCacheCtrlr.Enabled": "false"})
    assert world.call("clear_cache") is False
    world.plug()
    world.run(2)
    world.tap()
    assert world.kept["token"] == {}


def test_no_answer_means_offline_rules():
    world = World(settings=UNKNOWN_OK)
    world.auto_answer = False
    world.plug()
    world.run(2)
    world.tap()
    world.tap()
    assert len(world.asks) == 1
    assert world.reasons()[0] == "authorisation_pending"
    world.run(60)
    assert len(world.started()) == 1  # MessageTimeout and a margin went by
    request, _ = world.asks[0]
    world.do(world.station.authorisation_answered(request, BLOCKED, world.moment()))
    world.run(2)
    assert len(world.started()) == 1


def test_free_vend_charges_everybody_once_per_plug():
    world = World(config(free_vend=True))
    world.run(2)
    world.plug()
    world.run(30)
    assert world.started()[0].trigger is StartTrigger.FREE_VEND
    assert world.started()[0].token == "FREEVEND"
    assert world.call("remote_stop", world.started()[0].transaction)
    world.run(60)
    assert len(world.started()) == 1
    assert world.status() == "Finishing"
    world.unplug()
    world.run(2)
    world.plug()
    world.run(5)
    assert len(world.started()) == 2


# ---- refused afterwards --------------------------------------------------------------------------------------------


def test_refused_after_the_start_ends_and_holds_the_cable_for_its_owner():
    world = in_session()
    transaction = world.started()[0].transaction
    world.call("start_answered", transaction, INVALID)
    world.run(8)
    assert world.ended()[0].reason is StopReason.DE_AUTHORIZED
    assert world.outlets[1].hold
    assert world.reasons() == ["cable_held"]
    world.restart_agent()
    world.run(2)
    assert world.outlets[1].hold
    world.tap("SOMEBODY")
    world.run(2)
    assert world.outlets[1].hold
    world.tap("04aabbcc")
    world.run(2)
    assert not world.outlets[1].hold
    assert len(world.started()) == 1


def test_refused_after_the_start_may_suspend_instead():
    world = in_session({"TxCtrlr.StopTxOnInvalidId": "false"})
    world.call("start_answered", world.started()[0].transaction, INVALID)
    world.run(20)
    assert world.ended() == []
    assert world.status() == "SuspendedEVSE"
    assert world.reasons()[0] == "deauthorised"
    assert not world.outlets[1].closed
    world.unplug()
    world.run(5)
    assert world.ended()[0].reason is StopReason.EV_DISCONNECTED


@pytest.mark.parametrize("stop", ["true", "false"])
def test_some_energy_is_still_given(stop):
    world = in_session({"TxCtrlr.StopTxOnInvalidId": stop, "TxCtrlr.MaxEnergyOnInvalidId": "500"})
    world.call("start_answered", world.started()[0].transaction, INVALID)
    before = world.outlets[1].register_wh
    world.run(120)
    assert world.ended() == []
    world.run(200)
    assert 500 <= world.outlets[1].register_wh - before < 520
    assert len(world.ended()) == (stop == "true")


# ---- groups and readers --------------------------------------------------------------------------------------------


def test_a_card_of_the_same_group_stops():
    family = TokenInfo(TokenStatus.ACCEPTED, "FAMILY")
    world = in_session(known={"04AABBCC": family, "PARTNER1": family})
    world.run(5)
    world.tap("NEIGHBOUR")
    world.run(8)
    assert world.ended() == []
    world.tap("PARTNER1")
    world.run(8)
    assert world.ended()[0].token == "PARTNER1"
    assert world.ended()[0].reason is StopReason.LOCAL


def test_a_group_known_from_the_cache_stops_offline():
    family = TokenInfo(TokenStatus.ACCEPTED, "FAMILY")
    world = in_session(known={"04AABBCC": family})
    world.kept["token"]["partner1"] = {"status": "Accepted", "group": "family", "expires_utc_s": None}
    world.kept["token"]["barred01"] = {"status": "Blocked", "group": "family", "expires_utc_s": None}
    world.restart_agent()
    world.uplink(False)
    world.tap("BARRED01")
    world.run(8)
    assert world.ended() == []
    world.tap("PARTNER1")
    world.run(8)
    assert world.ended()[0].token == "PARTNER1"


def test_one_reader_for_two_outlets():
    world = World(config(evses=2))
    world.run(2)
    world.plug(2)
    world.run(3)
    world.tap("CARD0001")
    world.run(3)
    assert [(event.evse, event.token) for event in world.started()] == [(2, "CARD0001")]
    world.tap("CARD0002")  # nobody else is plugged: the next one
    world.run(3)
    world.plug(1)
    world.run(3)
    assert [(event.evse, event.token) for event in world.started()] == [(2, "CARD0001"), (1, "CARD0002")]
    world.tap("CARD0003")
    world.run(3)
    assert len(world.started()) == 2
    world.tap("CARD0001")
    world.run(9)
    assert [(event.evse, event.token) for event in world.ended()] == [(2, "CARD0001")]


def test_a_finished_vehicle_does_not_take_the_next_drivers_card():
    world = World(config(evses=2))
    world.plug(1)
    world.run(2)
    world.tap("CARD0001")
    world.run(10)
    world.tap("CARD0001")
    world.run(10)
    assert world.status(1) == "Finishing"
    world.tap("CARD0002")
    world.run(5)
    assert len(world.started()) == 1
    world.plug(2)
    world.run(5)
    assert [(event.evse, event.token) for event in world.started()] == [(1, "CARD0001"), (2, "CARD0002")]
    world.tap("CARD0001")
    world.run(5)
    assert [event.evse for event in world.started()] == [1, 2, 1]


def test_two_cards_wait_for_two_plugs_in_order():
    world = World(config(evses=2))
    world.run(1)
    world.tap("CARD0001")
    world.run(3)
    world.tap("CARD0002")
    world.run(3)
    world.tap("CARD0003")
    assert world.outlets[1].indication == "refused"
    world.restart_agent()
    world.plug(2)
    world.run(3)
    world.plug(1)
    world.run(3)
    assert [(event.evse, event.token) for event in world.started()] == [(2, "CARD0001"), (1, "CARD0002")]


def test_a_card_at_the_reader_of_a_busy_outlet_is_refused():
    world = World(config(evses=2))
    world.plug(1)
    world.run(2)
    world.tap("CARD0001", evse=1)
    world.run(10)
    world.tap("CARD0002", evse=1)
    world.run(5)
    assert len(world.started()) == 1
    world.tap("CARD0009", evse=7)
    world.run(1)


def test_a_card_left_on_the_reader_counts_once():
    world = World()
    world.plug()
    world.run(2)
    for _ in range(3):
        world.tap()
        world.now += 0.3
    world.run(10)
    assert world.ended() == []
    assert world.status() == "Charging"


# ---- remote --------------------------------------------------------------------------------------------------------


def test_remote_start_and_stop():
    world = World(config(evses=2))
    world.run(2)
    assert world.call("remote_start", RemoteStart(Token("REMOTE01"), 2, 42))
    assert world.status(2) == "Preparing"
    world.run(5)
    world.plug(2)
    world.run(20)
    started = world.started()[0]
    assert (started.evse, started.trigger, started.remote_start_id) == (2, StartTrigger.REMOTE_START, 42)
    assert not world.call("remote_start", RemoteStart(Token("REMOTE02"), 2))
    assert not world.call("remote_start", RemoteStart(Token("REMOTE02"), 9))
    assert not world.call("remote_start", RemoteStart(Token("\ud800"), 1))
    assert not world.call("remote_stop", "unknown")
    assert world.call("remote_stop", started.transaction)
    world.run(10)
    assert world.ended()[0].reason is StopReason.REMOTE
    assert not world.call("remote_stop", started.transaction)


def test_remote_start_without_a_place_takes_the_plugged_one():
    world = World(config(evses=2))
    world.run(2)
    world.plug(2)
    world.run(2)
    assert world.call("remote_start", RemoteStart(Token("REMOTE01")))
    world.run(2)
    assert world.started()[0].evse == 2
    assert world.call("remote_start", RemoteStart(Token("REMOTE02")))
    assert world.status(1) == "Preparing"


def test_remote_start_may_need_authorisation():
    world = World(settings={"AuthCtrlr.AuthorizeRemoteStart": "true"}, known={"REMOTE01": BLOCKED})
    world.plug()
    world.run(2)
    assert world.call("remote_start", RemoteStart(Token("REMOTE01"), 1, 1))
    world.run(5)
    assert world.started() == []
    assert world.call("remote_start", RemoteStart(Token("REMOTE02"), 1, 2))
    world.run(5)
    assert world.started()[0].remote_start_id == 2


def test_the_button_stops_and_calls_off():
    world = World()
    world.run(2)
    assert not world.call("local_stop", 1)
    assert not world.call("local_stop", 5)
    world.tap()
    assert world.call("local_stop", 1)
    assert world.status() == "Available"
    world.plug()
    world.run(5)
    world.tap()
    world.run(10)
    assert world.call("local_stop", 1)
    world.run(10)
    assert world.ended()[0].reason is StopReason.LOCAL


# ---- unplugging at the vehicle -------------------------------------------------------------------------------------


def test_unplugged_at_the_vehicle_the_transaction_may_go_on():
    world = in_session({"TxCtrlr.StopTxOnEVSideDisconnect": "false", "OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"})
    world.unplug(cable=False)
    world.run(30)
    assert world.ended() == []
    assert world.status() == "SuspendedEV"
    assert world.outlets[1].hold
    assert world.outlets[1].permit is None
    world.plug()
    world.run(10)
    assert world.status() == "Charging"
    assert len(world.started()) == 1
    world.unplug(cable=False)
    world.run(3)
    world.tap()
    world.run(8)
    assert world.ended()[0].reason is StopReason.LOCAL


def test_without_any_plug_no_transaction_goes_on():
    world = in_session({"TxCtrlr.StopTxOnEVSideDisconnect": "false"})
    world.unplug(cable=True)
    world.run(8)
    assert world.ended()[0].reason is StopReason.EV_DISCONNECTED


def test_unplugged_at_the_vehicle_the_cable_may_stay_locked():
    world = in_session({"OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"})
    world.unplug(cable=False)
    world.run(8)
    assert world.ended()[0].reason is StopReason.EV_DISCONNECTED
    assert world.outlets[1].hold
    world.tap()
    world.run(2)
    assert not world.outlets[1].hold
    assert world.status() == "Finishing"
    world.unplug()
    assert world.status() == "Available"


def test_a_cable_without_vehicle_is_preparing():
    world = World()
    world.run(2)
    world.outlets[1].cable = True
    world.observe()
    assert world.status() == "Preparing"
    world.tap()
    world.run(5)
    assert world.started() == []
    world.plug()
    world.run(2)
    assert len(world.started()) == 1


def test_the_vehicle_pauses_and_resumes():
    world = in_session()
    world.outlets[1].wants = False
    world.run(3)
    assert world.status() == "SuspendedEV"
    assert world.reasons() == ["vehicle_not_ready"]
    world.outlets[1].wants = True
    world.run(3)
    assert world.status() == "Charging"
    assert world.reasons() == []
    states = [event.state.value for event in world.records if isinstance(event, TransactionUpdated)]
    assert states == ["Charging", "SuspendedEV", "Charging"]


def test_short_states_are_not_reported():
    world = World(settings={"ChargingStation.MinimumStatusDuration": "10"})
    world.run(2)
    world.plug()
    world.run(2)
    world.tap()
    world.run(3)
    world.outlets[1].wants = False
    world.run(3)
    world.outlets[1].wants = True
    world.run(30)
    assert world.history[1] == ["Available", "Charging"]
    assert world.status() == "Charging"


# ---- unlock, availability, reset -----------------------------------------------------------------------------------


def test_unlock_ends_the_transaction_first():
    world = in_session()
    world.call("unlock", 1, 5)
    assert world.unlocks == {}
    world.run(10)
    assert world.unlocks == {5: UnlockAnswer.UNLOCKED}
    assert world.ended()[0].reason is StopReason.UNLOCK_COMMAND


def test_unlock_answers():
    world = World()
    world.run(2)
    world.plug()
    world.call("unlock", 1, 1)
    world.call("unlock", 9, 2)
    world.run(3)
    assert world.unlocks == {1: UnlockAnswer.UNLOCKED, 2: UnlockAnswer.NOT_SUPPORTED}
    fixed = World(config(socket=False))
    fixed.call("unlock", 1, 1)
    assert fixed.unlocks == {1: UnlockAnswer.NOT_SUPPORTED}


def test_a_lock_that_stays_shut_is_told():
    world = in_session()
    world.outlets[1].step = lambda now, dt: None  # contacts and lock stay as they are
    world.call("unlock", 1, 1)
    world.run(20)
    assert world.unlocks == {1: UnlockAnswer.FAILED}


def test_out_of_service_waits_for_the_transaction_and_survives_restarts():
    world = in_session()
    assert world.call("change_availability", 1, False) is AvailabilityAnswer.SCHEDULED
    world.run(20)
    assert world.status() == "Charging"
    world.restart_agent()
    world.run(2)
    assert world.status() == "Charging"
    world.tap()
    world.run(9)
    assert world.status() == "Unavailable"
    assert not world.outlets[1].operative
    world.restart_agent()
    world.run(2)
    assert world.status() == "Unavailable"
    assert world.call_statuses()[0].status.value == "Unavailable"
    world.tap()
    world.run(3)
    assert len(world.started()) == 1
    assert "inoperative" in world.reasons()
    assert world.call("change_availability", 0, True) is AvailabilityAnswer.ACCEPTED
    world.run(2)
    assert world.kept["availability"] == {}
    assert world.call("change_availability", 9, True) is AvailabilityAnswer.REJECTED
    assert world.call("change_availability", 0, False) is AvailabilityAnswer.ACCEPTED


def test_soft_reset_ends_transactions_first():
    world = in_session()
    assert world.call("reset", ResetKind.SOFT)
    assert world.restarts == []
    world.run(10)
    assert world.ended()[0].reason is StopReason.SCHEDULED_RESET
    assert world.restarts == [ResetKind.SOFT]
    world.restart_agent()
    world.run(5)
    assert world.status() == "Finishing"
    assert len(world.ended()) == 1


def test_hard_reset_ends_them_afterwards():
    world = in_session()
    assert world.call("reset", ResetKind.HARD)
    assert world.restarts == [ResetKind.HARD]
    assert world.ended() == []
    world.restart_agent()
    world.run(10)
    assert [event.reason for event in world.ended()] == [StopReason.IMMEDIATE_RESET]
    assert world.ended()[0].meter_wh == world.outlets[1].register_wh
    world.restart_agent()
    world.run(10)
    assert len(world.ended()) == 1
    world.unplug()
    world.run(2)
    world.plug()
    world.run(2)
    world.tap()
    world.run(5)
    assert len(world.started()) == 2


# ---- restarts ------------------------------------------------------------------------------------------------------


def ended_at(world):
    """Monotonic time that the only end on record bears."""
    (at,) = [s.monotonic_s for e, s in zip(world.records, world.stamps, strict=True) if isinstance(e, TransactionEnded)]
    return at


def test_the_vehicle_left_while_the_agent_was_away():
    world = in_session()
    world.outlets[1].plugged = world.outlets[1].cable = False
    world.outlets[1].step(world.now, 0.0)
    left_at = world.now
    world.now += 30
    world.restart_agent()
    world.run(5)
    assert world.ended()[0].reason is StopReason.EV_DISCONNECTED
    assert world.ended()[0].meter_wh == world.outlets[1].register_wh
    assert ended_at(world) == left_at
    assert world.status() == "Available"


def test_a_card_judged_before_the_agent_heard_of_the_plug_is_not_lost():
    """Plugged, then tapped, within milliseconds: the card's way to the agent may be the shorter one."""
    world = World(config(evses=2))
    world.run(2)
    world.outlets[1].plugged = world.outlets[1].cable = True
    seen_at = world.now
    observation = world.outlets[1].observation(seen_at)
    world.now += 0.004
    world.tap()
    world.do(world.station.handle(observation, world.moment()))
    world.run(5)
    assert [started.evse for started in world.started()] == [1]


def test_another_vehicle_came_while_the_agent_was_away():
    """The first driver pays for the first vehicle only; the second must show a card of their own."""
    world = in_session()
    outlet = world.outlets[1]
    outlet.plugged = False
    outlet.step(world.now, 0.0)
    left_at = world.now
    world.now += 5
    outlet.plugged = True
    outlet.step(world.now, 0.0)
    world.restart_agent()
    world.run(10)
    assert ended_at(world) == left_at
    (ended,) = world.ended()
    assert ended.reason is StopReason.EV_DISCONNECTED
    assert ended.meter_wh == outlet.register_wh
    assert not outlet.closed
    world.tap("BBBB2222")
    world.run(10)
    assert [started.token for started in world.started()][1:] == ["BBBB2222"]
    assert outlet.closed


def test_a_vehicle_that_leaves_under_our_eyes_ends_it_now_whatever_left_before():
    world = in_session()
    world.unplug()
    world.run(30)
    world.restart_agent()
    world.plug()
    world.run(2)
    world.tap("BBBB2222")
    world.run(10)
    world.unplug()
    now = world.now
    world.run(5)
    ends = [s.monotonic_s for e, s in zip(world.records, world.stamps, strict=True) if isinstance(e, TransactionEnded)]
    assert ends[1] == pytest.approx(now, abs=1.0)


def test_the_same_transaction_goes_on_after_a_replug_while_the_agent_was_away_if_unplugging_does_not_end_it():
    world = in_session({"TxCtrlr.StopTxOnEVSideDisconnect": "false"})
    outlet = world.outlets[1]
    outlet.plugged = False
    outlet.step(world.now, 0.0)
    world.now += 5
    outlet.plugged = True
    outlet.step(world.now, 0.0)
    world.restart_agent()
    world.run(10)
    assert world.ended() == []
    assert outlet.closed


def test_a_short_power_cut_is_bridged_and_a_long_one_ends():
    world = in_session()
    world.power_cut(600)
    world.run(20)
    assert world.ended() == []
    assert world.status() == "Charging"
    world.power_cut(7200)
    world.run(20)
    assert world.ended()[0].reason is StopReason.POWER_LOSS
    assert world.ended()[0].meter_wh == world.outlets[1].register_wh


def test_a_power_cut_may_always_end_it():
    world = in_session({"TxCtrlr.ResumptionTimeout": "0"})
    world.power_cut(5)
    world.run(20)
    assert world.ended()[0].reason is StopReason.POWER_LOSS


def test_control_starts_afresh():
    world = in_session()
    world.restart_control()
    assert world.outlets[1].permit is not None
    assert world.outlets[1].hold
    world.run(5)
    assert world.status() == "Charging"
    assert len(world.started()) == 1


def test_control_is_away():
    world = in_session()
    world.control_there = False
    world.do(world.station.control_lost(world.moment()))
    assert world.status() == "Charging"
    world.run(10)
    assert world.status() == "Faulted"
    assert world.reasons()[0] == "control_lost"
    assert world.reports[0].error == "InternalError"
    world.tap()
    world.run(100)
    assert world.ended() == []  # control may still be charging under its lease
    world.control_there = True
    world.welcome()
    assert world.sent(Withdraw)[-1].evse == 1
    world.run(10)
    ended = world.ended()[0]
    assert ended.reason is StopReason.LOCAL
    assert ended.meter_wh == world.outlets[1].register_wh
    assert not ended.meter_stale
    assert world.status() == "Finishing"


def test_control_never_comes_back():
    world = in_session()
    world.control_there = False
    world.do(world.station.control_lost(world.moment()))
    world.tap()
    world.jump(660)
    assert world.ended() == []
    world.run(15)
    assert world.ended()[0].meter_stale


def test_a_soft_reset_does_not_wait_for_ever():
    world = in_session()
    world.control_there = False
    world.do(world.station.control_lost(world.moment()))
    assert world.call("reset", ResetKind.SOFT)
    world.run(29)
    assert world.restarts == []
    world.run(3)
    assert world.restarts == [ResetKind.SOFT]
    world.control_there = True
    world.restart_agent()
    world.run(10)
    assert world.ended()[0].reason is StopReason.SCHEDULED_RESET
    assert world.ended()[0].meter_wh == world.outlets[1].register_wh


def test_a_session_at_an_outlet_that_is_gone_is_ended():
    world = World(config(evses=2))
    world.plug(2)
    world.run(2)
    world.tap()
    world.run(30)
    world.config = config(evses=1)
    world.outlets.pop(2)
    world.restart_agent()
    assert world.ended()[0].reason is StopReason.OTHER
    assert world.ended()[0].meter_stale
    assert world.kept["session"] == {}


def test_a_kept_session_that_cannot_be_read_does_no_harm():
    world = World()
    world.kept["session"] = {"1": {"phase": "dancing"}, "waiting": 7, "x": []}
    world.restart_agent()
    world.run(2)
    assert world.status() == "Available"
    assert world.kept["session"] == {}
    assert world.kept["station"]["unreadable session 1"] == {"phase": "dancing"}


# ---- meter and faults ----------------------------------------------------------------------------------------------


def test_a_silent_meter_at_the_start_takes_the_last_good_register():
    world = in_session()
    world.unplug()
    world.run(5)
    register = world.ended()[0].meter_wh
    world.outlets[1].meter_works = False
    world.run(20)
    world.restart_agent()
    world.plug()
    world.run(2)
    world.tap()
    world.run(2)
    assert len(world.started()) == 1
    world.run(3)
    assert world.started()[1].meter_stale
    assert world.started()[1].meter_wh == register


def test_a_silent_meter_at_the_end_takes_the_last_good_register():
    world = in_session()
    register = world.outlets[1].register_wh
    world.outlets[1].meter_works = False
    world.run(30)
    world.unplug()
    world.run(12)
    assert world.ended()[0].meter_stale
    assert world.ended()[0].meter_wh == register


def test_a_register_that_runs_backwards_never_gives_negative_energy():
    world = in_session()
    world.outlets[1].register_wh = 5.0
    world.unplug()
    world.run(6)
    assert world.ended()[0].meter_wh == world.started()[0].meter_wh
    assert world.ended()[0].meter_stale


@pytest.mark.parametrize("policy", MeterLoss)
def test_meter_loss(policy):
    world = in_session(configuration=config(on_meter_loss=policy))
    world.outlets[1].meter_works = False
    report = FaultReport(1, FaultCode.METER, True, world.now + 60, False, "silent", "look at the wiring")
    world.do(world.station.handle(report, world.moment()))
    world.run(12)
    assert len(world.ended()) == (policy is MeterLoss.STOP)


@pytest.mark.parametrize(
    ("code", "latched", "reason"),
    [
        (FaultCode.RESIDUAL_CURRENT, True, StopReason.GROUND_FAULT),
        (FaultCode.RESIDUAL_CURRENT, False, None),
        (FaultCode.OVER_CURRENT, True, StopReason.OVERCURRENT_FAULT),
        (FaultCode.PROTECTIVE_EARTH, True, StopReason.GROUND_FAULT),
        (FaultCode.EMERGENCY_STOP, False, StopReason.EMERGENCY_STOP),
        (FaultCode.CONTACTOR_WELDED, True, StopReason.OTHER),
        (FaultCode.TEMPERATURE, False, None),
        (FaultCode.SUPPLY_VOLTAGE, False, None),
    ],
)
def test_faults_in_a_session(code, latched, reason):
    world = in_session()
    world.fault(1, code, latched=latched)
    assert world.status() == "Faulted"
    assert world.reports[1].error != "NoError"
    assert world.reports[1].vendor_error == CHARGEX_CODES.get(code, (code.value, ""))[0]
    assert world.reasons()[0] == f"fault:{code.value}"
    world.run(12)
    assert [event.reason for event in world.ended()] == ([reason] if reason else [])
    world.fault(1, code, active=False)
    world.run(5)
    assert world.status() == ("Finishing" if reason else "Charging")
    assert len(world.started()) == 1


def test_a_faulted_outlet_starts_nothing_until_it_is_well():
    world = World()
    world.plug()
    world.run(2)
    world.fault(1, FaultCode.TEMPERATURE)
    world.tap()
    world.run(5)
    assert world.started() == []
    world.fault(1, FaultCode.TEMPERATURE, active=False)
    world.run(2)
    assert len(world.started()) == 1


# ---- settings ------------------------------------------------------------------------------------------------------


def test_settings_are_checked_kept_and_applied():
    world = in_session()
    assert world.call("set_setting", "ChargingStation.MaxCurrent", "10") is SettingAnswer.ACCEPTED
    assert world.outlets[1].permit.current_a == 10
    assert world.call("set_setting", "ChargingStation.MaxCurrent", "ten") is SettingAnswer.REJECTED
    assert world.call("set_setting", "No.Such", "1") is SettingAnswer.NOT_SUPPORTED
    assert world.kept["setting"] == {"ChargingStation.MaxCurrent": "10"}
    world.restart_agent()
    world.run(1)
    assert world.outlets[1].permit.current_a == 10
    world.call("set_setting", "ChargingStation.MaxCurrent", "5")
    world.run(5)
    assert world.status() == "SuspendedEVSE"
    assert world.reasons()[0] == "limit"
    assert not world.outlets[1].closed


def test_unknown_things_from_control_do_no_harm():
    world = World()
    outlet = world.outlets[1]
    outlet.number = 7
    world.do(world.station.handle(outlet.observation(world.now), world.moment()))
    world.do(world.station.handle(outlet.sample(world.now), world.moment()))
    world.do(world.station.handle(TokenPresented("r", world.now, "AB", "ISO14443", 7), world.moment()))
    world.do(world.station.handle(Welcome(1, "c9", "1", ()), world.moment()))


def test_samples_are_taken_only_in_the_transaction():
    world = in_session({"SampledDataCtrlr.TxUpdatedInterval": "10"})
    world.run(65)
    world.unplug()
    world.run(60)
    samples = [event for event in world.records if isinstance(event, MeterSampled)]
    assert len(samples) == 8
    assert world.records[-1] is world.ended()[0]


def test_the_plug_is_held_while_charging_only():
    world = in_session()
    world.tap()
    world.run(9)
    assert [message.hold for message in world.sent(HoldCable)] == [False, True, False]


def test_concurrent_use_says_nothing_of_the_card_itself():
    world = World(known={"04AABBCC": TokenInfo(TokenStatus.CONCURRENT_TX)})
    world.plug()
    world.run(2)
    world.tap()
    world.run(2)
    assert world.started() == []
    assert world.kept["token"] == {}


def test_the_next_vehicle_on_a_cable_left_behind_is_a_new_session():
    world = in_session()
    world.unplug(cable=False)
    world.run(8)
    assert world.status() == "Finishing"
    world.restart_agent()
    world.plug()
    assert world.status() == "Preparing"
    assert world.session() is None


def test_a_cable_set_free_stays_free_over_a_restart():
    world = in_session()
    world.call("start_answered", world.started()[0].transaction, INVALID)
    world.run(8)
    world.tap()
    assert not world.outlets[1].hold
    world.restart_agent()
    world.run(2)
    assert not world.outlets[1].hold
