"""Monitors: set, cleared and muted by the network, and what they tell it (N03 to N08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.device_model.controllers import LONGEST_REPORTED
from agent.device_model.device import Device
from agent.device_model.events import MonitorEvent
from agent.device_model.monitors import Base, Kind, Monitor, MonitorType, SetResult
from agent.ocpp.base import Payload
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import (
    check_size,
    component_of,
    component_payload,
    status_info,
    stream_of,
    variable_of,
    variable_payload,
)
from agent.ocpp.v2.version import Version

EVENTS_PER_MESSAGE = 10

RETRY_S = 30.0
"""After a NotifyEvent that was not answered."""

TRIES = 3
"""Of events that the network refuses."""


class Monitoring2(Block):
    def __init__(self, talk: Talk, device: Device) -> None:
        super().__init__(talk)
        self._device = device
        self._flying = False
        self._resting = False
        self._tries = 0
        self._next_at = 0.0
        device.monitoring.on_news(talk.around.stirred)

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "ClearVariableMonitoring": self._clear,
            "SetMonitoringBase": self._set_base,
            "SetMonitoringLevel": self._set_level,
            "SetVariableMonitoring": self._set,
        }

    # ---- requests ----

    def _set(self, payload: Payload) -> Payload:
        wanted = payload["setMonitoringData"]
        check_size(payload, wanted)
        results = [self._set_one(each) for each in wanted]  # N04.FR.01
        self._device.commit()  # N07.FR.13
        return {"setMonitoringResult": results}

    def _set_one(self, told: Mapping[str, Any]) -> Payload:
        monitor = Monitor(
            0,
            component_of(told["component"]),
            variable_of(told["variable"]),
            MonitorType(told["type"]),
            float(told["value"]),
            told["severity"],
            told.get("transaction", False),
            stream=stream_of(told.get("periodicEventStream")),
        )
        done: SetResult = self._device.monitoring.book.set(monitor, told.get("id"))
        result: Payload = {name: told[name] for name in ("component", "variable", "type", "severity")}  # N04.FR.02
        result["status"] = done.status.value
        if done.id is not None:
            result["id"] = done.id
        if done.reason:
            result["statusInfo"] = status_info(done.reason, done.detail)
        return result

    def _clear(self, payload: Payload) -> Payload:
        numbers = payload["id"]
        check_size(payload, numbers)
        book = self._device.monitoring.book
        results = [{"id": number, "status": book.clear(number).value} for number in numbers]  # N06.FR.05
        self._device.commit()
        return {"clearMonitoringResult": results}

    def _set_base(self, payload: Payload) -> Payload:
        self._device.monitoring.book.set_base(Base(payload["monitoringBase"]))
        self._device.commit()
        return {"status": "Accepted"}

    def _set_level(self, payload: Payload) -> Payload:
        done = self._device.monitoring.book.set_level(payload["severity"])
        self._device.commit()
        return {"status": "Accepted" if done else "Rejected"}

    # ---- events ----

    def offer(self, now: float) -> bool:
        if self._flying or now < self._next_at:
            return False
        if self._resting:
            self._resting = False
            return False
        events = self._device.monitoring.line.first(EVENTS_PER_MESSAGE)
        return bool(events) and self._tell(events, now)

    def next_wake(self) -> float | None:
        if self._flying or not len(self._device.monitoring.line):
            return None
        return max(self._next_at, self._talk.now)

    def _tell(self, events: Sequence[MonitorEvent], now: float) -> bool:
        payload = {
            "generatedAt": time_text(self._device.moment().utc_s),
            "seqNo": 0,  # N07.FR.07, N08.FR.04: each message is whole
            "tbc": False,
            "eventData": [self._event(event) for event in events],
        }

        def done(outcome: Outcome, now: float) -> None:
            self._told(events, outcome, now)

        self._flying = self._talk.call("NotifyEvent", payload, Priority.STATUS, done)
        self._resting = True
        if not self._flying:
            self._next_at = now + RETRY_S
        return self._flying

    def _event(self, event: MonitorEvent) -> Payload:
        moment, stamp = self._device.moment(), event.stamp
        utc_s = moment.utc_at(stamp.monotonic_s) if stamp.boot == moment.boot else stamp.utc_s
        data: Payload = {
            "eventId": event.id,
            "timestamp": time_text(utc_s),
            "trigger": event.trigger.value,
            "actualValue": event.value[:LONGEST_REPORTED],
            "component": component_payload(event.component),  # N07.FR.06
            "variable": variable_payload(event.variable),
            "eventNotificationType": event.kind.value,
        }
        optional: Payload = {
            "variableMonitoringId": None if event.kind is Kind.NOTIFICATION else event.monitor,
            "cleared": event.cleared or None,
            "cause": event.cause,
            "transactionId": event.transaction[:36] or None,
            "techCode": event.tech_code[:50] or None,
            "techInfo": event.tech_info[:500] or None,
        }
        if self._talk.version is Version.V21:
            optional["severity"] = event.severity  # N07.FR.20
        return data | {name: value for name, value in optional.items() if value is not None}

    def _told(self, events: Sequence[MonitorEvent], outcome: Outcome, now: float) -> None:
        self._flying = False
        if outcome.result is Result.REFUSED:
            self._tries += 1
            unwanted = outcome.code in ("NotImplemented", "NotSupported")
            if self._tries < TRIES and not unwanted:
                self._next_at = now + RETRY_S
                return
            self._talk.note("events", f"the network takes no events ({outcome.code}); {len(events)} are dropped")
        elif outcome.result is not Result.ANSWERED:
            self._next_at = now + RETRY_S
            return
        self._tries, self._next_at = 0, 0.0
        self._device.monitoring.line.told(event.id for event in events)

    def online(self, _everything: bool, _now: float) -> None:
        self._device.monitoring.carried = True

    def lost(self) -> None:
        self._flying, self._next_at = False, 0.0
        self._device.monitoring.carried = False

    def renew(self) -> None:
        self._tries = 0
