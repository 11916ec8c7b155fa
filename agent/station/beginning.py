"""How a transaction begins: at the first of its start points that holds, with the meter's register (E01 to E04)."""

from __future__ import annotations

import logging
import uuid

from agent.journal.events import (
    ChargingState,
    Context,
    SampledValue,
    StartTrigger,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)
from agent.link.messages import FaultCode
from agent.station.ending import METER_WAIT_S
from agent.station.evse import Evse
from agent.station.metering import Metering
from agent.station.points import Facts, Point, Points, begins, read
from agent.station.reservations import reservation_of
from agent.station.session import Phase, Session
from agent.station.signing import REGISTER, Signing
from agent.station.site import Site

log = logging.getLogger(__name__)


class Beginning:
    def __init__(self, site: Site, metering: Metering, signing: Signing) -> None:
        self._site = site
        self._metering = metering
        self._signing = signing

    def start_points(self) -> Points:
        return read(self._site.settings.members("TxCtrlr.TxStartPoint"))

    def at_evse(self, evse: Evse, session: Session) -> None:
        """Let what waits at an EVSE go on as far as the facts allow. Call while the session's phase is WAITING."""
        site = self._site
        if not site.control or evse.stopped_by_fault or evse.observation is None or site.books.closed:
            evse.start_by = None
            return
        charges = evse.connected is True and session.granted
        if not charges and (session.open or not self._opens(evse, session)):
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
        register_wh = sample.energy_import_wh if sample is not None else evse.register_wh or 0.0
        if charges:
            self._run(evse, session, register_wh, stale)
        else:
            self._open(evse, session, register_wh, stale)
        evse.start_by = None

    def without_evse(self, session: Session) -> None:
        """Somebody is authorised, and the EVSE is not known yet: that alone may begin the transaction (E01.FR.03)."""
        site = self._site
        if not site.flexible or session.open or Point.AUTHORIZED not in self.start_points() or site.books.closed:
            return
        self._identify(session)
        self._record(0, session, ())

    def granted(self, evse: Evse, session: Session) -> None:
        """A driver was authorised for a transaction that is open already (E02.FR.01, E02.FR.20, F01.FR.19)."""
        remote = session.trigger is StartTrigger.REMOTE_START
        first = not session.known
        session.known = True
        samples = self._late_register(evse, session)
        self._site.record(
            TransactionUpdated(
                session.transaction,
                evse.id,
                None,
                not self._site.online,
                Trigger.REMOTE_START if remote else Trigger.AUTHORIZED,
                session.token.uid,
                session.token.kind,
                session.group,
                session.remote_start_id,
                reservation_of(self._site, evse, session),
                samples=samples,
                start_wh=session.start_wh if first else None,
            )
        )
        log.info("EVSE %d: token %s charges in transaction %s", evse.id, session.token.masked, session.transaction)

    def _late_register(self, evse: Evse, session: Session) -> tuple[SampledValue, ...]:
        """The register at the start, where the meter was silent then. Nothing has flowed since."""
        if not session.stale:
            return ()
        sample = evse.fresh_meter(self._site.now)
        if sample is not None:
            session.start_wh = session.register_wh = sample.energy_import_wh
        session.stale = False
        return (SampledValue(REGISTER, session.start_wh, "Wh", context=Context.TRANSACTION_BEGIN),)

    # ---- pieces --------------------------------------------------------------------------------------------------

    def _opens(self, evse: Evse, session: Session) -> bool:
        facts = Facts(evse.connected is True, session.granted)
        return self._site.flexible and begins(self.start_points(), facts)

    def _identify(self, session: Session) -> None:
        """From here on it is a transaction, known to the network or not."""
        session.transaction = str(uuid.uuid4())
        session.started = self._site.moment.stamp()
        if self._site.flexible:
            session.stop_points = self._site.settings.members("TxCtrlr.TxStopPoint")

    def _open(self, evse: Evse, session: Session, register_wh: float, stale: bool) -> None:
        """The network has a transaction before anything can flow."""
        self._identify(session)
        session.start_wh = session.register_wh = register_wh
        session.joined = evse.connected is True
        session.stale = stale and not session.granted
        samples = self._metering.begin(evse, session) if session.joined else ()
        self._record(evse.id, session, samples, stale, evse)

    def _run(self, evse: Evse, session: Session, register_wh: float, stale: bool) -> None:
        """Driver and vehicle are there: from now on energy may flow."""
        site = self._site
        plugged_last = evse.connected_at > session.authorised.monotonic_s
        if session.trigger is StartTrigger.AUTHORIZED and plugged_last and not session.open:
            session.trigger = StartTrigger.CABLE_PLUGGED_IN
        session.phase = Phase.RUNNING
        session.apart = None
        fresh = not session.transaction
        unplaced = session.open and not session.joined
        if fresh:
            self._identify(session)
            session.start_wh = session.register_wh = register_wh
        elif unplaced and not session.known:
            session.start_wh = session.register_wh = register_wh
        assert session.started is not None
        session.authorised = site.moment.stamp() if site.flexible else session.started
        evse.resting_since = None
        if not session.signing:
            self._signing.begin(evse, session)
        if unplaced:
            self._join(evse, session)
        elif fresh:
            samples = self._metering.begin(evse, session)
            if self._opens(evse, session) or not site.flexible:
                self._record(evse.id, session, samples, stale, evse)
                self._metering.started(evse, session)
            else:
                session.begin_samples = samples
        log.info("EVSE %d: transaction %s begins at %.0f Wh", evse.id, session.transaction, session.start_wh)

    def _join(self, evse: Evse, session: Session) -> None:
        """The vehicle has come to an open transaction: EVSE and register are known now (E01.FR.16, E01.FR.17)."""
        first = not session.known
        session.joined = session.known = True
        samples = self._metering.begin(evse, session)
        register = SampledValue(REGISTER, session.start_wh, "Wh", context=Context.TRANSACTION_BEGIN)
        self._site.record(
            TransactionUpdated(
                session.transaction,
                evse.id,
                ChargingState.EV_CONNECTED,
                not self._site.online,
                Trigger.CABLE_PLUGGED_IN,
                session.token.uid if first else "",
                session.token.kind if first else "",
                session.group if first else "",
                reservation=reservation_of(self._site, evse, session),
                joined=True,
                cable_a=_cable_a(evse),
                samples=samples or (register,),
                start_wh=session.start_wh if first else None,
            )
        )
        session.state = ChargingState.EV_CONNECTED

    def energy_flows(self, evse: Evse, session: Session) -> None:
        """The last of the start points: EnergyTransfer (E01.FR.06)."""
        if session.trigger is not StartTrigger.REMOTE_START:
            session.trigger = StartTrigger.CHARGING_STATE_CHANGED
        session.joined = True
        session.phases = phases_of(evse)
        self._record(evse.id, session, session.begin_samples, False, evse, ChargingState.CHARGING)
        session.begin_samples = ()

    def _record(
        self,
        number: int,
        session: Session,
        samples: tuple[SampledValue, ...],
        stale: bool = False,
        evse: Evse | None = None,
        state: ChargingState | None = None,
    ) -> None:
        site = self._site
        session.told, session.known = True, session.granted and number > 0
        if session.phase is Phase.RUNNING:
            session.joined = True
        reservation = reservation_of(site, evse, session) if session.granted else None
        cable_a = None
        if site.flexible:
            connected = evse is not None and evse.connected is True
            state = state or (ChargingState.EV_CONNECTED if connected else ChargingState.IDLE)
            session.state = state
            cable_a = _cable_a(evse) if evse is not None and connected else None
        site.record(
            TransactionStarted(
                session.transaction,
                number,
                session.token.uid,
                session.token.kind if session.granted else "",
                session.start_wh,
                session.trigger,
                not site.online,
                session.group,
                session.remote_start_id,
                reservation=reservation,
                samples=samples,
                meter_stale=stale,
                state=state,
                cable_a=cable_a,
                phases=session.phases,
            ),
            session.started,
        )


def phases_of(evse: Evse) -> int | None:
    """On how many phases a vehicle that charges is connected, as the outlet tells."""
    observation = evse.observation
    return observation.phases if observation is not None and observation.phases > 0 else None


def _cable_a(evse: Evse) -> int | None:
    """What a plugged cable says of itself; a fixed one is known by its EVSE."""
    observation = evse.observation
    return observation.cable_a if evse.socket and observation is not None and observation.cable_a > 0 else None
