"""The station against arbitrary people, vehicles, networks, faults, crashes and time (hypothesis state machine)."""

from __future__ import annotations

import dataclasses

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from station_world import World, config

from agent.journal.events import TransactionUpdated
from agent.link.messages import FaultCode
from agent.station.commands import RemoteStart, ResetKind
from agent.station.session import Session
from agent.station.tokens import Token, TokenInfo, TokenStatus

UIDS = st.sampled_from(["CARD0001", "CARD0002", "GROUP0A1", "GROUP0A2", "BLOCKED1"])
ANSWERS = {
    "GROUP0A1": TokenInfo(TokenStatus.ACCEPTED, "G"),
    "GROUP0A2": TokenInfo(TokenStatus.ACCEPTED, "G"),
    "BLOCKED1": TokenInfo(TokenStatus.BLOCKED),
}
FAULTS = st.sampled_from(
    [FaultCode.RESIDUAL_CURRENT, FaultCode.TEMPERATURE, FaultCode.METER, FaultCode.EMERGENCY_STOP, FaultCode.MAINS]
)
EVSE = st.integers(1, 2)
SWITCHES = (
    "AuthCtrlr.LocalPreAuthorize",
    "AuthCtrlr.AuthorizeRemoteStart",
    "AuthCtrlr.OfflineTxForUnknownIdEnabled",
    "TxCtrlr.StopTxOnEVSideDisconnect",
    "TxCtrlr.StopTxOnInvalidId",
    "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
)


def late_start(event):
    return isinstance(event, TransactionUpdated) and event.start_wh is not None


