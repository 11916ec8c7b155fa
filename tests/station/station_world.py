"""A charge point in virtual time: the real station, a simple simulated control and meter, and everything it keeps."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace

from agent.clock import Moment
from agent.config.schema import Authorisation, Config, ConnectorType, Control, Evse, Installation, Ocpp
from agent.config.schema import Station as StationConfig
from agent.journal.codec import decode, encode
from agent.journal.events import TransactionEnded, TransactionStarted
from agent.link.messages import (
    PROTOCOL,
    EvseInfo,
    FaultReport,
    Hold,
    HoldCable,
    Indicate,
    MeterSample,
    Observation,
    Permit,
    SetOperative,
    TokenPresented,
    Welcome,
    Withdraw,
)
from agent.station.commands import ConnectorStatus
from agent.station.effects import (
    AnswerUnlock,
    AskAuthorisation,
    Keep,
    Record,
    ReportMeter,
    ReportStatus,
    Restart,
    Send,
)
from agent.station.local_list import MemoryStore
from agent.station.session import Phase, Session
from agent.station.settings import Settings
from agent.station.station import Station
from agent.station.tokens import TokenInfo, TokenStatus
from agent.station.transitions import ALLOWED

UTC_0 = 1_770_000_000.0
ACCEPTED = TokenInfo(TokenStatus.ACCEPTED)


def config(evses=1, socket=True, feed_a=32.0, free_vend=False, versions=("ocpp1.6",), **extra):
    return Config(
        station=StationConfig("v", "m", "s"),
        installation=Installation(max_current_a=feed_a, phases=3),
        devices={},
        evses=tuple(
            Evse(
                number,
                "board",
                meter="meter",
                connector=ConnectorType.SOCKET if socket else ConnectorType.CABLE,
                max_current_a=32.0,
                **extra,
            )
            for number in range(1, evses + 1)
        ),
        control=Control(lease_s=60.0),
        authorisation=Authorisation(free_vend=free_vend),
        ocpp=Ocpp(url="ws://x", versions=versions),
    )


@dataclass
class Outlet:
    """One EVSE of the simulated control, with its vehicle and meter."""

    number: int
    plugged: bool = False
    cable: bool = False
    wants: bool = True
    register_wh: float = 1000.25
    meter_works: bool = True
    permit: Permit | None = None
    permit_until: float = 0.0
    closed: bool = False
    operative: bool = True
    hold: bool = False
    indication: str = ""
    opens_at: float | None = None
    faults: dict = None
    locks: bool = True
    plugged_at: float | None = None
    left_at: float | None = None
    _was_plugged: bool = False

    def step(self, now, dt_s):
        """Let ``dt_s`` pass up to ``now``."""
        if self.plugged is not self._was_plugged:
            self._was_plugged = self.plugged
            self.plugged_at = now if self.plugged else None
            self.left_at = self.left_at if self.plugged else now
            self.permit = None  # a permit does not outlive the plug
        if self.closed:
            self.register_wh += self.current_a() * 3 * 230 * dt_s / 3600
        if self.opens_at is not None and now >= self.opens_at:
            self.closed, self.opens_at = False, None
        if self.permit is not None and now > self.permit_until:
            self.permit = None
        if not self.plugged or self.faults:
            self.closed, self.opens_at = False, None
        elif self.permit is not None and self.permit.current_a >= 6 and self.wants:
            self.closed = True
        elif self.opens_at is None:
            self.closed = False

    def current_a(self):
        return min(self.permit.current_a if self.permit else 6.0, 16.0)

    def observation(self, now):
        offered = self.permit.current_a if self.permit and self.permit.current_a >= 6 and self.plugged else 0.0
        holds = []
        if self.faults:
            holds.append(Hold.FAULT)
        if not self.operative:
            holds.append(Hold.INOPERATIVE)
        if not self.plugged:
            holds.append(Hold.NOT_PLUGGED)
        if self.permit is None:
            holds.append(Hold.NO_PERMIT)
        if self.plugged and not self.wants:
            holds.append(Hold.VEHICLE_NOT_READY)
        pilot = "A1" if not self.plugged else ("C2" if self.wants else "B2") if offered else "B1"
        return Observation(
            evse=self.number,
            at=now,
            pilot=pilot if self.operative else "F",
            plugged=(self.plugged or self.cable) if self.operative else None,
            vehicle_ready=self.plugged and self.wants and bool(offered),
            duty_pct=50.0 if offered else 100.0,
            offered_a=offered,
            phases=3,
            contactor_closed=self.closed,
            locked=(self.hold or self.closed) and self.locks,
            cable_a=32 if self.cable else 0,
            permit_serial=self.permit.serial if self.permit else 0,
            fail_safe=False,
            limit_a=offered,
            limited_by="permit",
            holds=() if self.closed else tuple(holds),
            faults=tuple(self.faults or {}),
            plugged_at=self.plugged_at,
            left_at=self.left_at,
        )

    def sample(self, now):
        return MeterSample(
            self.number,
            now,
            self.register_wh,
            self.current_a() * 690 if self.closed else 0.0,
            (230.0, 231.0, 229.0),
            (self.current_a(),) * 3 if self.closed else (0.0,) * 3,
            50.0,
            "good",
        )


class World:
    """``kept`` mirrors the journal's documents through JSON; ``records`` its events."""

    def __init__(self, configuration=None, settings=None, online=True, known=None):
        self.config = configuration or config()
        self.setting_texts = dict(settings or {})
        self.now = 1000.0
        self.utc_offset = UTC_0
        self.boot = "b1"
        tables = ("session", "availability", "setting", "token", "reservation", "station", "fault")
        tables = (*tables, "charging_profile", "price", "display", "tariff")
        self.kept = {table: {} for table in tables}
        self.local_list = MemoryStore()
        self.records = []
        self.stamps = []
        self.log = []
        self.asks = []
        self.unlocks = {}
        self.restarts = []
        self.hurry = 0
        self.meter_reports = []
        self.reports = {}
        self.history = {}
        self.answers = dict(known or {})
        self.auto_answer = True
        self.online = online
        self.instance = "c1"
        self.control_there = True
        self.outlets = {evse.id: Outlet(evse.id) for evse in self.config.evses}
        self.start_station()

    # ---- the agent's life ----------------------------------------------------------------------------------------

    def moment(self):
        return Moment(self.now, self.now + self.utc_offset, True, self.boot)

    def start_station(self):
        for words in self.history.values():
            words.append(None)  # what came before a restart binds nobody
        settings = Settings()
        for name, text in {**self.setting_texts, **self.kept["setting"]}.items():
            settings.set(name, text)
        self.station = Station(self.config, settings, json.loads(json.dumps(self.kept)), self.moment(), self.local_list)
        self.do(self.station.recovered(self.moment()))
        if self.online:
            self.do(self.station.uplink_changed(True, self.moment()))
        if self.control_there:
            self.welcome()

    def restart_agent(self):
        self.asks = []
        self.now += 0.2
        self.start_station()

    def power_cut(self, seconds):
        """The machine is off for a while; vehicles stay as they are."""
        self.boot += "x"
        self.utc_offset += self.now + seconds - 5.0
        self.now = 5.0
        for outlet in self.outlets.values():
            outlet.permit, outlet.closed, outlet.hold = None, False, False
        self.instance += "x"
        self.asks = []
        self.start_station()

    def restart_control(self):
        self.instance += "x"
        for outlet in self.outlets.values():
            outlet.permit, outlet.closed, outlet.hold, outlet.operative = None, False, False, True
        self.do(self.station.control_lost(self.moment()))
        self.welcome()

    def welcome(self):
        infos = tuple(EvseInfo(number, 32.0, 3, evse.socket, True) for number, evse in self.station_evses())
        self.do(self.station.handle(Welcome(PROTOCOL, self.instance, "1", infos), self.moment()))
        self.observe()

    def station_evses(self):
        return [(number, self.station._site.evses[number]) for number in self.outlets]

    # ---- effects ------------------------------------------------------------------------------------------------

    def do(self, effects):
        for effect in effects:  # write
            if isinstance(effect, Record):
                event = decode(*encode(effect.event))
                self.records.append(event)
                self.stamps.append(effect.stamp)
            elif isinstance(effect, Keep):
                if effect.value is None:
                    self.kept[effect.table].pop(effect.key, None)
                else:
                    self.kept[effect.table][effect.key] = json.loads(json.dumps(effect.value))
        for effect in effects:
            self.log.append(effect)
            match effect:
                case Send(message):
                    self.command(message)
                case AskAuthorisation(request, token):
                    self.asks.append((request, token))
                case ReportStatus(report):
                    self.reports[report.evse] = report
                    self.history.setdefault(report.evse, []).append(report.status.value)
                case ReportMeter():
                    self.meter_reports.append(effect)
                case AnswerUnlock(request, answer):
                    self.unlocks[request] = answer
                case Restart(kind):
                    self.restarts.append(kind)
        if self.auto_answer:
            while self.asks:
                request, token = self.asks.pop(0)
                info = self.answers.get(token.uid, ACCEPTED) if self.online else None
                self.do(self.station.authorisation_answered(request, info, self.moment()))

    def command(self, message):
        outlet = self.outlets[message.evse]
        match message:
            case Permit():
                if outlet.permit is not None:
                    assert message.serial > outlet.permit.serial
                outlet.permit, outlet.permit_until = message, self.now + message.lease_s
                outlet.opens_at = None
            case Withdraw():
                outlet.permit = None
                if outlet.closed:
                    outlet.opens_at = self.now + 2.0
            case SetOperative():
                outlet.operative = message.operative
            case HoldCable():
                outlet.hold = message.hold
            case Indicate():
                outlet.indication = message.indication

    # ---- time ---------------------------------------------------------------------------------------------------

    def observe(self):
        for outlet in self.outlets.values():
            outlet.step(self.now, 0.0)
            if self.control_there:
                self.do(self.station.handle(outlet.observation(self.now), self.moment()))

    def run(self, seconds, step_s=1.0):
        end = self.now + seconds
        while self.now < end:
            wake = self.station.next_wake()
            until = min(end, self.now + step_s)
            if wake is not None and self.now < wake < until:
                until = wake
            dt_s, self.now = until - self.now, until
            if wake is not None and wake <= self.now:
                self.do(self.station.timer(self.moment()))
                again = self.station.next_wake()
                self.hurry = self.hurry + 1 if again is not None and again - self.now < 0.011 else 0
                assert self.hurry < 3, "the timer asks for itself for ever"
            for outlet in self.outlets.values():
                outlet.step(self.now, dt_s)
                if self.control_there:
                    self.do(self.station.handle(outlet.observation(self.now), self.moment()))
                    if outlet.meter_works:
                        self.do(self.station.handle(outlet.sample(self.now), self.moment()))
            self.check()

    def jump(self, seconds):
        """Let time pass quickly in longer steps."""
        self.run(seconds, step_s=30.0)

    # ---- what people and machines do ----------------------------------------------------------------------------

    def plug(self, number=1):
        self.outlets[number].plugged = self.outlets[number].cable = True
        self.observe()

    def unplug(self, number=1, cable=True):
        outlet = self.outlets[number]
        outlet.plugged = False
        outlet.cable = outlet.cable and not cable
        self.observe()

    def tap(self, uid="04AABBCC", evse=0):
        self.do(self.station.handle(TokenPresented("r", self.now, uid, "ISO14443", evse), self.moment()))

    def fault(self, number, code, active=True, latched=False):
        outlet = self.outlets[number]
        outlet.faults = outlet.faults or {}
        if active:
            outlet.faults[code] = latched
        else:
            outlet.faults.pop(code, None)
        report = FaultReport(number, code, active, self.now, latched, "it broke", "mend it")
        self.do(self.station.handle(report, self.moment()))
        self.observe()

    def uplink(self, online):
        self.online = online
        self.do(self.station.uplink_changed(online, self.moment()))

    def call(self, name, *arguments):
        result = getattr(self.station, name)(*arguments, self.moment())
        if isinstance(result, tuple):
            answer, effects = result
            self.do(effects)
            return answer
        self.do(result)
        return None

    # ---- what is true -------------------------------------------------------------------------------------------

    def status(self, number=1):
        return self.call_statuses()[number].status.value

    def call_statuses(self):
        return {report.evse: report for report in self.station.statuses(self.moment())}

    def started(self):
        return [event for event in self.records if isinstance(event, TransactionStarted)]

    def ended(self):
        return [event for event in self.records if isinstance(event, TransactionEnded)]

    def sent(self, kind):
        return [effect.message for effect in self.log if isinstance(effect, Send) and isinstance(effect.message, kind)]

    def session(self, number=1):
        return self.station._site.evses[number].session

    def reasons(self, number=1):
        return [one["code"] for one in self.station.snapshot(self.moment())[number - 1]["reasons"]]

    def _lines(self, evse):
        """Phases of the feed that an outlet may load, read off the setting in the plainest way."""
        told = dict(part.strip().split(".") for part in self.rotations.split(",") if part.strip())
        wires = {each.id: each.phases for each in self.config.evses}[evse]
        order = told.get(str(evse), "")
        return {"RST".index(letter) + 1 for letter in order[:wires]} if wires == 1 and order else {1, 2, 3}

    @property
    def rotations(self):
        return self.station._site.settings.string("ElectricalFeed.PhaseRotation")

    def check(self):
        """What must hold at every step."""
        for words in self.history.values():
            for old, new in itertools.pairwise(words[-8:]):
                if old is not None and new is not None and old != new:
                    assert ConnectorStatus(new) in ALLOWED[ConnectorStatus(old)], f"{old} to {new}"
        starts = [event.transaction for event in self.started()]
        ends = [event.transaction for event in self.ended()]
        assert len(set(starts)) == len(starts)
        assert len(set(ends)) == len(ends)
        assert set(ends) <= set(starts)
        start_of = {event.transaction: event for event in self.started()}
        for event in self.ended():
            assert event.meter_wh >= start_of[event.transaction].meter_wh
        running = set(starts) - set(ends)
        permits = [outlet.permit for outlet in self.outlets.values() if outlet.permit is not None]
        documents = dict(self.kept["session"])
        waiting = documents.pop("waiting", [])
        sessions = [Session.from_document(document) for document in (*documents.values(), *waiting)]
        charging = {each.transaction: each for each in sessions if each.phase in (Phase.RUNNING, Phase.STOPPING)}
        for permit in permits:
            assert permit.transaction in charging, "a permit without a session"
            session = charging[permit.transaction]
            assert session.token.uid, "a permit without a driver"
            # Told, unless the network wants to hear of it when energy flows (TxStartPoint EnergyTransfer).
            assert permit.transaction in running or not session.told, "a permit without an open transaction"
        for line in (1, 2, 3):
            loading = [permit.current_a for permit in permits if line in self._lines(permit.evse)]
            assert sum(loading) <= self.config.installation.max_current_a + 1e-6
        kept = {each.transaction for each in sessions if each.open}
        assert kept == running, "the documents and the books disagree"


__all__ = ["ACCEPTED", "UTC_0", "Outlet", "World", "config", "replace"]
