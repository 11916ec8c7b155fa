"""What the station knows of one EVSE: control's latest word, the meter, faults, availability, the session."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from agent.config import schema
from agent.journal.events import ChargingState
from agent.link.messages import EvseInfo, FaultCode, FaultReport, Hold, MeterSample, Observation, Permit
from agent.station.commands import ConnectorStatus, StatusReport
from agent.station.session import Phase, Session

FRESH_S = 5.0
"""A meter reading older than this is not the register of now."""


@dataclass(slots=True)
class Evse:
    id: int
    config: schema.Evse
    info: EvseInfo | None = None
    observation: Observation | None = None
    connected: bool | None = None
    """A vehicle is connected, as last known for sure; None before it was ever known."""
    connected_at: float = 0.0
    left_unseen: bool = False
    """It had left before this agent heard of the EVSE for the first time."""
    cable_in: bool = False
    """Socket: a cable is in, with or without a vehicle at its other end."""
    meter: MeterSample | None = None
    """Latest good reading."""
    register_wh: float | None = None
    """Last good register ever heard, also from before a restart."""
    faults: dict[FaultCode, FaultReport] = field(default_factory=dict)
    wanted_operative: bool = True
    """As the operator wants it. A running transaction is let finish first."""
    connector_operative: bool = True
    """Its connector, which has a state of its own in OCPP 2."""
    station_operative: bool = True
    """So has the station as a whole."""
    held_back: bool = False
    """Out of service for a while whatever the operator wants: new software is about to be installed."""
    made_safe: bool = False
    """Out of service because a person at the charge point opened everything."""
    session: Session | None = None

    # What was told to control, so that only changes go out.
    permit: Permit | None = None
    permit_at: float = 0.0
    withdrawn: bool = False
    told_operative: bool | None = None
    told_hold: bool | None = None
    told_indication: str = ""
    show: tuple[str, float] | None = None
    """An indication that goes before the usual one until a time (monotonic)."""

    # Timers and figures of the parts of the station.
    share_a: float = 0.0
    allowed_a: float | None = None
    """The network's charging profiles allow the running transaction so much, per phase; None: they set no limit."""
    resting_since: float | None = None
    start_by: float | None = None
    opened_at: float | None = None
    sampled_at: float | None = None
    sampled_wh: float | None = None
    collected_at: float | None = None
    aligned_wh: float | None = None
    status: ConnectorStatus | None = None
    """As derived last."""
    unclear_since: float | None = None
    report: StatusReport | None = None
    """As told to the network last."""
    change: StatusReport | None = None
    """A newer one that has to last a while before it is told."""
    changed_at: float = 0.0
    saved: Hashable = None
    """Mark of the session's document as written last."""

    @property
    def connector_type(self) -> str:
        """ConnectorEnumType of OCPP 2: what IEC 61851 mode 3 has in the markets this is made for."""
        return "sType2" if self.socket else "cType2"

    @property
    def socket(self) -> bool:
        return self.config.connector is schema.ConnectorType.SOCKET

    @property
    def running(self) -> Session | None:
        """The session whose transaction is open and not about to end."""
        return self.session if self.session is not None and self.session.phase is Phase.RUNNING else None

    @property
    def in_transaction(self) -> bool:
        """A transaction is open here, or energy may flow."""
        session = self.session
        return session is not None and (self.charges or session.open)

    @property
    def charges(self) -> bool:
        """A charge runs, or is being ended."""
        return self.session is not None and self.session.phase in (Phase.RUNNING, Phase.STOPPING)

    @property
    def metered(self) -> Session | None:
        """The session whose samples the network is to have."""
        session = self.session
        if session is None or not session.open or session.phase is Phase.STOPPING:
            return None
        return session if session.joined else None

    @property
    def operative(self) -> bool:
        """Somebody could begin here, as far as the operator, an update and a technician are concerned."""
        wanted = self.wanted_operative and self.connector_operative and self.station_operative
        return wanted and not self.held_back and not self.made_safe

    @property
    def in_service(self) -> bool:
        """Operative, or still finishing a transaction from when it was."""
        return self.operative or self.in_transaction

    @property
    def holds(self) -> tuple[Hold, ...]:
        return self.observation.holds if self.observation is not None else ()

    @property
    def stopped_by_fault(self) -> bool:
        """A fault keeps energy from flowing (others are only told)."""
        return Hold.FAULT in self.holds or Hold.EMERGENCY_STOP in self.holds

    @property
    def charging(self) -> bool:
        return self.session is not None and self.session.state is ChargingState.CHARGING

    @property
    def max_current_a(self) -> float:
        """What outlet and cable carry, per phase."""
        limits = [self.config.max_current_a]
        if self.info is not None:
            limits.append(self.info.max_current_a)
        if self.observation is not None and self.observation.cable_a > 0:
            limits.append(float(self.observation.cable_a))
        return min(limits)

    def fresh_meter(self, now: float) -> MeterSample | None:
        """Return the latest good reading if it still stands for now."""
        return self.meter if self.meter is not None and now - self.meter.at <= FRESH_S else None

    def observe(self, observation: Observation, now: float | None = None) -> None:
        """Take control's word. ``now`` is when it was heard: what is compared with cards is heard in the same order."""
        self.observation = observation
        letter = observation.pilot[:1]
        if letter in ("B", "C", "D"):
            connected: bool | None = True
        elif letter == "A" or observation.plugged is False:
            connected = False
        else:
            connected = None  # E, F and "?" say nothing; what was known holds
        if connected is not None:
            self.left_unseen = not connected and (self.connected is None or self.left_unseen)
            if connected and self.connected is not True:
                self.connected_at = observation.at if now is None else now
            self.connected = connected
        if self.socket and observation.plugged is not None:
            self.cable_in = observation.plugged or observation.cable_a > 0
        for code in [code for code, report in self.faults.items() if report.at < observation.at]:
            if code not in observation.faults:
                del self.faults[code]
        for code in observation.faults:
            if code not in self.faults:
                self.faults[code] = FaultReport(self.id, code, True, observation.at, False, "", "")

    def measure(self, sample: MeterSample) -> None:
        """Take a reading; a doubtful one counts for nothing here."""
        if sample.quality != "good":
            return
        self.meter = sample
        self.register_wh = sample.energy_import_wh
        if self.session is not None and self.session.phase in (Phase.RUNNING, Phase.STOPPING):
            self.session.register_wh = sample.energy_import_wh

    def blame(self, report: FaultReport) -> None:
        """Take a fault's coming or going."""
        if report.active:
            self.faults[report.code] = report
        else:
            self.faults.pop(report.code, None)