class ChargePoint(RuleBasedStateMachine):
    @initialize(
        feed_a=st.sampled_from([7.0, 13.0, 20.0, 64.0]),
        socket=st.booleans(),
        free_vend=st.integers(0, 4).map(lambda number: number == 0),
        texts=st.fixed_dictionaries({name: st.sampled_from(["true", "false"]) for name in SWITCHES}),
        bridged=st.sampled_from(["0", "300"]),
    )
    def build(self, feed_a, socket, free_vend, texts, bridged):
        texts["TxCtrlr.ResumptionTimeout"] = bridged
        self.world = World(config(evses=2, socket=socket, feed_a=feed_a, free_vend=free_vend), texts, known=ANSWERS)

    # ---- people and vehicles

    @rule(evse=EVSE)
    def plug(self, evse):
        self.world.plug(evse)

    @rule(evse=EVSE, cable=st.booleans())
    def unplug(self, evse, cable):
        self.world.unplug(evse, cable=cable or not self.world.station._site.evses[evse].socket)

    @rule(uid=UIDS, evse=st.integers(0, 2))
    def tap(self, uid, evse):
        self.world.tap(uid, evse)

    @rule(evse=EVSE, uid=UIDS)
    def a_driver_comes(self, evse, uid):
        self.world.plug(evse)
        self.world.run(2)
        self.world.tap(uid, evse)
        self.world.run(6)

    @rule(evse=EVSE, uid=UIDS)
    def a_hurried_driver_comes(self, evse, uid):
        self.world.tap(uid, evse)
        self.world.plug(evse)
        self.world.run(3)

    @rule()
    def all_is_well_again(self):
        world = self.world
        if not world.control_there:
            world.control_there = True
            world.welcome()
        for number, outlet in world.outlets.items():
            for code in list(outlet.faults or {}):
                world.fault(number, code, active=False)
            outlet.meter_works = outlet.wants = True
        world.call("change_availability", 0, True)
        world.call("set_setting", "ChargingStation.MaxCurrent", "1000")
        world.uplink(True)
        world.auto_answer = True
        world.run(10)

    @rule(evse=EVSE)
    def press_the_button(self, evse):
        self.world.call("local_stop", evse)

    @rule(evse=EVSE, wants=st.booleans())
    def vehicle(self, evse, wants):
        self.world.outlets[evse].wants = wants

    # ---- the network

    @rule(online=st.booleans())
    def uplink(self, online):
        self.world.uplink(online)

    @rule(answers=st.booleans())
    def network_hangs(self, answers):
        self.world.auto_answer = answers

    @rule(uid=UIDS, evse=st.one_of(st.none(), EVSE))
    def remote_start(self, uid, evse):
        self.world.call("remote_start", RemoteStart(Token(uid), evse, 7))

    @rule(evse=EVSE)
    def remote_stop(self, evse):
        session = self.world.session(evse)
        self.world.call("remote_stop", session.transaction if session else "none")

    @rule(evse=EVSE, status=st.sampled_from(TokenStatus))
    def verdict_on_the_start(self, evse, status):
        session = self.world.session(evse)
        if session is not None and session.transaction:
            self.world.call("start_answered", session.transaction, TokenInfo(status))

    @rule(evse=st.integers(0, 2), operative=st.booleans())
    def availability(self, evse, operative):
        self.world.call("change_availability", evse, operative)

    @rule(evse=EVSE, request=st.integers(1, 9))
    def unlock(self, evse, request):
        self.world.call("unlock", evse, request)

    @rule(limit_a=st.sampled_from(["0", "5", "8", "16", "1000"]))
    def operators_limit(self, limit_a):
        self.world.call("set_setting", "ChargingStation.MaxCurrent", limit_a)

    @rule()
    def clear_cache(self):
        self.world.call("clear_cache")

    # ---- the machine

    @rule(evse=EVSE, code=FAULTS, active=st.booleans(), latched=st.booleans())
    def fault(self, evse, code, active, latched):
        self.world.fault(evse, code, active, latched)

    @rule(evse=EVSE, works=st.booleans())
    def meter(self, evse, works):
        self.world.outlets[evse].meter_works = works

    @rule(kind=st.sampled_from([ResetKind.SOFT, ResetKind.HARD]))
    def reset(self, kind):
        self.world.call("reset", kind)
        self.world.run(20)
        if self.world.control_there:
            assert self.world.restarts
        self.world.restart_agent()

    @rule()
    def agent_is_killed(self):
        self.world.restart_agent()

    @rule()
    def control_is_killed(self):
        if self.world.control_there:
            self.world.restart_control()

    @rule(seconds=st.sampled_from([10, 1000]))
    def power_is_cut(self, seconds):
        self.world.control_there = True
        self.world.power_cut(seconds)

    @rule()
    def control_goes_or_comes(self):
        world = self.world
        world.control_there = not world.control_there
        if world.control_there:
            world.welcome()
        else:
            world.do(world.station.control_lost(world.moment()))

    @rule(seconds=st.sampled_from([0.3, 1, 4, 15]))
    def time(self, seconds):
        self.world.run(seconds, step_s=0.5)

    @rule()
    def a_long_while(self):
        self.world.jump(200)

    # ---- what must always hold

    @invariant()
    def the_books_are_right(self):
        if hasattr(self, "world"):
            self.world.check()

    @invariant()
    def documents_tell_the_whole_session(self):
        """A restart from the documents at this very step gives the same sessions."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for number in world.outlets:
            session = world.session(number)
            document = world.kept["session"].get(str(number))
            assert (session is None) == (document is None)
            if session is not None:
                kept = Session.from_document(document)
                for one in (kept, session):
                    assert one.order > 0
                assert (
                    dataclasses.replace(kept, register_wh=session.register_wh, saved_utc_s=session.saved_utc_s)
                    == session
                )
        assert [entry["token"]["uid"] for entry in world.kept["session"].get("waiting", [])] == [
            entry.token.uid for entry in world.station._site.waiting
        ]

    @invariant()
    def every_hold_has_a_reason(self):
        if not hasattr(self, "world"):
            return
        for entry in self.world.station.snapshot(self.world.moment()):
            if entry["status"] != "Charging":
                assert entry["reasons"], entry
            for reason in entry["reasons"]:
                assert reason["text"]
                assert reason["remedy"]

    @invariant()
    def nothing_is_allowed_out_of_service(self):
        if not hasattr(self, "world"):
            return
        for number, evse in self.world.station_evses():
            if not evse.operative and not evse.in_transaction and self.world.control_there:
                assert self.world.outlets[number].permit is None
                assert not self.world.outlets[number].operative

    def teardown(self):
        """Everybody leaves, all heals: every transaction ends, none is left over."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.auto_answer = True
        if not world.control_there:
            world.control_there = True
            world.welcome()
        for number, outlet in world.outlets.items():
            for code in list(outlet.faults or {}):
                world.fault(number, code, active=False)
            world.unplug(number)
            outlet.meter_works = True
        world.run(30)
        for number in world.outlets:
            session = world.session(number)
            if session is not None and session.phase.value == "running":  # goes on although unplugged
                world.call("local_stop", number)
        world.run(30)
        assert len(world.started()) == len(world.ended())
        starts = {event.transaction: event.meter_wh for event in world.started()}
        # Where the EVSE was not known then, its register came with the vehicle.
        starts |= {event.transaction: event.start_wh for event in world.records if late_start(event)}
        if not any(event.meter_stale for event in (*world.started(), *world.ended())):
            billed = sum(event.meter_wh - starts[event.transaction] for event in world.ended())
            given = sum(outlet.register_wh - 1000.25 for outlet in world.outlets.values())
            assert abs(billed - given) < 1e-6, (billed, given)


ChargePoint.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestChargePoint = ChargePoint.TestCase
