"""What the network may say about how fast to charge. Named as in OCPP 2.0.1; 1.6 says the same with older words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any


class Purpose(Enum):
    STATION_MAX = "ChargingStationMaxProfile"
    """For all EVSEs together (OCPP 1.6: ChargePointMaxProfile)."""
    TX_DEFAULT = "TxDefaultProfile"
    """For each transaction that has no profile of its own; at one EVSE or (0) at all of them."""
    TX = "TxProfile"
    """For one transaction; ends with it."""


class Kind(Enum):
    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


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


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of it we take; each is told to the network as a configuration key."""

    stack_level: int = 50
    periods: int = 300
    """A day in steps of five minutes, and some."""
    profiles: int = 100


CAPACITY = Capacity()

LATEST_START_S = 4_102_444_800
"""2100-01-01. A calendar has an end, and sums with times near it fail; validity may well go beyond."""


def problem(profile: Profile, capacity: Capacity = CAPACITY) -> str:
    """Say which rule a profile breaks, whatever it is installed for; empty when none."""
    schedule = profile.schedule
    starts = [period.start_s for period in schedule.periods]
    if not 0 <= profile.stack_level <= capacity.stack_level:
        return f"stack level {profile.stack_level} is not within 0 to {capacity.stack_level}"
    if not 1 <= len(starts) <= capacity.periods:
        return f"{len(starts)} periods; 1 to {capacity.periods} are taken"
    if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
        return "periods must begin at 0 and follow each other"  # OCPP 1.6 §5.16.4
    for period in schedule.periods:
        if not (math.isfinite(period.limit) and period.limit >= 0):
            return f"limit {period.limit:g} is not 0 or more"
        if period.phases is not None and not 1 <= period.phases <= 3:
            return f"{period.phases} phases; 1 to 3 there are"
    if schedule.minimum_rate is not None and not (math.isfinite(schedule.minimum_rate) and schedule.minimum_rate >= 0):
        return f"minimum rate {schedule.minimum_rate:g} is not 0 or more"
    if schedule.duration_s is not None and schedule.duration_s <= 0:
        return f"duration {schedule.duration_s} s never is"
    if schedule.start_utc_s is not None and not 0 <= schedule.start_utc_s < LATEST_START_S:
        return "its start does not lie between 1970 and 2100"
    if profile.kind is Kind.RECURRING and profile.recurrence is None:
        return "a recurring profile must say how it recurs"
    if None not in (profile.valid_from_s, profile.valid_to_s) and profile.valid_from_s >= profile.valid_to_s:  # type: ignore[operator]
        return "it ends before it begins to be valid"
    return ""


def document(profile: Profile) -> dict[str, Any]:
    """Return it JSON-ready."""
    schedule = profile.schedule
    return {
        "id": profile.id,
        "stack_level": profile.stack_level,
        "purpose": profile.purpose.value,
        "kind": profile.kind.value,
        "recurrence": profile.recurrence.value if profile.recurrence else None,
        "valid_from_s": profile.valid_from_s,
        "valid_to_s": profile.valid_to_s,
        "transaction": profile.transaction,
        "unit": schedule.unit.value,
        "start_utc_s": schedule.start_utc_s,
        "duration_s": schedule.duration_s,
        "minimum_rate": schedule.minimum_rate,
        "periods": [[period.start_s, period.limit, period.phases] for period in schedule.periods],
    }


def from_document(values: Mapping[str, Any]) -> Profile:
    """Rebuild. Raises ValueError when it is not one of ours."""
    try:
        schedule = Schedule(
            RateUnit(values["unit"]),
            tuple(Period(int(start), float(limit), phases) for start, limit, phases in values["periods"]),
            values["start_utc_s"],
            values["duration_s"],
            values["minimum_rate"],
        )
        profile = Profile(
            int(values["id"]),
            int(values["stack_level"]),
            Purpose(values["purpose"]),
            Kind(values["kind"]),
            schedule,
            Recurrence(values["recurrence"]) if values["recurrence"] else None,
            values["valid_from_s"],
            values["valid_to_s"],
            str(values["transaction"]),
        )
        broken = problem(profile)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a charging profile: {error!r}") from error
    if broken:
        raise ValueError(f"not a charging profile of ours: {broken}")
    return profile
