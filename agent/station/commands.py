"""What the operator's network (any OCPP version) or a person at the local API may ask of the station, and the answers.

The verbs themselves are methods of ``agent.station.station.Station``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from agent.journal.events import SampledValue
from agent.station.charging.profile import Profile
from agent.station.price_texts import PriceText
from agent.station.tokens import Token


class ConnectorStatus(Enum):
    """State of an EVSE as drivers and operators see it. OCPP 1.6's nine words; 2.x's five follow from them."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class AvailabilityAnswer(Enum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    SCHEDULED = "Scheduled"


class UnlockAnswer(Enum):
    UNLOCKED = "Unlocked"
    FAILED = "UnlockFailed"
    NOT_SUPPORTED = "NotSupported"
    ONGOING = "OngoingAuthorizedTransaction"
    """OCPP 2 does not end a charge by unlocking (F05.FR.02)."""


class ResetKind(Enum):
    """SOFT ends transactions in good order and restarts the agent; IMMEDIATE does so and restarts the machine where it
    can be (2.0.1 B12.FR.04); HARD restarts at once and ends them after the restart; ON_IDLE begins no new one and waits
    for the end of those that run (2.0.1 B12.FR.01); RESUME restarts at once, and they go on after it (2.1 B13)."""

    SOFT = "Soft"
    HARD = "Hard"
    IMMEDIATE = "Immediate"
    ON_IDLE = "OnIdle"
    RESUME = "ImmediateAndResume"


class SettingAnswer(Enum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    REBOOT_REQUIRED = "RebootRequired"
    NOT_SUPPORTED = "NotSupported"


@dataclass(frozen=True, slots=True)
class RemoteStart:
    token: Token
    evse: int | None = None
    """None: the station chooses a free one."""
    remote_start_id: int | None = None
    profile: Profile | None = None
    """A TxProfile for the transaction to come."""
    group: str = ""
    """Group of the token, where the network tells it."""


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """What becomes of a remote start."""

    why_not: str = ""
    """Empty: it is accepted."""
    transaction: str = ""
    """Identity of the transaction that was open already, waiting for a driver (F01.FR.13)."""


class Level(Enum):
    """What is put in or out of service. Each level keeps its own state in OCPP 2 (G03, note 1)."""

    STATION = "station"
    EVSE = "evse"
    CONNECTOR = "connector"


@dataclass(frozen=True, slots=True)
class Reservation:
    """An EVSE kept for a token, and for others of its ``group``, until a time (seconds since 1970)."""

    id: int
    evse: int
    """0: any one of them."""
    token: Token
    expires_utc_s: float
    group: str = ""
    connector: str = ""
    """Type of connector wanted (ConnectorEnumType), where ``evse`` is 0; empty: any."""


class ReservationEnd(Enum):
    """How a reservation ended that the network did not end itself (ReservationUpdateStatusEnumType)."""

    EXPIRED = "Expired"
    REMOVED = "Removed"
    NO_TRANSACTION = "NoTransaction"
    """2.1: its driver came, and no transaction began."""


class ReservationAnswer(Enum):
    ACCEPTED = "Accepted"
    FAULTED = "Faulted"
    OCCUPIED = "Occupied"
    REJECTED = "Rejected"
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True, slots=True)
class PresentValues:
    """What the meter of an EVSE says now."""

    evse: int
    transaction: str
    """The one that runs; empty for none."""
    at_utc_s: float
    samples: tuple[SampledValue, ...]


@dataclass(frozen=True, slots=True)
class FinalCost:
    """What a transaction has cost in the end, as the network says."""

    cost: Decimal
    text: PriceText
    qr_text: str = ""
    """To be shown as a QR code, usually the address of the invoice."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """State of one EVSE (or of the station as a whole, ``evse`` 0) for the operator.

    ``error`` is a word of OCPP 1.6's errorCode; ``vendor_error`` and ``info`` say it exactly.
    """

    evse: int
    status: ConnectorStatus
    error: str
    info: str
    vendor_error: str
    at_utc_s: float
