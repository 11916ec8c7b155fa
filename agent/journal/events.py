"""The event vocabulary: what happened at this charge point, in no protocol's words.

An event is written before its effect is visible outside. A version package of ``agent.ocpp`` renders it into
messages when it is sent, so energy recorded under one OCPP version is delivered under another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something happened, so that it can be told truly even if the clock was wrong then.

    ``utc_s`` is what the wall clock said, in seconds since 1970. ``synced`` tells whether that clock could be
    trusted. ``boot`` and ``monotonic_s`` place the moment within its boot: once the boot's offset is known, the
    true time of every event of that boot follows (``Journal.fix_clock``).
    """

    boot: str
    monotonic_s: float
    utc_s: float
    synced: bool


class StartTrigger(Enum):
    CABLE_PLUGGED_IN = "CablePluggedIn"
    AUTHORIZED = "Authorized"
    REMOTE_START = "RemoteStart"
    FREE_VEND = "FreeVend"
    CHARGING_STATE_CHANGED = "ChargingStateChanged"
    """Energy flows (OCPP 2.x, TxStartPoint EnergyTransfer)."""


class StopReason(Enum):
    """Why a transaction ended. Values as in OCPP 2.0.1 (stoppedReason), the richest common vocabulary."""

    DE_AUTHORIZED = "DeAuthorized"
    EMERGENCY_STOP = "EmergencyStop"
    ENERGY_LIMIT_REACHED = "EnergyLimitReached"
    EV_DISCONNECTED = "EVDisconnected"
    GROUND_FAULT = "GroundFault"
    IMMEDIATE_RESET = "ImmediateReset"
    LOCAL = "Local"
    MASTER_PASS = "MasterPass"
    """OCPP 2 (C16): somebody who may end every transaction."""
    OTHER = "Other"
    OVERCURRENT_FAULT = "OvercurrentFault"
    POWER_LOSS = "PowerLoss"
    REBOOT = "Reboot"
    REMOTE = "Remote"
    SCHEDULED_RESET = "ScheduledReset"
    """A reset that ended its transactions first (OCPP 1.6: SoftReset)."""
    COST_LIMIT_REACHED = "CostLimitReached"
    """OCPP 2.1 (E16). It says LocalOutOfCredit here."""
    STOPPED_BY_EV = "StoppedByEV"
    TIME_LIMIT_REACHED = "TimeLimitReached"
    TIMEOUT = "Timeout"
    UNLOCK_COMMAND = "UnlockCommand"


class Trigger(Enum):
    """What an event of a transaction was recorded for. Values as in OCPP 2.1 (triggerReason), those that we have."""

    ABNORMAL_CONDITION = "AbnormalCondition"
    AUTHORIZED = "Authorized"
    CABLE_PLUGGED_IN = "CablePluggedIn"
    CHARGING_RATE_CHANGED = "ChargingRateChanged"
    CHARGING_STATE_CHANGED = "ChargingStateChanged"
    COST_LIMIT_REACHED = "CostLimitReached"
    DEAUTHORIZED = "Deauthorized"
    ENERGY_LIMIT_REACHED = "EnergyLimitReached"
    EV_COMMUNICATION_LOST = "EVCommunicationLost"
    EV_CONNECT_TIMEOUT = "EVConnectTimeout"
    LIMIT_SET = "LimitSet"
    METER_VALUE_CLOCK = "MeterValueClock"
    METER_VALUE_PERIODIC = "MeterValuePeriodic"
    OPERATION_MODE_CHANGED = "OperationModeChanged"
    REMOTE_START = "RemoteStart"
    REMOTE_STOP = "RemoteStop"
    RESET_COMMAND = "ResetCommand"
    RUNNING_COST = "RunningCost"
    STOP_AUTHORIZED = "StopAuthorized"
    TARIFF_CHANGED = "TariffChanged"
    TARIFF_NOT_ACCEPTED = "TariffNotAccepted"
    TIME_LIMIT_REACHED = "TimeLimitReached"
    TRIGGER = "Trigger"
    TX_RESUMED = "TxResumed"
    UNLOCK_COMMAND = "UnlockCommand"


class Context(Enum):
    """Why a meter value was taken. Values as in OCPP."""

    INTERRUPTION_BEGIN = "Interruption.Begin"
    INTERRUPTION_END = "Interruption.End"
    SAMPLE_CLOCK = "Sample.Clock"
    SAMPLE_PERIODIC = "Sample.Periodic"
    TRANSACTION_BEGIN = "Transaction.Begin"
    TRANSACTION_END = "Transaction.End"
    TRIGGER = "Trigger"
    OTHER = "Other"


class ChargingState(Enum):
    CHARGING = "Charging"
    EV_CONNECTED = "EVConnected"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    IDLE = "Idle"


@dataclass(frozen=True, slots=True)
class SampledValue:
    """One measured quantity. ``measurand``, ``unit`` and ``phase`` use OCPP's words (the same in 1.6 and 2.x)."""

    measurand: str
    value: float
    unit: str
    phase: str = ""
    context: Context = Context.SAMPLE_PERIODIC
    ago_s: float = 0.0
    """How long before its event's stamp it was taken. Above 0 only in lists that an end message carries."""


