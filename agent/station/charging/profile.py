"""What the network may say about how fast to charge. Named as in OCPP 2.0.1; 1.6 says the same with older words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Purpose(Enum):
    STATION_MAX = "ChargingStationMaxProfile"
    """For all EVSEs together (OCPP 1.6: ChargePointMaxProfile)."""
    TX_DEFAULT = "TxDefaultProfile"
    """For each transaction that has no profile of its own; at one EVSE or (0) at all of them."""
    TX = "TxProfile"
    """For one transaction; ends with it."""
    EXTERNAL = "ChargingStationExternalConstraints"
    """What the site's energy manager or the grid allows; at one EVSE or (0) for all together. Never the network's."""
    PRIORITY = "PriorityCharging"
    """In the place of the transaction's own and the default while somebody wants to charge first of all (2.1 K21)."""
    LOCAL_GENERATION = "LocalGeneration"
    """What is generated at the site, on top of all other limits (2.1 K27)."""


class Source(Enum):
    """Who set a limit (OCPP's chargingLimitSource)."""

    EMS = "EMS"
    """The site's energy manager."""
    OTHER = "Other"
    SO = "SO"
    """System operator: the grid."""
    CSO = "CSO"
    """The network that operates the charge points."""


class Kind(Enum):
    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"
    DYNAMIC = "Dynamic"
    """One period, in force at once, whose limit is changed again and again (2.1 K28)."""


class Recurrence(Enum):
    DAILY = "Daily"
    WEEKLY = "Weekly"

    @property
    def days(self) -> int:
        return 1 if self is Recurrence.DAILY else 7


class RateUnit(Enum):
    AMPERE = "A"
    """Per phase."""
    WATT = "W"
    """All phases together."""


@dataclass(frozen=True, slots=True)
class Period:
    start_s: int
    """Seconds since the start of the schedule."""
    limit: float
    phases: int | None = None
    phase_to_use: int | None = None
    """Of the feed (1 to 3), where ``phases`` is 1."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The last period lasts until ``duration_s`` is over; without one for ever."""

    unit: RateUnit
    periods: tuple[Period, ...]
    start_utc_s: int | None = None
    """None: the start of charging (OCPP 1.6 §7.13)."""
    duration_s: int | None = None
    minimum_rate: float | None = None
    """Below this (in ``unit``) the vehicle charges badly."""
    id: int = 0
    """The network's number for it (from 2.0.1 on)."""


@dataclass(frozen=True, slots=True)
class Offline:
    """For how long without the network a profile stays valid (2.1 K01.FR.101, FR.102)."""

    most_s: int
    ends: bool = False
    """It does not become valid again when the network is back."""


@dataclass(frozen=True, slots=True)
class Updates:
    """When the limit of a dynamic profile was set, and how often the network is to be asked for a new one (2.1 K28)."""

    at_utc_s: float | None
    """None: when the profile comes."""
    every_s: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    schedule: Schedule
    recurrence: Recurrence | None = None
    valid_from_s: int | None = None
    valid_to_s: int | None = None
    transaction: str = ""
    """Identity of the transaction that a TxProfile belongs to."""
    source: Source = Source.CSO
    offline: Offline | None = None
    """None: valid without the network as with it (2.1 K01.FR.103)."""
    updates: Updates | None = None
    """Of a dynamic profile."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of it we take; each is told to the network as a configuration key."""

    stack_level: int = 50
    periods: int = 300
    """A day in steps of five minutes, and some."""
    profiles: int = 100


CAPACITY = Capacity()

LARGEST_OWN_ID = -1_000_000
"""Numbers up to this are for limits that do not come from the network (2.1 MaxExternalConstraintsId, K01.FR.80-82)."""
