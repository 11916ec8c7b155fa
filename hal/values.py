"""Readings and commands that cross a hardware port. Frozen values, units in the names.

Every reading carries ``at``: when it was taken, in seconds of the monotonic clock. A reading is never
re-stamped: whoever uses it decides whether it is too old.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

PILOT_F_PCT = 0.0
"""Duty cycle that stands for steady −12 V (state F: the EVSE is not available)."""

PILOT_X1_PCT = 100.0
"""Duty cycle that stands for steady +12 V (x1: connected, but nothing is offered)."""


class PilotState(Enum):
    """Control pilot state as the vehicle's load sets it (IEC 61851-1 Annex A; A..F without the x1/x2 suffix)."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    INVALID = "invalid"
    """Outside every band: a pilot fault."""


@dataclass(frozen=True, slots=True)
class PilotReading:
    """One look at the control pilot.

    A board that classifies by itself gives ``state``; a plain ADC gives the two peaks in volts and leaves
    ``state`` at None for control's own classifier. A board may give both.
    """

    at: float
    state: PilotState | None = None
    high_v: float | None = None
    low_v: float | None = None


@dataclass(frozen=True, slots=True)
class ContactorReading:
    """Feedback of the main contacts. ``closed`` is None where the hardware cannot tell."""

    at: float
    closed: bool | None
    phases: int | None = None


class Cable(Enum):
    """Proximity pilot coding of a plug-in cable (IEC 61851-1 Annex B). Value: rating in ampere per phase."""

    NONE = 0
    A13 = 13
    A20 = 20
    A32 = 32
    A63 = 63
    """100 Ω: 63 A three-phase, 70 A single-phase."""
    FAULT = -1


@dataclass(frozen=True, slots=True)
class ProximityReading:
    at: float
    cable: Cable


@dataclass(frozen=True, slots=True)
class LockReading:
    """Feedback of the cable lock. ``locked`` is None while it moves or where it cannot be told."""

    at: float
    locked: bool | None


class SelfTest(Enum):
    UNSUPPORTED = "unsupported"
    NOT_RUN = "not_run"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ResidualCurrentReading:
    """State of the residual-current monitor (RCM, RDC-DD or CCID)."""

    at: float
    tripped: bool
    self_test: SelfTest = SelfTest.UNSUPPORTED
    self_test_at: float | None = None
    """When the last self-test ended."""


@dataclass(frozen=True, slots=True)
class TemperatureReading:
    """``value_c`` is None for a broken sensor (open or short)."""

    at: float
    value_c: float | None


@dataclass(frozen=True, slots=True)
class EmergencyStopReading:
    at: float
    pressed: bool


@dataclass(frozen=True, slots=True)
class EnclosureReading:
    at: float
    open: bool = False
    """A cover or door is off or open."""
    tilted: bool = False
    """The charger no longer stands upright: it was hit."""


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """One press of the start/stop button, told when it is released (or when it has become a long one)."""

    at: float
    long: bool = False


