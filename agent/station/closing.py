"""How a transaction ends: the last register, then its end on the books (E06 to E10). And how one that is open without
anything flowing is closed."""

from __future__ import annotations

import logging
from typing import Any

from agent.journal.events import (
    ChargingState,
    MeterSigned,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    Trigger,
    Unplugged,
)
from agent.station.ending import Ending
from agent.station.evse import Evse
from agent.station.metering import Metering
from agent.station.session import Phase, Session
from agent.station.signing import Signing
from agent.station.site import Site, earliest

log = logging.getLogger(__name__)

_LATER = (StopReason.EV_DISCONNECTED, StopReason.TIMEOUT, StopReason.STOPPED_BY_EV)
"""What follows from the end of an authorisation is not told as the reason: that is (E07, figure 55)."""


class Closing:
    def __init__(self, site: Site, metering: Metering, signing: Signing) -> None:
        self._site = site
        self._metering = metering
        self._signing = signing
        self._ending = Ending(site)

    def charging(self, evse: Evse, session: Session) -> bool:
        """Try to finish a charging that is STOPPING. True once it is finished; the transaction may go on without."""
        last = self._ending.register(evse, session)
        if last is None or not self._signing.ended(evse, session):
            return False
        register_wh, session.stale = last
        # A meter that was exchanged or lost its register must not make energy negative.
        final_wh = session.final_wh = max(register_wh, session.start_wh)
        session.stale = session.stale or final_wh != register_wh
        self._ending.done(evse)
        energy_told = not session.told and final_wh > session.start_wh
        if session.ends and (session.told or energy_told):
            self._end(evse.id, session, self._metering.end(evse, session))
        elif session.ends:
            self._close(session)  # nothing flowed, and the network has not heard of it (TxStartPoint EnergyTransfer)
        session.phase = Phase.FINISHED
        session.left = evse.connected is False
        if session.left:
            self.unplugged(evse, session)
        self._site.keep("station", f"register:{evse.id}", final_wh)
        return True

    def at_once(
        self, evse: Evse | None, session: Session, reason: StopReason, trigger: Trigger | None = None, uid: str = ""
    ) -> None:
        """End a transaction that is open while nothing can flow."""
        site = self._site
        session.stopped = site.moment.stamp()
        session.reason = session.cause if session.cause is not None and reason in _LATER else reason
        session.trigger_end = trigger
        session.stop_token = uid
        if evse is not None and session.joined and (session.final_wh is None or session.stale):
            self.look_again(evse, session)
        if session.final_wh is None:
            session.final_wh = session.start_wh
        samples = self._metering.end(evse, session) if evse is not None and session.joined else ()
        self._end(evse.id if evse is not None else 0, session, samples)

    def look_again(self, evse: Evse, session: Session) -> None:
        """Take the register of now as the last one, where the meter was silent then. Nothing has flowed since."""
        sample = evse.fresh_meter(self._site.now)
        if sample is not None:
            session.final_wh, session.stale = max(sample.energy_import_wh, session.start_wh), False

    def lost(self, number: int, session: Session) -> None:
        """The EVSE of a transaction is not configured any more: end it with the last good register."""
        if session.stopped is None:
            session.stopped, session.reason = self._site.moment.stamp(), StopReason.OTHER
        if session.final_wh is None:
            session.final_wh = max(session.register_wh or session.start_wh, session.start_wh)
            session.stale = True
        if session.told or session.final_wh > session.start_wh:
            self._end(number, session, ())

    def unplugged(self, evse: Evse, session: Session) -> None:
        """The vehicle left after the end."""
        if self._site.settings.boolean("TariffCostCtrlr.IdleFeeAfterStop"):
            self._site.record(Unplugged(session.transaction, evse.id))

    def wake(self, evse: Evse, session: Session) -> float | None:
        return earliest((self._ending.deadline(evse, session), self._signing.deadline(evse, session)))

    def _end(self, number: int, session: Session, samples: tuple[Any, ...]) -> None:
        site = self._site
        assert session.final_wh is not None
        if not session.told:
            self._begun(number, session)
        signed, long = self._signing.collected(session)
        if long and site.flexible:  # nothing may follow the end
            site.record(MeterSigned(session.transaction, number, long, not site.online), session.stopped)
        evse = site.evses.get(number)
        connected = evse is not None and evse.connected is not False
        flexible = bool(session.stop_points)
        site.record(
            TransactionEnded(
                session.transaction,
                number,
                session.final_wh,
                session.reason,
                not site.online,
                session.stop_token,
                samples,
                meter_stale=session.stale,
                signed=signed,
                trigger=session.trigger_end,
                state=(ChargingState.EV_CONNECTED if connected else ChargingState.IDLE) if flexible else None,
                token_kind=session.token.kind if flexible and session.stop_token else "",
                anonymous=not session.known,
            ),
            session.stopped,
        )
        if long and not site.flexible:
            site.record(MeterSigned(session.transaction, number, long, not site.online), session.stopped)
        self._close(session)

    @staticmethod
    def _close(session: Session) -> None:
        session.closed = True
        session.history = []
        session.final_wh, session.stale = None, False

    def _begun(self, number: int, session: Session) -> None:
        """Energy flowed, and the network was never told of a start: it is told first."""
        self._site.record(
            TransactionStarted(
                session.transaction,
                number,
                session.token.uid,
                session.token.kind,
                session.start_wh,
                session.trigger,
                not self._site.online,
                session.group,
                session.remote_start_id,
                samples=session.begin_samples,
                state=ChargingState.CHARGING,
            ),
            session.started,
        )
        session.told = session.known = session.joined = True
