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


class StopReason(Enum):
    """Why a transaction ended. Values as in OCPP 2.0.1 (stoppedReason), the richest common vocabulary."""

    DE_AUTHORIZED = "DeAuthorized"
    EMERGENCY_STOP = "EmergencyStop"
    ENERGY_LIMIT_REACHED = "EnergyLimitReached"
    EV_DISCONNECTED = "EVDisconnected"
    GROUND_FAULT = "GroundFault"
    IMMEDIATE_RESET = "ImmediateReset"
    LOCAL = "Local"
    OTHER = "Other"
    OVERCURRENT_FAULT = "OvercurrentFault"
    POWER_LOSS = "PowerLoss"
    REBOOT = "Reboot"
    REMOTE = "Remote"
    SCHEDULED_RESET = "ScheduledReset"
    """A reset that ended its transactions first (OCPP 1.6: SoftReset)."""
    TIME_LIMIT_REACHED = "TimeLimitReached"
    TIMEOUT = "Timeout"
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


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    transaction: str
    """Identity, unique for ever (a UUID)."""
    evse: int
    token: str
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


@dataclass(frozen=True, slots=True)
class TransactionUpdated:
    """The charging state changed. OCPP 1.6 has no message for it (StatusNotification tells it unrecorded)."""

    transaction: str
    evse: int
    state: ChargingState
    offline: bool


@dataclass(frozen=True, slots=True)
class MeterSampled:
    """Values taken during a transaction. Thinned out evenly when space runs out; starts and ends never are."""

    transaction: str
    evse: int
    samples: tuple[SampledValue, ...]
    offline: bool


@dataclass(frozen=True, slots=True)
class MeterSigned:
    """Signed values that no start or end carries. Never thinned out."""

    transaction: str
    evse: int
    signed: tuple[SignedValue, ...]
    offline: bool


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


@dataclass(frozen=True, slots=True)
class Unplugged:
    """The vehicle left after the end of its transaction. Only where idle costs go on until then."""

    transaction: str
    evse: int


Event = TransactionStarted | TransactionUpdated | MeterSampled | MeterSigned | TransactionEnded | Unplugged
