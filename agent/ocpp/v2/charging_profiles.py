"""Charging profiles between OCPP 2's words and the station's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.ocpp.times import read_time, time_text
from agent.ocpp.v2.version import Version
from agent.station.charging.plan import Composite
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
from agent.station.charging.refusal import Refusal, Why

Payload = dict[str, Any]

NEW = frozenset((Purpose.PRIORITY, Purpose.LOCAL_GENERATION))
"""Purposes that 2.0.1 has no word for."""

_PERIOD = frozenset(("startPeriod", "limit", "numberPhases", "phaseToUse", "operationMode", "customData"))
"""What a period may hold that we act upon. ``preconditioningRequest`` and ``evseSleep`` may stand there as false."""


class _UnreadableError(Exception):
    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.refusal = Refusal(why, text)


def read_profile(values: Mapping[str, Any]) -> Profile | Refusal:
    """Read a ChargingProfileType that its schema allows; a refusal for what we would have to leave out of it."""
    try:
        return _profile(values)
    except _UnreadableError as error:
        return error.refusal


def _profile(values: Mapping[str, Any]) -> Profile:
    schedules = values["chargingSchedule"]
    if len(schedules) > 1:
        # K01.FR.34: only a vehicle that speaks ISO 15118 could choose among several.
        raise _UnreadableError(Why.SCHEDULE, "one schedule per profile is taken")
    recurrence = values.get("recurrencyKind")
    most_offline_s = values.get("maxOfflineDuration")
    return Profile(
        values["id"],
        values["stackLevel"],
        Purpose(values["chargingProfilePurpose"]),
        Kind(values["chargingProfileKind"]),
        _schedule(schedules[0]),
        None if recurrence is None else Recurrence(recurrence),
        _time(values, "validFrom", Why.PROFILE),
        _time(values, "validTo", Why.PROFILE),
        values.get("transactionId", ""),
        offline=None
        if most_offline_s is None
        else Offline(most_offline_s, bool(values.get("invalidAfterOfflineDuration", False))),
        updates=_updates(values),
    )


def _updates(values: Mapping[str, Any]) -> Updates | None:
    if "dynUpdateInterval" not in values and "dynUpdateTime" not in values:
        return None
    every_s = values.get("dynUpdateInterval")
    # 2.1: 0 or absent: the network sends updates by itself.
    return Updates(_time(values, "dynUpdateTime", Why.PROFILE), every_s or None)


def _schedule(values: Mapping[str, Any]) -> Schedule:
    # 2.1 K01.FR.123 to FR.125: what SupportsLocalTime, SupportsRandomizedDelay and SupportsLimitAtSoC would allow.
    for name in ("useLocalTime", "randomizedDelay", "limitAtSoC"):
        if values.get(name):
            raise _UnreadableError(Why.SCHEDULE, f"{name} is not supported")
    minimum = values.get("minChargingRate")
    return Schedule(
        RateUnit(values["chargingRateUnit"]),
        tuple(_period(period) for period in values["chargingSchedulePeriod"]),
        _time(values, "startSchedule", Why.SCHEDULE),
        values.get("duration"),
        None if minimum is None else float(minimum),
        values["id"],
    )


def _period(values: Mapping[str, Any]) -> Period:
    mode = values.get("operationMode", "ChargingOnly")
    if mode != "ChargingOnly":
        # 2.1 K01.FR.71 for priority charging; the other modes need a vehicle that speaks ISO 15118-20.
        raise _UnreadableError(Why.SCHEDULE, f"operation mode {mode} is not supported, only ChargingOnly")
    other = sorted(name for name, value in values.items() if name not in _PERIOD and value is not False)
    if other:
        raise _UnreadableError(Why.SCHEDULE, f"{other[0]} is not supported")  # 2.1 K01.FR.126 among others
    if "limit" not in values:
        raise _UnreadableError(Why.SCHEDULE, "a period needs a limit")
    return Period(values["startPeriod"], float(values["limit"]), values.get("numberPhases"), values.get("phaseToUse"))


def _time(values: Mapping[str, Any], name: str, why: Why) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    time_s = read_time(text)
    if time_s is None:
        raise _UnreadableError(why, f"{name} is no time")
    return int(time_s)


def profile_payload(profile: Profile, version: Version) -> Payload:
    """Write a ChargingProfileType. A dynamic one, for which 2.0.1 has no word, is told there as absolute."""
    dynamic = profile.kind is Kind.DYNAMIC
    told_as = Kind.ABSOLUTE if dynamic and version is Version.V201 else profile.kind
    payload: Payload = {
        "id": profile.id,
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": profile.purpose.value,
        "chargingProfileKind": told_as.value,
        "chargingSchedule": [schedule_payload(profile, version)],
    }
    if profile.recurrence is not None:
        payload["recurrencyKind"] = profile.recurrence.value
    for name, at_s in (("validFrom", profile.valid_from_s), ("validTo", profile.valid_to_s)):
        if at_s is not None:
            payload[name] = time_text(at_s)
    if profile.transaction:
        payload["transactionId"] = profile.transaction
    if version is Version.V21:
        payload |= _since_21(profile)
    return payload


def _since_21(profile: Profile) -> Payload:
    payload: Payload = {}
    if profile.offline is not None:
        payload["maxOfflineDuration"] = profile.offline.most_s
        payload["invalidAfterOfflineDuration"] = profile.offline.ends
    updates = profile.updates
    if updates is not None and updates.at_utc_s is not None:
        payload["dynUpdateTime"] = time_text(updates.at_utc_s)
    if updates is not None and updates.every_s is not None:
        payload["dynUpdateInterval"] = updates.every_s
    return payload


def schedule_payload(profile: Profile, version: Version) -> Payload:
    """Write the ChargingScheduleType of a profile."""
    schedule = profile.schedule
    start_s: float | None = schedule.start_utc_s
    external = profile.source is not Source.CSO and profile.kind is Kind.DYNAMIC
    if version is Version.V201 and profile.kind is Kind.DYNAMIC and profile.updates is not None:
        start_s = profile.updates.at_utc_s
    payload: Payload = {
        "id": schedule.id,
        "chargingRateUnit": schedule.unit.value,
        "chargingSchedulePeriod": [
            # 2.1 K29: the site changes it by itself.
            period_payload(period)
            | ({"operationMode": "ExternalLimits"} if external and version is Version.V21 else {})
            for period in schedule.periods
        ],
    }
    if start_s is not None:
        payload["startSchedule"] = time_text(start_s)
    if schedule.duration_s is not None:
        payload["duration"] = schedule.duration_s
    if schedule.minimum_rate is not None:
        payload["minChargingRate"] = schedule.minimum_rate
    return payload


def period_payload(period: Period) -> Payload:
    payload: Payload = {"startPeriod": period.start_s, "limit": period.limit}
    if period.phases is not None:
        payload["numberPhases"] = period.phases
    if period.phase_to_use is not None:
        payload["phaseToUse"] = period.phase_to_use
    return payload


def composite_payload(evse: int, found: Composite) -> Payload:
    """Write a CompositeScheduleType (K08)."""
    return {
        "evseId": evse,
        "duration": found.duration_s,
        "scheduleStart": time_text(found.start_utc_s),
        "chargingRateUnit": found.unit.value,
        "chargingSchedulePeriod": [
            {"startPeriod": period.start_s, "limit": period.limit, "numberPhases": period.phases}
            for period in found.periods
        ],
    }


def sources_of(words: Sequence[str] | None) -> frozenset[Source] | None:
    """Read chargingLimitSource of a criterion. Words of others (2.1) match nothing of ours."""
    if words is None:
        return None
    known = {source.value: source for source in Source}
    return frozenset(known[word] for word in words if word in known)
