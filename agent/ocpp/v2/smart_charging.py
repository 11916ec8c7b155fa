"""Block K, smart charging: profiles set, reported and cleared, composite schedules, limits of the site, priority
charging and dynamic profiles (the last two of 2.1).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from agent.ocpp.base import Payload
from agent.ocpp.charging_port import ChargingPort
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.charging_news import ChargingNews, apply_update
from agent.ocpp.v2.charging_profiles import NEW, composite_payload, profile_payload, read_profile, sources_of
from agent.ocpp.v2.version import Version
from agent.station.charging.answers import PriorityAnswer
from agent.station.charging.profile import Profile, Purpose, RateUnit
from agent.station.charging.refusal import Refusal, Why
from agent.station.charging.store import Criterion, Filter, Installed

REPORT_BYTES = 16_000
"""One ReportChargingProfiles holds no more than about this, or one profile."""

MOST_REPORTS = 500
"""So many may wait to be sent; a request that would add more is refused."""

TEXT_MOST = 500
"""Characters of additionalInfo (2.0.1: 512)."""


class SmartCharging2(Block):
    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._reports: deque[Payload] = deque()
        self._news = ChargingNews(talk)

    @property
    def _charging(self) -> ChargingPort:
        return self._talk.station.charging

    def handlers(self) -> Mapping[str, Handler]:
        found: dict[str, Handler] = {
            "SetChargingProfile": self._set,
            "GetChargingProfiles": self._get,
            "ClearChargingProfile": self._clear,
            "GetCompositeSchedule": self._composite,
        }
        if self._talk.version is Version.V21:
            found |= {"UpdateDynamicSchedule": self._update, "UsePriorityCharging": self._use_priority}
        return found

    # ---- profiles (K01, K09, K10) ----

    def _set(self, payload: Payload) -> Payload:
        profile = read_profile(payload["chargingProfile"])
        refusal = profile if isinstance(profile, Refusal) else self._charging.set_profile(payload["evseId"], profile)
        return answer(refusal)

    def _get(self, payload: Payload) -> Payload:
        asked = payload["chargingProfile"]
        purpose, ids = asked.get("chargingProfilePurpose"), asked.get("chargingProfileId")
        which = Criterion(
            None if ids is None else frozenset(ids),
            payload.get("evseId"),
            None if purpose is None else Purpose(purpose),
            asked.get("stackLevel"),
            sources_of(asked.get("chargingLimitSource")),
        )
        found = [entry for entry in self._charging.profiles(which) if self._tellable(entry)]
        if not found:
            return {"status": "NoProfiles"}
        reports = list(_reports(payload["requestId"], found, self._talk.version))
        if len(self._reports) + len(reports) > MOST_REPORTS:
            raise RequestRefusedError("InternalError", "too many reports of earlier requests wait to be sent")
        self._reports.extend(reports)
        return {"status": "Accepted"}

    def _tellable(self, entry: Installed) -> bool:
        return self._talk.version is Version.V21 or entry.profile.purpose not in NEW

    def _clear(self, payload: Payload) -> Payload:
        criteria = payload.get("chargingProfileCriteria", {})
        purpose = criteria.get("chargingProfilePurpose")
        which = Filter(
            payload.get("chargingProfileId"),
            criteria.get("evseId"),
            None if purpose is None else Purpose(purpose),
            criteria.get("stackLevel"),
        )
        return {"status": "Accepted" if self._charging.clear(which) else "Unknown"}

    # ---- composite schedules (K08) ----

    def _composite(self, payload: Payload) -> Payload:
        evse, unit = payload["evseId"], payload.get("chargingRateUnit")
        if unit is not None and unit not in self._talk.settings.members("SmartChargingCtrlr.RateUnit"):
            return answer(Refusal(Why.RATE_UNIT, f"{unit} is not supported"))  # K08.FR.07
        found = self._talk.station.composite_schedule(
            evse, payload["duration"], None if unit is None else RateUnit(unit)
        )
        if found is None:
            # K08.FR.05
            return answer(Refusal(Why.EVSE, f"there is no EVSE {evse}, or the duration is not above 0"))
        return {"status": "Accepted", "schedule": composite_payload(evse, found)}

    # ---- 2.1 ----

    def _update(self, payload: Payload) -> Payload:
        """K28"""
        return answer(apply_update(self._charging, payload["chargingProfileId"], payload["scheduleUpdate"]))

    def _use_priority(self, payload: Payload) -> Payload:
        """K21"""
        transaction, on = payload["transactionId"], payload["activate"]
        outcome = self._charging.use_priority(transaction, on)
        if outcome is PriorityAnswer.REJECTED:
            return {"status": outcome.value, "statusInfo": {"reasonCode": Why.TRANSACTION.value}}  # K21.FR.02
        if outcome is PriorityAnswer.NO_PROFILE:
            return {"status": outcome.value, "statusInfo": {"reasonCode": "NotFound"}}  # K21.FR.01
        if on:
            self._news.confirm_priority(transaction)  # K21.FR.05: also when it was active before
        return {"status": outcome.value}

    # ---- what is sent ----

    def offer(self, now: float) -> bool:
        while self._reports:
            if self._talk.call("ReportChargingProfiles", self._reports.popleft()):
                return True
        return self._news.offer(now)

    def next_wake(self) -> float | None:
        return self._news.next_wake()

    def lost(self) -> None:
        self._reports.clear()

    def renew(self) -> None:
        self._news.renew()


def start_profile(charging: ChargingPort, evse: int, values: Mapping[str, Any]) -> Profile | Refusal:
    """Read the chargingProfile of a RequestStartTransaction at an EVSE (0: any); why it is refused (K05.FR.05)."""
    profile = read_profile(values)
    if isinstance(profile, Refusal):
        return profile
    return charging.start_objection(evse, profile) or profile


def answer(refusal: Refusal | None) -> Payload:
    """Write Accepted, or Rejected with the reason (K01.FR.09 and its like)."""
    if refusal is None:
        return {"status": "Accepted"}
    return {"status": "Rejected", "statusInfo": status_info(refusal)}


def status_info(refusal: Refusal) -> Payload:
    return {"reasonCode": refusal.why.value, "additionalInfo": refusal.text[:TEXT_MOST]}


def _reports(request: int, found: Sequence[Installed], version: Version) -> Sequence[Payload]:
    """Write the reports of one request, one or more for each EVSE and source (K09.FR.01, FR.02)."""
    reports: list[Payload] = []
    for (evse, source), entries in groupby(found, key=lambda entry: (entry.evse, entry.profile.source)):
        size = REPORT_BYTES
        for entry in entries:
            profile = profile_payload(entry.profile, version)
            own = len(json.dumps(profile))
            if size + own > REPORT_BYTES:
                size = 0
                reports.append(
                    {
                        "requestId": request,
                        "chargingLimitSource": source.value,
                        "evseId": evse,
                        "tbc": True,
                        "chargingProfile": [],
                    }
                )
            reports[-1]["chargingProfile"].append(profile)
            size += own
    reports[-1]["tbc"] = False
    return reports
