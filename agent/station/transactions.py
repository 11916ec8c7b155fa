"""Sessions from authorisation to the last register: start, stop, the wait for open contacts, restarts in between."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Hashable, Mapping
from typing import Any

from agent.journal.events import (
    ChargingState,
    MeterSigned,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    Unplugged,
)
from agent.link.messages import FaultCode
from agent.station.commands import ConnectorStatus
from agent.station.ending import METER_WAIT_S, Ending
from agent.station.evse import Evse
from agent.station.metering import Metering
from agent.station.reservations import obstacle, take
from agent.station.roaming import cap_wake, used_up
from agent.station.session import Cap, Phase, Session
from agent.station.signing import Signing
from agent.station.site import Site, earliest
from agent.station.stopping import fault_that_ends, reason_of
from agent.station.tokens import Token, TokenInfo, TokenStatus

log = logging.getLogger(__name__)

SAVE_S = 300.0
"""How often a running session's document is renewed for its register and time alone: each costs a page of flash."""

_STATUS_OF = {
    ChargingState.CHARGING: ConnectorStatus.CHARGING,
    ChargingState.SUSPENDED_EV: ConnectorStatus.SUSPENDED_EV,
    ChargingState.IDLE: ConnectorStatus.SUSPENDED_EV,
    ChargingState.SUSPENDED_EVSE: ConnectorStatus.SUSPENDED_EVSE,
}