@dataclass(frozen=True, slots=True)
class SignedValue:
    """What a meter signed, byte for byte (OCA, Signed Meter Values in OCPP, 3.2)."""

    context: Context
    data: str
    encoding: str
    """OCMF, EDL, …"""
    signing_method: str = ""
    """Empty where ``data`` says it itself."""
    public_key: str = ""
    """DER (SubjectPublicKeyInfo), hexadecimal; empty where the network wants it without."""
    ago_s: float = 0.0
    """How long before its event's stamp it was asked for."""
    wh: float | None = None
    """The register it speaks of, where that is known besides."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a transaction may go (OCPP 2.1 E16). None: no bound of this kind."""

    cost: float | None = None
    """In the network's currency."""
    energy_wh: float | None = None
    time_s: int | None = None
    """From its start."""
    soc_pct: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    """OCPP 1.6 knows a transaction from the moment on at which its driver and its EVSE are known: one that began
    before is told to it by the ``TransactionUpdated`` that has ``start_wh``."""

    transaction: str
    """Identity, unique for ever (a UUID)."""
    evse: int
    """0: not known yet (OCPP 2.x, E01.FR.16)."""
    token: str
    """Empty: nobody is authorised yet (2.x, TxStartPoint EVConnected)."""
    token_kind: str
    meter_wh: float
    """The meter's register at the start; the last good one when the meter was silent."""
    trigger: StartTrigger
    offline: bool
    group: str = ""
    remote_start_id: int | None = None
    reservation: int | None = None
    samples: tuple[SampledValue, ...] = ()
    meter_stale: bool = False
    """True: the meter was silent and ``meter_wh`` is the last good register known."""
    state: ChargingState | None = None
    """None: as it follows from ``trigger``."""
    cable_a: int | None = None
    """What the cable carries, where it is not fixed."""
    phases: int | None = None
    """On how many it charges, where that is known."""


@dataclass(frozen=True, slots=True)
class TransactionUpdated:
    """Something changed within a transaction. OCPP 1.6 has no message for it (StatusNotification tells the state
    unrecorded), except where ``start_wh`` stands."""

    transaction: str
    evse: int
    """0: not known yet."""
    state: ChargingState | None
    """None: it has not changed."""
    offline: bool
    trigger: Trigger = Trigger.CHARGING_STATE_CHANGED
    token: str = ""
    """Who was authorised just now, or who ended the authorisation."""
    token_kind: str = ""
    group: str = ""
    remote_start_id: int | None = None
    reservation: int | None = None
    joined: bool = False
    """The vehicle has come just now: from here on the EVSE is known for sure (E01.FR.16)."""
    phases: int | None = None
    """On how many it charges, when that has changed."""
    cable_a: int | None = None
    samples: tuple[SampledValue, ...] = ()
    start_wh: float | None = None
    """The meter's register when driver and EVSE are known for the first time: OCPP 1.6's transaction starts here."""
    limits: Limits | None = None
    """Set just now (2.1 E16.FR.03)."""


@dataclass(frozen=True, slots=True)
class MeterSampled:
    """Values taken during a transaction. Thinned out evenly when space runs out; starts and ends never are."""

    transaction: str
    evse: int
    samples: tuple[SampledValue, ...]
    offline: bool
    early: bool = False
    """Driver and EVSE are not both known yet: OCPP 1.6 has no transaction that it could belong to."""


@dataclass(frozen=True, slots=True)
class MeterSigned:
    """Signed values that no start or end carries. Never thinned out."""

    transaction: str
    evse: int
    signed: tuple[SignedValue, ...]
    offline: bool
    late: bool = False
    """The end of the transaction is on the books already."""


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    transaction: str
    evse: int
    meter_wh: float
    reason: StopReason
    offline: bool
    token: str = ""
    """Who stopped it, when a token did."""
    samples: tuple[SampledValue, ...] = ()
    meter_stale: bool = False
    """True: the meter was silent and ``meter_wh`` is the last good register known."""
    signed: tuple[SignedValue, ...] = ()
    trigger: Trigger | None = None
    """None: as it follows from ``reason``."""
    state: ChargingState | None = None
    """Where it has changed with the end."""
    token_kind: str = ""
    anonymous: bool = False
    """Nobody was ever authorised: OCPP 1.6 knows of no such transaction."""


@dataclass(frozen=True, slots=True)
class Unplugged:
    """The vehicle left after the end of its transaction. Only where idle costs go on until then."""

    transaction: str
    evse: int


Event = TransactionStarted | TransactionUpdated | MeterSampled | MeterSigned | TransactionEnded | Unplugged


def begins(event: Event) -> bool:
    """True for the event from which on driver and EVSE are known, so that every OCPP version can tell of it."""
    if isinstance(event, TransactionStarted):
        return bool(event.token) and event.evse > 0
    return isinstance(event, TransactionUpdated) and event.start_wh is not None
