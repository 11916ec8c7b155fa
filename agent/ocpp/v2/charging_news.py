"""What smart charging tells by itself: limits of the site, priority charging, and questions for dynamic profiles.

Nothing is queued while the network is away: what has been told is compared with what is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.ocpp.base import ANSWERS, Payload
from agent.ocpp.charging_port import ChargingPort
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.v2.block import Talk
from agent.ocpp.v2.charging_profiles import schedule_payload
from agent.ocpp.v2.version import Version
from agent.station.charging.external import ExternalState
from agent.station.charging.profile import Period, RateUnit, Source
from agent.station.charging.refusal import Refusal, Why

_Key = tuple[int, Source, bool]
"""EVSE, source, and whether it is generation."""


@dataclass(frozen=True, slots=True)
class _Told:
    unit: RateUnit
    limit: float | None
    periods: tuple[Period, ...]


class ChargingNews:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._told: dict[_Key, _Told | None] = {}
        """None: it may have been told, but nobody has answered."""
        self._priorities: frozenset[str] = frozenset()
        """Told as charging first of all."""
        self._asked: dict[int, float] = {}
        """Dynamic profiles → when the network was asked last (monotonic)."""
        self._asking = False

    def renew(self) -> None:
        """Another network knows nothing."""
        self._told.clear()
        self._priorities = frozenset()
        self._asked.clear()

    def confirm_priority(self, transaction: str) -> None:
        """Tell it again, told before or not."""
        self._priorities -= {transaction}

    def offer(self, now: float) -> bool:
        """Queue the next message that is due."""
        if self._tell_limit() or self._tell_release():
            return True
        return self._talk.version is Version.V21 and (self._tell_priority() or self._pull(now))

    def next_wake(self) -> float | None:
        times = [state.changes_at for state in self._talk.station.charging.external()]
        if self._talk.version is Version.V21 and not self._asking:
            times.extend(self._pulls().values())
        return min((at for at in times if at is not None), default=None)

    # ---- limits of the site (K11 to K13, 2.1 K27) ----

    def _tell_limit(self) -> bool:
        return any(self._news(state) and self._notify(state) for state in self._talk.station.charging.external())

    def _news(self, state: ExternalState) -> bool:
        """K11.FR.02, K12.FR.02, SC.03: small changes are not told."""
        if state.generation and self._talk.version is Version.V201:
            return False  # no word for it
        told, new = self._told.get(_key(state)), _told(state)
        if told is None:
            return True
        if told.unit is not new.unit or [p.start_s for p in told.periods] != [p.start_s for p in new.periods]:
            return True
        share = self._talk.settings.number("SmartChargingCtrlr.LimitChangeSignificance") / 100
        pairs = [(old.limit, young.limit) for old, young in zip(told.periods, new.periods, strict=True)]
        if told.limit is None or new.limit is None:
            return told.limit is not new.limit or any(_beyond(*pair, share) for pair in pairs)
        return any(_beyond(*pair, share) for pair in (*pairs, (told.limit, new.limit)))

    def _notify(self, state: ExternalState) -> bool:
        limit: Payload = {"chargingLimitSource": state.source.value}  # never CSO: K11.FR.05, K12.FR.04
        if state.generation:
            limit["isLocalGeneration"] = True  # 2.1 K27.FR.03
        payload: Payload = {"chargingLimit": limit, "evseId": state.evse}
        if self._talk.settings.boolean("SmartChargingCtrlr.NotifyChargingLimitWithSchedules"):
            payload["chargingSchedule"] = [schedule_payload(state.profile, self._talk.version)]  # K11.FR.03, K12.FR.03
        return self._tell(_key(state), _told(state), "NotifyChargingLimit", payload)

    def _tell_release(self) -> bool:
        """K13.FR.02"""
        there = {_key(state) for state in self._talk.station.charging.external()}
        for key in [key for key in self._told if key not in there]:
            evse, source, _ = key
            if self._tell(key, None, "ClearedChargingLimit", {"chargingLimitSource": source.value, "evseId": evse}):
                return True
        return False

    def _tell(self, key: _Key, new: _Told | None, action: str, payload: Payload) -> bool:
        """``new`` None: it is over. Nothing else is offered until this has its answer."""

        def done(outcome: Outcome, _now: float) -> None:
            if outcome.result not in ANSWERS:
                self._told[key] = None

        if not self._talk.call(action, payload, Priority.STATUS, done):
            return False
        if new is None:
            self._told.pop(key, None)
        else:
            self._told[key] = new
        return True

    # ---- priority charging (2.1 K21, K22) ----

    def _tell_priority(self) -> bool:
        charging = self._talk.station.charging
        now = charging.priorities()
        ended = {each for each in self._priorities - now if not charging.runs(each)}
        self._priorities -= ended  # nothing is to be said of it: it ended with its transaction
        transaction = min(now ^ self._priorities, default=None)
        if transaction is None:
            return False
        before, self._priorities = self._priorities, self._priorities ^ {transaction}

        def done(outcome: Outcome, _now: float) -> None:
            if outcome.result not in ANSWERS:
                self._priorities ^= {transaction}

        # K21.FR.05, FR.08, K22.FR.03, FR.05
        payload = {"transactionId": transaction, "activated": transaction in now}
        if not self._talk.call("NotifyPriorityCharging", payload, Priority.STATUS, done):
            self._priorities = before
            return False
        return True

    # ---- dynamic profiles (2.1 K28.FR.10) ----

    def _pulls(self) -> dict[int, float]:
        """When the network is to be asked next: an interval after the last update, or after the last question."""
        found = self._talk.station.charging.pulls()
        self._asked = {number: at for number, at in self._asked.items() if number in found}
        return {
            number: max(pull.at, self._asked[number] + pull.every_s) if number in self._asked else pull.at
            for number, pull in found.items()
        }

    def _pull(self, now: float) -> bool:
        if self._asking:
            return False
        number = next((number for number, at in self._pulls().items() if at <= now), None)
        if number is None:
            return False

        def done(outcome: Outcome, _now: float) -> None:
            self._asking = False
            if outcome.result is Result.ANSWERED:
                self._pulled(number, outcome.payload)

        payload = {"chargingProfileId": number}
        self._asking = self._talk.call("PullDynamicScheduleUpdate", payload, Priority.STATUS, done)
        if self._asking:
            self._asked[number] = now
        return self._asking

    def _pulled(self, number: int, payload: Mapping[str, Any]) -> None:
        update = payload.get("scheduleUpdate")
        if payload.get("status") != "Accepted" or not isinstance(update, dict):
            self._talk.note("dynamic", f"the network has no update for charging profile {number}")
            return
        refusal = apply_update(self._talk.station.charging, number, update)
        if refusal is not None:
            self._talk.note("dynamic", f"an update of charging profile {number} is not used: {refusal}")


def apply_update(charging: ChargingPort, number: int, update: Mapping[str, Any]) -> Refusal | None:
    """Apply a ChargingScheduleUpdateType (2.1 K28.FR.06, FR.08). Return why not."""
    other = sorted(name for name in update if name not in ("limit", "customData"))
    if other:
        return Refusal(Why.SCHEDULE, f"{other[0]} is not supported")
    if "limit" not in update:
        return Refusal(Why.SCHEDULE, "an update needs a limit")
    return charging.update(number, float(update["limit"]))


def _key(state: ExternalState) -> _Key:
    return state.evse, state.source, state.generation


def _told(state: ExternalState) -> _Told:
    schedule = state.profile.schedule
    return _Told(schedule.unit, state.limit, schedule.periods)


def _beyond(old: float, new: float, share: float) -> bool:
    return abs(new - old) > abs(old) * share
