"""Transactions from authorisation to the last register: start, stop, the wait for open contacts, restarts in between.

The phases of a session say how far the charging is, the same for every OCPP version. Which stretch of it the network
calls a transaction follows from the start and stop points (``agent.station.points``): under OCPP 1.6 it is that of the
charging itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from agent.journal.events import ChargingState, StartTrigger, StopReason, TransactionUpdated, Trigger
from agent.station.beginning import Beginning
from agent.station.bounds import Bounds
from agent.station.closing import Closing
from agent.station.evse import Evse
from agent.station.metering import Metering
from agent.station.points import Point, ends_unauthorised, ends_unconnected, read
from agent.station.reservations import obstacle, take, unused
from agent.station.roaming import cap_wake, used_up
from agent.station.session import NOBODY, Cap, Phase, Session
from agent.station.session_store import SessionStore
from agent.station.signing import Signing
from agent.station.site import Site, earliest
from agent.station.stopping import fault_that_ends, reason_of, trigger_of
from agent.station.tokens import Token, TokenInfo, TokenStatus

log = logging.getLogger(__name__)

_BY_AUTHORISATION = (StopReason.LOCAL, StopReason.REMOTE, StopReason.DE_AUTHORIZED, StopReason.MASTER_PASS)
"""They end the authorisation. Whether the transaction ends with it is for TxStopPoint to say."""


class Transactions:
    def __init__(self, site: Site, metering: Metering, signing: Signing, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._signing = signing
        self._store = SessionStore(site, kept)
        self._beginning = Beginning(site, metering, signing)
        self._closing = Closing(site, metering, signing)
        self.bounds = Bounds(site)
        self._reset = kept.get("station", {}).get("reset")
        """How the network's reset has treated transactions before this start: Hard, Resume, or None."""

    # ---- restart ------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """End what cannot go on after a restart; the rest goes on once control has told how things stand."""
        site = self._site
        for number, orphan in self._store.orphans():
            log.error("EVSE %d is no longer configured; its transaction ends with the last good register", number)
            if orphan.open or orphan.phase in (Phase.RUNNING, Phase.STOPPING):
                self._closing.lost(number, orphan)
        if self._reset is not None:
            site.keep("station", "reset", None)
        if self._reset == "Hard":
            for waiting in list(site.waiting):
                self._drop_waiting(waiting, StopReason.IMMEDIATE_RESET)
        for evse in site.evses.values():
            session = evse.session
            if session is None or session.phase is Phase.STOPPING:
                continue
            if session.phase is Phase.RUNNING or session.open:
                if self._reset == "Hard":
                    self.stop(evse, StopReason.IMMEDIATE_RESET)
                elif self._reset == "Resume":
                    self._resume(session, evse)  # 2.1 B13.FR.23: however long it took
                elif session.authorised.boot != site.moment.boot:
                    self._bridge(evse, session)
        self._reset = None

    def _bridge(self, evse: Evse, session: Session) -> None:
        """The machine itself was off: go on only if that was short, or if no clock can tell."""
        site = self._site
        most_s = site.settings.integer("TxCtrlr.ResumptionTimeout")
        away_s = site.moment.utc_s - session.saved_utc_s
        if not (most_s and away_s <= most_s):
            self.stop(evse, StopReason.POWER_LOSS)
            return
        self._resume(session, evse)

    def _resume(self, session: Session, evse: Evse) -> None:
        site = self._site
        session.authorised = site.moment.stamp()
        if site.flexible and session.open:
            # 2.1 E17.FR.11 to .14, B13.FR.23 to .25, B13.FR.30.
            allowed = site.settings.boolean("TxCtrlr.AllowEnergyTransferResumption")
            session.barred = session.barred or (session.phase is Phase.RUNNING and not allowed)
            state = ChargingState.SUSPENDED_EVSE if session.barred else session.state
            session.state = state
            self.note(evse, session, Trigger.TX_RESUMED, state)

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
        session = evse.session if evse is not None else None
        if evse is not None and session is not None and (session.vacant or session.open):
            session.phase, session.granted, session.refused, session.hold_cable = Phase.WAITING, True, False, False
            session.token, session.group, session.trigger = token, group, trigger
            session.remote_start_id, session.profile, session.cap = remote_start_id, profile, cap
            session.stopped, session.cause, session.final_wh, session.left = None, None, None, False
            session.authorised = site.moment.stamp()
            session.reserved = take(site, evse, token, group) if site.flexible else None
            if session.open:
                self._beginning.granted(evse, session)
        else:
            session = Session(
                Phase.WAITING, token, trigger, site.moment.stamp(), site.next_order(), group, remote_start_id
            )
            session.profile, session.cap = profile, cap
            session.reserved = take(site, evse, token, group) if site.flexible else None  # H03.FR.09
            if evse is None:
                site.waiting.append(session)
            else:
                evse.session = session
                evse.start_by = None
        log.info("token %s may charge at EVSE %s", token.masked, evse.id if evse else "(next plugged)")

    def stop(
        self,
        evse: Evse,
        reason: StopReason,
        token: Token | None = None,
        at: float | None = None,
        trigger: Trigger | None = None,
    ) -> None:
        """Decide the end of what runs; contacts open, then the register is read.

        ``at``: when what ended it happened (monotonic), if that was before now. ``trigger``: what the end is recorded
        for, where that does not follow from the reason.
        """
        session = evse.session
        if session is None:
            return
        if session.phase is not Phase.RUNNING:
            self._stop_idle(evse, session, reason, token, trigger)
            return
        session.phase = Phase.STOPPING
        session.stopped, session.reason = self._site.moment.stamp(at), reason
        session.stop_token = token.uid if token else ""
        session.trigger_end = trigger
        stop = read(session.stop_points)
        session.ends = not stop or reason not in _BY_AUTHORISATION or ends_unauthorised(stop) or not session.told
        evse.opened_at = None
        if session.ends:
            log.info("EVSE %d: transaction %s ends: %s", evse.id, session.transaction, reason.value)
        else:
            self._end_authorisation(evse, session, reason, token)

    def _end_authorisation(self, evse: Evse, session: Session, reason: StopReason, token: Token | None) -> None:
        """The charging ends, the transaction goes on without a driver (E07, E05.FR.09)."""
        session.granted, session.cause = False, reason
        self._site.record(
            TransactionUpdated(
                session.transaction,
                evse.id,
                None,
                not self._site.online,
                trigger_of(reason),
                token.uid if token else "",
                token.kind if token else "",
            ),
            session.stopped,
        )
        # An end that has to wait for the energy to stop (E06.FR.07): figure 55.
        if session.flowed and Point.ENERGY_TRANSFER in read(session.stop_points):
            session.ends, session.trigger_end, session.stop_token = True, Trigger.CHARGING_STATE_CHANGED, ""
        log.info("EVSE %d: transaction %s goes on without a driver: %s", evse.id, session.transaction, reason.value)

    def _stop_idle(
        self, evse: Evse, session: Session, reason: StopReason, token: Token | None, trigger: Trigger | None
    ) -> None:
        """End a transaction that is open while nothing can flow."""
        if session.open and session.phase is not Phase.STOPPING:
            self._closing.at_once(evse, session, reason, trigger, token.uid if token else "")
            if evse.connected or (evse.connected is None and session.joined):
                # The next one begins with the next vehicle, or the next driver.
                session.phase = Phase.FINISHED
                session.left = False
            else:
                evse.session = None

    def call_off(self, evse: Evse, reason: StopReason) -> None:
        """Whoever waits at this EVSE waits no longer."""
        session = evse.session
        if session is None or session.phase is not Phase.WAITING:
            return
        log.info("EVSE %d: the authorisation of token %s lapses", evse.id, session.token.masked)
        unused(self._site, session)
        if session.open:
            self._stop_idle(evse, session, reason, None, None)
        else:
            evse.session = None

    def _drop_waiting(self, session: Session, reason: StopReason, token: Token | None = None) -> None:
        site = self._site
        site.waiting = [other for other in site.waiting if other is not session]
        unused(site, session)
        if session.open:
            self._closing.at_once(None, session, reason, uid=token.uid if token else "")

    def stop_waiting(self, session: Session, reason: StopReason, token: Token | None = None) -> None:
        """End the transaction of somebody who is authorised and has no EVSE yet."""
        self._drop_waiting(session, reason, token)

    def start_answered(self, transaction: str, info: TokenInfo) -> None:
        """The network's verdict on a token whose transaction has begun (OCPP 1.6 §4.8; 2.0.1 E05)."""
        site = self._site
        for waiting in list(site.waiting):
            if waiting.transaction == transaction and info.status is not TokenStatus.ACCEPTED:
                self._drop_waiting(waiting, StopReason.DE_AUTHORIZED)
                return
        for evse in site.evses.values():
            session = evse.session
            if session is None or session.transaction != transaction:
                continue
            session.group = info.group or session.group
            if info.status is TokenStatus.ACCEPTED:
                session.cap = None
            if info.status is TokenStatus.ACCEPTED or not session.granted:
                return
            self._refuse(evse, session, info.status)
            return

    def _refuse(self, evse: Evse, session: Session, status: TokenStatus) -> None:
        if session.phase is not Phase.RUNNING and not (session.open and session.phase is Phase.WAITING):
            return
        log.warning("EVSE %d: the network refuses token %s: %s", evse.id, session.token.masked, status.value)
        if session.stop_points and self._site.settings.boolean("TxCtrlr.StopTxOnInvalidId"):
            # E05.FR.09, E05.FR.10: at once; MaxEnergyOnInvalidId is for transactions that go on.
            self.stop(evse, StopReason.DE_AUTHORIZED)
            session.hold_cable = evse.socket and evse.connected is True  # E05.FR.11
        elif not session.refused:
            session.refused = True
            session.refused_wh = session.register_wh if session.register_wh is not None else session.start_wh

    # ---- one step -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring every EVSE's session to where the facts want it."""
        self._time_out_waiting()
        for evse in sorted(self._site.evses.values(), key=lambda evse: evse.connected_at):
            self._settle(evse)
        for session in self._site.waiting:
            self._beginning.without_evse(session)

    def _settle(self, evse: Evse) -> None:
        self._follow_cable(evse)
        self._assign(evse)
        session = evse.session
        if session is not None and session.phase is Phase.WAITING:
            self._beginning.at_evse(evse, session)
        if evse.running is not None:
            self._watch(evse, evse.running)
        elif session is not None and session.open and (fault := fault_that_ends(evse)) is not None:
            self.stop(evse, reason_of(fault))
        stopping = evse.session if evse.session is not None and evse.session.phase is Phase.STOPPING else None
        if stopping is not None and self._closing.charging(evse, stopping):
            self._follow_cable(evse)

    def _follow_cable(self, evse: Evse) -> None:
        session = evse.session
        if session is None or evse.connected is None:
            return
        if session.vacant and not evse.connected:
            # E06.FR.02; and without driver and vehicle there is nothing left that could end it.
            if session.open:
                self._closing.at_once(evse, session, StopReason.EV_DISCONNECTED)
            evse.session = None
            return
        if session.phase is not Phase.FINISHED:
            return
        if session.open and session.stale:
            self._closing.look_again(evse, session)
        if not evse.connected and not session.left:
            session.left = True
            self._closing.unplugged(evse, session)
        if not evse.connected and session.open:
            self._closing.at_once(evse, session, StopReason.EV_DISCONNECTED, Trigger.EV_COMMUNICATION_LOST)
        gone = not evse.connected and not evse.cable_in
        back = evse.connected and session.left and not session.hold_cable
        if gone or back:
            evse.session = None

    def _assign(self, evse: Evse) -> None:
        """A vehicle came, or is there, for whoever waits."""
        site = self._site
        session = evse.session
        vacant = session is None or session.vacant
        if not vacant or evse.connected is not True or not self.usable(evse):
            return
        if site.waiting:
            # Who tapped first has the first plug that comes after the tap.
            first = site.waiting[0]
            after = evse.connected_at >= first.authorised.monotonic_s or first.authorised.boot != site.moment.boot
            if after and session is None and not obstacle(site, evse, first.token, first.group, len(site.waiting) - 1):
                site.waiting.pop(0)
                evse.session = first
                return
        if site.config.authorisation.free_vend:
            token = Token(site.config.authorisation.free_vend_token, "NoAuthorization")
            if not obstacle(site, evse, token, ""):
                self.authorise(evse, token, "", StartTrigger.FREE_VEND)
                return
        if session is None and site.flexible and Point.EV_CONNECTED in self._beginning.start_points():
            plugged = StartTrigger.CABLE_PLUGGED_IN
            evse.session = Session(Phase.WAITING, NOBODY, plugged, site.moment.stamp(), site.next_order())
            evse.session.granted = False

    def usable(self, evse: Evse) -> bool:
        """True when a transaction could begin here."""
        return evse.operative and self._site.resetting is None and not self._site.books.closed

    def _time_out_waiting(self) -> None:
        site = self._site
        for waiting in list(site.waiting):
            if self._timed_out(waiting):
                self._drop_waiting(waiting, StopReason.TIMEOUT)
        for evse in site.evses.values():
            session = evse.session
            if session is None or session.phase is not Phase.WAITING:
                continue
            if site.resetting is not None:
                self.call_off(evse, StopReason.SCHEDULED_RESET)
            elif not evse.operative and not (session.open and session.joined):
                self.call_off(evse, StopReason.OTHER)
            elif session.granted and not session.joined and self._timed_out(session):
                self.call_off(evse, StopReason.TIMEOUT)  # E03.FR.05

    def _timed_out(self, session: Session) -> bool:
        deadline = self._connection_deadline(session)
        return deadline is not None and self._site.now >= deadline

    def _connection_deadline(self, session: Session) -> float | None:
        """End of EVConnectionTimeOut (OCPP 1.6 ConnectionTimeOut); None where there is none."""
        timeout_s = self._site.settings.integer("TxCtrlr.EVConnectionTimeOut")
        if not timeout_s or not session.granted:
            return None
        if session.authorised.boot != self._site.moment.boot:
            session.authorised = self._site.moment.stamp()
        return session.authorised.monotonic_s + timeout_s

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
        elif (bound := self.bounds.reached(evse, session)) is not None:
            self._bounded(evse, session, bound)
        elif session.refused and settings.boolean("TxCtrlr.StopTxOnInvalidId") and not session.stop_points:
            most_wh = settings.integer("TxCtrlr.MaxEnergyOnInvalidId")
            register_wh = session.register_wh if session.register_wh is not None else session.refused_wh
            if register_wh - session.refused_wh >= most_wh:
                self.stop(evse, StopReason.DE_AUTHORIZED)
                session.hold_cable = evse.socket  # OCPP 1.6 §4.8: until the same id or group is presented

    def _bounded(self, evse: Evse, session: Session, bound: StopReason) -> None:
        """A limit of the transaction is reached (2.1 E16.FR.05, E16.FR.06)."""
        if Point.ENERGY_TRANSFER in read(session.stop_points):
            self.stop(evse, bound)
        elif session.limit_reached is None:
            session.limit_reached = trigger_of(bound)
            session.state = ChargingState.SUSPENDED_EVSE
            self.note(evse, session, session.limit_reached, session.state)

    @staticmethod
    def _replugged(evse: Evse, session: Session) -> bool:
        """The vehicle that is connected came after the start: this agent was away when the first one left."""
        started, observation = session.started, evse.observation
        if started is None or observation is None or observation.plugged_at is None:
            return False
        same_boot = session.authorised.boot == started.boot
        return same_boot and observation.plugged_at > max(started.monotonic_s, session.authorised.monotonic_s)

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
        stop = read(session.stop_points)
        plug_gone = evse.socket and not evse.cable_in
        ends = plug_gone or settings.boolean("TxCtrlr.StopTxOnEVSideDisconnect")  # E09.FR.01
        ends = ends or ends_unconnected(stop) or (session.flowed and Point.ENERGY_TRANSFER in stop)
        if ends:
            self.stop(evse, StopReason.EV_DISCONNECTED, at=self._left_at(evse, session))
            unlock = settings.boolean("OCPPCommCtrlr.UnlockOnEVSideDisconnect")
            session.hold_cable = evse.socket and not plug_gone and not unlock
        elif stop and not evse.socket and self._away_too_long(session):
            self.stop(evse, StopReason.TIMEOUT)  # E10.FR.02

    def _away_too_long(self, session: Session) -> bool:
        deadline = self._return_deadline(session)
        return deadline is not None and self._site.now >= deadline

    def _return_deadline(self, session: Session) -> float | None:
        """Until when a vehicle that left a fixed cable may come back. OCPP names no time for it; ours is
        EVConnectionTimeOut."""
        timeout_s = self._site.settings.integer("TxCtrlr.EVConnectionTimeOut")
        apart = session.apart
        if apart is None or not timeout_s:
            return None
        if apart.boot != self._site.moment.boot:
            session.apart = apart = self._site.moment.stamp()
        return apart.monotonic_s + timeout_s

    # ---- what is told on the way ---------------------------------------------------------------------------------

    def note(
        self, evse: Evse, session: Session, trigger: Trigger, state: ChargingState | None = None, **more: Any
    ) -> None:
        """Put something on the books that happened within an open transaction. Only OCPP 2.x tells it."""
        if session.open:
            offline = not self._site.online
            self._site.record(TransactionUpdated(session.transaction, evse.id, state, offline, trigger, **more))

    def energy_flows(self, evse: Evse, session: Session) -> None:
        """Energy flows in a transaction that the network has not heard of yet."""
        self._beginning.energy_flows(evse, session)

    # ---- documents ----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep what changed."""
        self._store.save()

    def wake(self) -> float | None:
        site = self._site
        due: list[float | None] = [self._connection_deadline(session) for session in site.waiting]
        for evse in site.evses.values():
            session = evse.session
            if session is None:
                continue
            due.append(self._store.wake(session))
            if session.phase is Phase.WAITING:
                due += [None if session.joined else self._connection_deadline(session), evse.start_by]
            elif session.phase is Phase.RUNNING:
                due.append(cap_wake(site, session))
                due.append(self.bounds.wake(session))
                due.append(self._return_deadline(session) if not evse.socket else None)
            elif session.phase is Phase.STOPPING:
                due.append(self._closing.wake(evse, session))
        return earliest(due)