class Quality(Enum):
    GOOD = "good"
    SUSPECT = "suspect"
    """Plausible in form, but a check failed (jump, register running backwards); not to be billed unseen."""


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One block of meter values, taken together. Per-phase tuples are (L1,), (L1, L2) or (L1, L2, L3).

    ``energy_import_wh`` is the meter's own register in watt-hours, never a difference or an estimate.
    """

    at: float
    energy_import_wh: float
    energy_export_wh: float | None = None
    power_w: float | None = None
    voltage_v: tuple[float, ...] = ()
    current_a: tuple[float, ...] = ()
    frequency_hz: float | None = None
    power_factor: float | None = None
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class SigningSession:
    """What a signing meter writes into its signed sets. The words are those of OCMF (S.A.F.E. e.V.).

    ``level``, ``flags`` and ``id_type`` are members of OCMF's tables IL, IF and IT; ``point`` names the charge point.
    """

    transaction: str
    """Ours, unique for ever: by it a set is known again after a restart."""
    identified: bool
    level: str = "NONE"
    flags: tuple[str, ...] = ()
    id_type: str = "NONE"
    id_data: str = ""
    point: str = ""


class SignedMoment(Enum):
    """Which reading a signed set holds."""

    BEGIN = "begin"
    UPDATE = "update"
    END = "end"
    SESSION = "session"
    """Begin and end in one set."""


@dataclass(frozen=True, slots=True)
class SignedReading:
    """A signed set as the meter gave it. ``data`` is never touched: one changed byte and no signature fits."""

    at: float
    key: str
    """Tells this set from every other."""
    transaction: str
    """Of the session it belongs to, as the set itself says; empty when it does not."""
    moment: SignedMoment
    data: str
    encoding: str = "OCMF"
    signing_method: str = ""
    """Empty where ``data`` says it itself."""
    public_key: str = ""
    """DER (SubjectPublicKeyInfo), hexadecimal."""


@dataclass(frozen=True, slots=True)
class SigningState:
    """How the signing half of a meter does."""

    at: float
    ready: bool
    """The public key is known: it can sign."""
    separate: bool
    """It signs each reading by itself; False: begin and end come in one set, and nothing between."""
    public_key: str = ""
    transaction: str = ""
    """For which it is signing now."""
    failed: str = ""
    """Transaction for which no signed end can be had any more."""
    trouble: str = ""
    """What is wrong, and the remedy; empty when all is well."""


class TokenKind(Enum):
    """What kind of identifier a reader gave, in OCPP 2.0.1's words."""

    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    LOCAL = "Local"


@dataclass(frozen=True, slots=True)
class TokenRead:
    """One presentation of a card. ``uid`` is written as configured (``hal.drivers.token_format``): upper-case
    hexadecimal in the order read, if nothing else is said."""

    at: float
    uid: str
    kind: TokenKind


class BoardError(Enum):
    """What a pilot board with its own safety logic reports (hardware.md §F.1, ErrorFlags)."""

    DIODE = "diode"
    RESIDUAL_SELF_TEST = "residual_self_test"
    RESIDUAL_CURRENT = "residual_current"
    VENTILATION = "ventilation"
    LOCK = "lock"
    PILOT = "pilot"
    OVER_CURRENT = "over_current"
    GROUND = "ground"
    """No protective earth."""
    CONTACTOR_WELDED = "contactor_welded"
    CONTACTOR_STUCK_OPEN = "contactor_stuck_open"
    TEMPERATURE = "temperature"
    CABLE = "cable"
    """The cable's coding cannot be read or does not fit."""
    SUPPLY = "supply"
    """Under- or over-voltage, a missing phase."""
    INTERNAL = "internal"
    """Its own hardware or software failed; nothing more is known."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a board says it can do; 0 or empty where it does not say."""

    hardware: str = ""
    software: str = ""
    protocol: str = ""
    min_current_a: float = 0.0
    max_current_a: float = 0.0
    min_phases: int = 0
    max_phases: int = 0
    phase_switch_while_charging: bool = False


@dataclass(frozen=True, slots=True)
class BoardReading:
    """Life sign of a board that watches over the pilot by itself."""

    at: float
    """When the board was last heard (any valid frame)."""
    errors: frozenset[BoardError] = frozenset()
    resets: int = 0
    """Counts the resets the board has reported since the driver opened it."""
    last_reset_reason: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)


class Indication(Enum):
    """What the indicator of an EVSE should tell the driver; the device maps it to colour and pattern."""

    AVAILABLE = "available"
    PREPARING = "preparing"
    CHARGING = "charging"
    SUSPENDED = "suspended"
    RESERVED = "reserved"
    FINISHING = "finishing"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Health:
    """How a device does. ``detail`` names the trouble and the remedy when it is not ok."""

    ok: bool
    detail: str = ""
    last_heard_at: float | None = None