class Transactions:
    def __init__(self, site: Site, metering: Metering, signing: Signing, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._metering = metering
        self._signing = signing
        self._ending = Ending(site)
        self._waiting_saved = _marks([])
        self._orphans: list[tuple[int, Session]] = []
        self._unreadable: dict[str, Any] = {}
        self._hard_reset = kept.get("station", {}).get("reset") == "Hard"
        self._load(kept)

    # ---- restart ------------------------------------------------------------------------------------------------

    def _load(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        site = self._site
        for evse in site.evses.values():
            register = kept.get("station", {}).get(f"register:{evse.id}")
            if isinstance(register, int | float):
                evse.register_wh = float(register)
        for key, document in kept.get("session", {}).items():
            try:
                if key == "waiting":
                    site.waiting = [Session.from_document(entry) for entry in document]
                    self._waiting_saved = _marks(site.waiting)
                    continue
                session = Session.from_document(document)
            except (ValueError, TypeError) as error:
                log.error("the kept session of EVSE %s cannot be read and is put aside: %s", key, error)
                self._unreadable[key] = document
                continue
            site.order = max(site.order, session.order)
            number = int(key) if key.isdecimal() else 0
            if number in site.evses:
                self._take_over(site.evses[number], session)
            else:
                self._orphans.append((number, session))
        site.order = max([site.order, *(session.order for session in site.waiting)])

    @staticmethod
    def _take_over(evse: Evse, session: Session) -> None:
        evse.session = session
        evse.saved = session.mark()
        evse.status = _STATUS_OF.get(session.state)
        if session.register_wh is not None:
            evse.register_wh = session.register_wh

    def recover(self) -> None:
        """End what cannot go on after a restart; the rest goes on once control has told how things stand."""
        site = self._site
        for number, session in self._orphans:
            log.error("EVSE %d is no longer configured; its transaction ends with the last good register", number)
            if session.phase in (Phase.RUNNING, Phase.STOPPING):
                if session.stopped is None:
                    session.stopped, session.reason = site.moment.stamp(), StopReason.OTHER
                self._record_end(number, session, session.register_wh or session.start_wh, (), stale=True)
            site.keep("session", str(number), None)
        self._orphans = []
        for key, document in self._unreadable.items():
            site.keep("station", f"unreadable session {key}", document)
            site.keep("session", key, None)
        self._unreadable = {}
        if self._hard_reset:
            site.keep("station", "reset", None)
        for evse in site.evses.values():
            open_one = evse.running
            if open_one is None:
                continue
            if self._hard_reset:
                self.stop(evse, StopReason.IMMEDIATE_RESET)
            elif open_one.authorised.boot != site.moment.boot:
                self._bridge(evse, open_one)
        self._hard_reset = False

    def _bridge(self, evse: Evse, session: Session) -> None:
        """The machine itself was off: go on only if that was short, or if no clock can tell."""
        most_s = self._site.settings.integer("TxCtrlr.ResumptionTimeout")
        away_s = self._site.moment.utc_s - session.saved_utc_s
        if most_s and away_s <= most_s:
            session.authorised = self._site.moment.stamp()
            return
        self.stop(evse, StopReason.POWER_LOSS)

    # ---- authorisation ------------------------------------------------------------------------------------------

    def authorise(
        self,
        evse: Evse | None,
        token: Token,
        group: str,
        trigger: StartTrigger,
        remote_start_id: int | None = None,
        profile: dict[str, Any] | None = None,
        cap: Cap | None = None,
    ) -> None:
        """Somebody may charge: at this EVSE, or (None) at the one that is plugged next."""
        site = self._site
        session = Session(Phase.WAITING, token, trigger, site.moment.stamp(), site.next_order(), group, remote_start_id)
        session.profile, session.cap = profile, cap
        if evse is None:
            site.waiting.append(session)
        else:
            evse.session = session
            evse.start_by = None
        log.info("token %s may charge at EVSE %s", token.masked, evse.id if evse else "(next plugged)")

    def stop(self, evse: Evse, reason: StopReason, token: Token | None = None, at: float | None = None) -> None:
        """Decide the end of the running transaction; contacts open, then the register is read.

        ``at``: when what ended it happened (monotonic), if that was before now.
        """
        session = evse.running
        if session is None:
            return
        session.phase = Phase.STOPPING
        session.stopped, session.reason = self._site.moment.stamp(at), reason
        session.stop_token = token.uid if token else ""
        evse.opened_at = None
        log.info("EVSE %d: transaction %s ends: %s", evse.id, session.transaction, reason.value)

    def start_answered(self, transaction: str, info: TokenInfo) -> None:
        """The network's verdict on a token whose transaction has begun (OCPP 1.6 §4.8)."""
        site = self._site
        for evse in site.evses.values():
            session = evse.session
            if session is None or session.transaction != transaction:
                continue
            session.group = info.group or session.group
            if info.status is TokenStatus.ACCEPTED:
                session.cap = None
            if info.status is TokenStatus.ACCEPTED or evse.running is None:
                return
            log.warning("EVSE %d: the network refuses token %s: %s", evse.id, session.token.masked, info.status.value)
            if not session.refused:
                session.refused = True
                session.refused_wh = session.register_wh if session.register_wh is not None else session.start_wh
            return

    # ---- one step -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring every EVSE's session to where the facts want it."""
        self._time_out_waiting()
        for evse in sorted(self._site.evses.values(), key=lambda evse: evse.connected_at):
            self._settle(evse)

    def _settle(self, evse: Evse) -> None:
        self._follow_cable(evse)
        self._assign(evse)
        session = evse.session
        if session is not None and session.phase is Phase.WAITING:
            self._try_start(evse, session)
        if evse.running is not None:
            self._watch(evse, evse.running)
        if evse.session is not None and evse.session.phase is Phase.STOPPING:
            self._try_end(evse, evse.session)

    def _follow_cable(self, evse: Evse) -> None:
        session = evse.session
        if session is None or session.phase is not Phase.FINISHED or evse.connected is None:
            return
        if not evse.connected and not session.left:
            session.left = True
            self._record_unplugged(evse, session)
        gone = not evse.connected and not evse.cable_in
        back = evse.connected and session.left and not session.hold_cable
        if gone or back:
            evse.session = None

    def _assign(self, evse: Evse) -> None:
        """A vehicle came, or is there, for whoever waits."""
        site = self._site
        if evse.session is not None or evse.connected is not True or not self.usable(evse):
            return
        if site.waiting:
            # Who tapped first has the first plug that comes after the tap.
            first = site.waiting[0]
            after = evse.connected_at >= first.authorised.monotonic_s or first.authorised.boot != site.moment.boot
            if after and not obstacle(site, evse, first.token, first.group, len(site.waiting) - 1):
                site.waiting.pop(0)
                evse.session = first
                return
        if site.config.authorisation.free_vend:
            token = Token(site.config.authorisation.free_vend_token, "NoAuthorization")
            if not obstacle(site, evse, token, ""):
                self.authorise(evse, token, "", StartTrigger.FREE_VEND)

    def usable(self, evse: Evse) -> bool:
        """True when a transaction could begin here."""
        return evse.operative and self._site.resetting is None and not self._site.books.closed

    def _time_out_waiting(self) -> None:
        site = self._site
        site.waiting = [session for session in site.waiting if not self._timed_out(session)]
        for evse in site.evses.values():
            session = evse.session
            if session is None or session.phase is not Phase.WAITING:
                continue
            if not evse.operative or site.resetting is not None or self._timed_out(session):
                log.info("EVSE %d: the authorisation of token %s lapses", evse.id, session.token.masked)
                evse.session = None

    def _timed_out(self, session: Session) -> bool:
        deadline = self._connection_deadline(session)
        return deadline is not None and self._site.now >= deadline

    def _connection_deadline(self, session: Session) -> float | None:
        """End of EVConnectionTimeOut (OCPP 1.6 ConnectionTimeOut); None where there is none."""
        timeout_s = self._site.settings.integer("TxCtrlr.EVConnectionTimeOut")
        if not timeout_s:
            return None
        if session.authorised.boot != self._site.moment.boot:
            session.authorised = self._site.moment.stamp()
        return session.authorised.monotonic_s + timeout_s

    def _try_start(self, evse: Evse, session: Session) -> None:
        site = self._site
        ready = evse.connected is True and site.control and not evse.stopped_by_fault and evse.observation is not None
        if not ready or site.books.closed:
            evse.start_by = None
            return
        sample = evse.fresh_meter(site.now)
        if sample is None and evse.config.meter and FaultCode.METER not in evse.faults:
            if evse.start_by is None:
                evse.start_by = site.now + METER_WAIT_S
            if site.now < evse.start_by:
                return
        stale = sample is None and bool(evse.config.meter)
        if stale:
            log.warning("EVSE %d: the meter is silent; the transaction starts at the last good register", evse.id)
        plugged_last = evse.connected_at > session.authorised.monotonic_s
        if session.trigger is StartTrigger.AUTHORIZED and plugged_last:
            session.trigger = StartTrigger.CABLE_PLUGGED_IN
        session.phase = Phase.RUNNING
        session.transaction = str(uuid.uuid4())
        session.started = site.moment.stamp()
        session.authorised = session.started
        session.start_wh = sample.energy_import_wh if sample is not None else evse.register_wh or 0.0
        session.register_wh = session.start_wh
        evse.start_by = evse.resting_since = None
        self._signing.begin(evse, session)
        samples = self._metering.begin(evse, session)
        site.record(
            TransactionStarted(
                session.transaction,
                evse.id,
                session.token.uid,
                session.token.kind,
                session.start_wh,
                session.trigger,
                not site.online,
                session.group,
                session.remote_start_id,
                reservation=take(site, evse, session.token, session.group),
                samples=samples,
                meter_stale=stale,
            ),
            session.started,
        )
        self._metering.started(evse, session)
        log.info("EVSE %d: transaction %s begins at %.0f Wh", evse.id, session.transaction, session.start_wh)

    def _watch(self, evse: Evse, session: Session) -> None:
        """Whatever ends a running transaction."""
        site = self._site
        settings = site.settings
        fault = fault_that_ends(evse)
        if fault is not None:
            self.stop(evse, reason_of(fault))
        elif evse.connected is False:
            self._vehicle_gone(evse, session)
        elif self._replugged(evse, session):
            self._vehicle_gone(evse, session)
            session.left = session.phase is Phase.STOPPING
        elif session.cap is not None and session.cap.ends and (reached := used_up(site, evse, session)) is not None:
            self.stop(evse, reached)
        elif session.refused and settings.boolean("TxCtrlr.StopTxOnInvalidId"):
            most_wh = settings.integer("TxCtrlr.MaxEnergyOnInvalidId")
            register_wh = session.register_wh if session.register_wh is not None else session.refused_wh
            if register_wh - session.refused_wh >= most_wh:
                self.stop(evse, StopReason.DE_AUTHORIZED)
                session.hold_cable = evse.socket  # OCPP 1.6 §4.8: until the same id or group is presented

    @staticmethod
    def _replugged(evse: Evse, session: Session) -> bool:
        """The vehicle that is connected came after the start: this agent was away when the first one left."""
        started, observation = session.started, evse.observation
        if started is None or observation is None or observation.plugged_at is None:
            return False
        return session.authorised.boot == started.boot and observation.plugged_at > started.monotonic_s

    def _left_at(self, evse: Evse, session: Session) -> float | None:
        """When the vehicle left, as control saw it while this agent was away; None when we saw it ourselves."""
        started, observation = session.started, evse.observation
        if started is None or observation is None or observation.left_at is None:
            return None
        unseen = evse.left_unseen or self._replugged(evse, session)
        same_boot = session.authorised.boot == started.boot == self._site.moment.boot
        return observation.left_at if unseen and same_boot and observation.left_at > started.monotonic_s else None

    def _vehicle_gone(self, evse: Evse, session: Session) -> None:
        settings = self._site.settings
        plug_gone = evse.socket and not evse.cable_in
        if plug_gone or settings.boolean("TxCtrlr.StopTxOnEVSideDisconnect"):
            self.stop(evse, StopReason.EV_DISCONNECTED, at=self._left_at(evse, session))
            unlock = settings.boolean("OCPPCommCtrlr.UnlockOnEVSideDisconnect")
            session.hold_cable = evse.socket and not plug_gone and not unlock

    def _try_end(self, evse: Evse, session: Session) -> None:
        last = self._ending.register(evse, session)
        if last is None or not self._signing.ended(evse, session):
            return
        register_wh, stale = last
        samples = self._metering.end(evse, session)
        self._record_end(evse.id, session, register_wh, samples, stale)
        session.phase = Phase.FINISHED
        session.history = []
        self._ending.done(evse)
        session.left = evse.connected is False
        if session.left:
            self._record_unplugged(evse, session)
        self._site.keep("station", f"register:{evse.id}", register_wh)
        self._follow_cable(evse)

    def _record_unplugged(self, evse: Evse, session: Session) -> None:
        if self._site.settings.boolean("TariffCostCtrlr.IdleFeeAfterStop"):
            self._site.record(Unplugged(session.transaction, evse.id))

    def _record_end(
        self, number: int, session: Session, register_wh: float, samples: tuple[Any, ...], stale: bool
    ) -> None:
        # A meter that was exchanged or lost its register must not make energy negative.
        final_wh = max(register_wh, session.start_wh)
        signed, long = self._signing.collected(session)
        self._site.record(
            TransactionEnded(
                session.transaction,
                number,
                final_wh,
                session.reason,
                not self._site.online,
                session.stop_token,
                samples,
                meter_stale=stale or final_wh != register_wh,
                signed=signed,
            ),
            session.stopped,
        )
        if long:
            offline = not self._site.online
            self._site.record(MeterSigned(session.transaction, number, long, offline), session.stopped)

    # ---- documents ----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep what changed. A register alone is renewed every few minutes only."""
        site = self._site
        for evse in site.evses.values():
            session = evse.session
            mark = session.mark() if session is not None else None
            if session is None:
                if evse.saved is not None:
                    site.keep("session", str(evse.id), None)
            elif mark != evse.saved or self._save_due(session):
                session.saved_utc_s = site.moment.utc_s
                site.keep("session", str(evse.id), session.document())
            evse.saved = mark
        marks = _marks(site.waiting)
        if marks != self._waiting_saved:
            self._waiting_saved = marks
            site.keep("session", "waiting", [session.document() for session in site.waiting] or None)

    def _save_due(self, session: Session) -> bool:
        return session.phase is Phase.RUNNING and abs(self._site.moment.utc_s - session.saved_utc_s) >= SAVE_S

    def wake(self) -> float | None:
        site = self._site
        due: list[float | None] = [self._connection_deadline(session) for session in site.waiting]
        for evse in site.evses.values():
            session = evse.session
            if session is None:
                continue
            if session.phase is Phase.WAITING:
                due += [self._connection_deadline(session), evse.start_by]
            elif session.phase is Phase.RUNNING:
                due.append(cap_wake(site, session))
                due.append(site.now + max(0.0, SAVE_S - abs(site.moment.utc_s - session.saved_utc_s)))
            elif session.phase is Phase.STOPPING:
                due.append(self._ending.deadline(evse, session))
                due.append(self._signing.deadline(evse, session))
        return earliest(due)


def _marks(sessions: list[Session]) -> Hashable:
    return tuple(session.mark() for session in sessions)
