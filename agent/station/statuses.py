"""Which of OCPP 1.6's nine words describes an EVSE, and telling the network when it changes (OCPP 1.6 §4.9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agent.journal.events import ChargingState, TransactionUpdated
from agent.link.messages import FaultCode, FaultReport, Hold
from agent.station.commands import ConnectorStatus, StatusReport
from agent.station.effects import ReportStatus
from agent.station.evse import Evse
from agent.station.reservations import shows_reserved
from agent.station.session import Phase
from agent.station.site import Site, earliest
from agent.station.transitions import between

CONTROL_GRACE_S = 5.0
"""The control process may restart for so long before its EVSEs are called faulted."""

UNCLEAR_S = 10.0
"""A state in between (checks, locking, settling) keeps the word before it for so long."""

_IN_BETWEEN = {
    Hold.LOCK_PENDING,
    Hold.SELF_TEST_PENDING,
    Hold.CHECKS_PENDING,
    Hold.STOPPING,
    Hold.PHASE_SWITCH,
    Hold.NOT_PLUGGED,
}
_STATION_SIDE = {Hold.NO_PERMIT, Hold.LIMIT_BELOW_MINIMUM, Hold.LEASE_EXPIRED, Hold.INOPERATIVE}

ERROR_WORDS = {
    FaultCode.PILOT: "EVCommunicationError",
    FaultCode.DIODE: "EVCommunicationError",
    FaultCode.VENTILATION: "EVCommunicationError",
    FaultCode.RESIDUAL_CURRENT: "GroundFailure",
    FaultCode.RESIDUAL_SELF_TEST: "InternalError",
    FaultCode.OVER_CURRENT: "OverCurrentFailure",
    FaultCode.CONTACTOR_WELDED: "PowerSwitchFailure",
    FaultCode.CONTACTOR_STUCK_OPEN: "PowerSwitchFailure",
    FaultCode.PROTECTIVE_EARTH: "GroundFailure",
    FaultCode.SUPPLY_VOLTAGE: "UnderVoltage",
    FaultCode.TEMPERATURE: "HighTemperature",
    FaultCode.CABLE: "OtherError",
    FaultCode.LOCK: "ConnectorLockFailure",
    FaultCode.EMERGENCY_STOP: "OtherError",
    FaultCode.BOARD_LOST: "InternalError",
    FaultCode.BOARD_RESET: "InternalError",
    FaultCode.BOARD_MISMATCH: "InternalError",
    FaultCode.BOARD_FAULT: "InternalError",
    FaultCode.ENCLOSURE: "OtherError",
    FaultCode.TILT: "OtherError",
    FaultCode.METER: "PowerMeterFailure",
    FaultCode.MAINS: "UnderVoltage",
    FaultCode.READER: "ReaderFailure",
    FaultCode.CONTROL_OVERRUN: "InternalError",
}
"""OCPP 1.6 §7.6. A supply voltage that is too high becomes OverVoltage where the meter shows it."""

CHARGEX_CODES = {
    FaultCode.LOCK: ("CX001", "ConnectorLockFailure"),
    FaultCode.RESIDUAL_CURRENT: ("CX002", "GroundFailure"),
    FaultCode.PROTECTIVE_EARTH: ("CX002", "GroundFailure"),
    FaultCode.TEMPERATURE: ("CX003", "HighTemperature"),
    FaultCode.OVER_CURRENT: ("CX004", "OverCurrentFailure"),
    FaultCode.SUPPLY_VOLTAGE: ("CX006", "UnderVoltage"),
    FaultCode.EMERGENCY_STOP: ("CX008", "EmergencyStop"),
    FaultCode.VENTILATION: ("CX010", "InvalidVehicleMode"),
    FaultCode.PILOT: ("CX014", "PilotFault"),
    FaultCode.DIODE: ("CX014", "PilotFault"),
    FaultCode.MAINS: ("CX015", "PowerLoss"),
    FaultCode.CONTACTOR_WELDED: ("CX017", "EVSEContactorFault"),
    FaultCode.CONTACTOR_STUCK_OPEN: ("CX017", "EVSEContactorFault"),
    FaultCode.CABLE: ("CX023", "ProximityFault"),
}
"""ChargeX minimum required error codes (MREC): code and name. What they do not know goes by our own word."""

_OVER_VOLTAGE = ("CX005", "OverVoltage")

_STATES = {
    ConnectorStatus.CHARGING: ChargingState.CHARGING,
    ConnectorStatus.SUSPENDED_EV: ChargingState.SUSPENDED_EV,
    ConnectorStatus.SUSPENDED_EVSE: ChargingState.SUSPENDED_EVSE,
}


def derive(evse: Evse, control_gone: bool, reserved: bool = False) -> ConnectorStatus | None:
    """Return the word for this EVSE; None while it is between two states and the former word holds."""
    if control_gone or evse.stopped_by_fault:
        return ConnectorStatus.FAULTED
    if not evse.in_service:
        return ConnectorStatus.UNAVAILABLE
    session = evse.session
    if (session is None or session.vacant) and reserved:
        return ConnectorStatus.RESERVED  # 2.0.1 G03.FR.09, whatever is plugged in
    if session is None:
        occupied = evse.connected or evse.cable_in
        return ConnectorStatus.PREPARING if occupied else ConnectorStatus.AVAILABLE
    if session.phase is Phase.WAITING:
        return ConnectorStatus.PREPARING
    if session.phase is Phase.FINISHED:
        return ConnectorStatus.FINISHING
    if session.phase is Phase.STOPPING:
        return None
    return running_status(evse)


def running_status(evse: Evse) -> ConnectorStatus | None:
    """Return the word for a charge that runs; None in between two states."""
    observation = evse.observation
    if observation is None or evse.connected is None:
        return None
    if not evse.connected:
        return ConnectorStatus.SUSPENDED_EV
    # SuspendedEVSE goes before SuspendedEV (OCPP 1.6 §4.9).
    if evse.share_a <= 0:
        return ConnectorStatus.SUSPENDED_EVSE
    holds = set(observation.holds)
    permitted = evse.permit is not None and observation.permit_serial >= evse.permit.serial
    if holds & _STATION_SIDE:
        if holds & _STATION_SIDE <= {Hold.NO_PERMIT, Hold.LEASE_EXPIRED} and not permitted:
            return None  # our permit is on its way
        return ConnectorStatus.SUSPENDED_EVSE
    if holds & _IN_BETWEEN:
        return None
    if holds:
        return ConnectorStatus.SUSPENDED_EV  # B2, too (OCPP 1.6 errata 3.55)
    return ConnectorStatus.CHARGING if observation.contactor_closed is not False else None


def error_of(evse: Evse | None, faults: Iterable[FaultReport]) -> tuple[str, str, str]:
    """Return (OCPP 1.6 errorCode, info, vendor's code) of the gravest fault: latched ones first, then the oldest."""
    ordered = sorted(faults, key=lambda fault: (not fault.latched, fault.at, fault.code.value))
    if not ordered:
        return "NoError", "", ""
    fault = ordered[0]
    word = ERROR_WORDS[fault.code]
    vendor, name = CHARGEX_CODES.get(fault.code, (fault.code.value, ""))
    if fault.code is FaultCode.SUPPLY_VOLTAGE and evse is not None and evse.meter is not None:
        high_v = max(evse.meter.voltage_v, default=0.0)
        if high_v > 250.0:
            word, (vendor, name) = "OverVoltage", _OVER_VOLTAGE
    # Where the errorCode says the name already, all of the text is the detail's.
    return word, ": ".join(part for part in (name if name != word else "", fault.detail) if part), vendor


class Statuses:
    """Follows each EVSE's status; reports changes that last (OCPP 1.6 §9.1.16 MinimumStatusDuration)."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._station: StatusReport | None = None

    def announce(self) -> None:
        """Report the EVSEs without a transaction: their Preparing comes before the record of a start."""
        self._report([evse for evse in self._site.evses.values() if not evse.in_transaction])

    def settle(self) -> None:
        site = self._site
        self._report(list(site.evses.values()))
        station = self.station()
        if self._station is None or not _same(self._station, station):
            self._station = station
            site.emit(ReportStatus(station))

    def _report(self, evses: list[Evse]) -> None:
        site = self._site
        for evse in evses:
            self._follow(evse)
            if evse.observation is None and not self._control_gone:
                continue  # nothing is known yet
            if self._in_doubt(evse):
                continue
            report = self.report(evse)
            if evse.report is not None and _same(evse.report, report):
                evse.change = None
                continue
            if evse.change is None or not _same(evse.change, report):
                evse.change, evse.changed_at = report, site.now
            if evse.report is None or site.now - evse.changed_at >= self._minimum_s:
                if evse.report is not None:
                    for passed in between(evse.report.status, report.status):
                        site.emit(ReportStatus(replace(report, status=passed)))
                evse.report, evse.change = report, None
                site.emit(ReportStatus(report))
                self._note_state(evse)

    def _in_doubt(self, evse: Evse) -> bool:
        """A fault has come or gone, and whether energy stops with it is in control's next observation, which is near:
        an error with the wrong status beside it helps nobody."""
        observation = evse.observation
        return observation is not None and not self._control_gone and set(observation.faults) != evse.faults.keys()

    def wake(self) -> float | None:
        site = self._site
        return earliest(
            [
                site.control_lost_at + CONTROL_GRACE_S
                if site.control_lost_at is not None and site.now - site.control_lost_at < CONTROL_GRACE_S
                else None,
                *(evse.changed_at + self._minimum_s for evse in site.evses.values() if evse.change is not None),
                *(
                    evse.unclear_since + UNCLEAR_S
                    for evse in site.evses.values()
                    if evse.unclear_since is not None and site.now - evse.unclear_since < UNCLEAR_S
                ),
            ]
        )

    def report(self, evse: Evse) -> StatusReport:
        """The state of an EVSE as it is now."""
        error, info, vendor = error_of(evse, evse.faults.values())
        status = evse.status or ConnectorStatus.AVAILABLE
        if self._site.flexible and status is ConnectorStatus.PREPARING and not (evse.connected or evse.cable_in):
            status = ConnectorStatus.AVAILABLE  # Occupied means the connector, not the driver (E02.FR.05)
        if status is ConnectorStatus.FAULTED and self._control_gone:
            error, info, vendor = "InternalError", "the control process does not answer", "control_lost"
        elif status is ConnectorStatus.FAULTED and error == "NoError":
            error = "OtherError"
        return StatusReport(evse.id, status, error, info, vendor, self._site.moment.utc_s)

    def station(self) -> StatusReport:
        """The state of the station as a whole; Available, Unavailable or Faulted (OCPP 1.6 §4.9)."""
        site = self._site
        error, info, vendor = error_of(None, site.faults.values())
        if error == "NoError" and site.books.code:
            error, info, vendor = site.books.error, site.books.text, site.books.code
        status = ConnectorStatus.AVAILABLE
        if error == "NoError" and site.list_conflicts:
            error, info = "LocalListConflict", f"list and network disagree on {len(site.list_conflicts)} tokens"
        if self._control_gone:
            status, error = ConnectorStatus.FAULTED, "InternalError"
            info, vendor = "the control process does not answer", "control_lost"
        elif not any(evse.operative for evse in site.evses.values()):
            status = ConnectorStatus.UNAVAILABLE
        return StatusReport(0, status, error, info, vendor, site.moment.utc_s)

    @property
    def _minimum_s(self) -> int:
        return self._site.settings.integer("ChargingStation.MinimumStatusDuration")

    @property
    def _control_gone(self) -> bool:
        lost_at = self._site.control_lost_at
        return lost_at is not None and self._site.now - lost_at >= CONTROL_GRACE_S

    def _follow(self, evse: Evse) -> None:
        status = derive(evse, self._control_gone, shows_reserved(self._site, evse))
        if status is not None:
            evse.status, evse.unclear_since = status, None
            return
        if evse.unclear_since is None:
            evse.unclear_since = self._site.now
        if evse.status is None:
            evse.status = ConnectorStatus.PREPARING
        if evse.running is not None and self._site.now - evse.unclear_since >= UNCLEAR_S:
            evse.status = ConnectorStatus.SUSPENDED_EVSE

    def _note_state(self, evse: Evse) -> None:
        """Put a lasting change of a running transaction on the books (OCPP 2.x tells it)."""
        session = evse.running
        if session is None or evse.status is None or session.stop_points:  # those have ``agent.station.telling``
            return
        state = _STATES.get(evse.status)
        if state is ChargingState.SUSPENDED_EV and not evse.connected:
            state = ChargingState.IDLE
        if state is not None and state is not session.state:
            session.state = state
            self._site.record(TransactionUpdated(session.transaction, evse.id, state, not self._site.online))


def _same(one: StatusReport, other: StatusReport) -> bool:
    return (one.status, one.error, one.vendor_error) == (other.status, other.error, other.vendor_error)
