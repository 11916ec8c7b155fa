"""Charging profiles as JSON, for what must survive. What older releases wrote is read too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.station.charging.profile import (
    Kind,
    Offline,
    Period,
    Profile,
    Purpose,
    RateUnit,
    Recurrence,
    Schedule,
    Source,
    Updates,
)
from agent.station.charging.rules import problem


def document(profile: Profile) -> dict[str, Any]:
    """Return it JSON-ready."""
    schedule = profile.schedule
    values: dict[str, Any] = {
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
        "periods": [_period(period) for period in schedule.periods],
    }
    # What most have not is left out, so that a release from before it was known reads the rest.
    if schedule.id:
        values["schedule"] = schedule.id
    if profile.source is not Source.CSO:
        values["source"] = profile.source.value
    if profile.offline is not None:
        values["offline"] = [profile.offline.most_s, profile.offline.ends]
    if profile.updates is not None:
        values["updates"] = [profile.updates.at_utc_s, profile.updates.every_s]
    return values


def _period(period: Period) -> list[Any]:
    values: list[Any] = [period.start_s, period.limit, period.phases]
    return values if period.phase_to_use is None else [*values, period.phase_to_use]


def from_document(values: Mapping[str, Any]) -> Profile:
    """Rebuild. Raises ValueError when it is not one of ours."""
    try:
        schedule = Schedule(
            RateUnit(values["unit"]),
            tuple(Period(int(start), float(limit), *rest) for start, limit, *rest in values["periods"]),
            values["start_utc_s"],
            values["duration_s"],
            values["minimum_rate"],
            int(values.get("schedule", 0)),
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
            Source(values.get("source", Source.CSO.value)),
            Offline(*values["offline"]) if values.get("offline") else None,
            Updates(*values["updates"]) if values.get("updates") else None,
        )
        broken = problem(profile)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a charging profile: {error!r}") from error
    if broken is not None:
        raise ValueError(f"not a charging profile of ours: {broken}")
    return profile
