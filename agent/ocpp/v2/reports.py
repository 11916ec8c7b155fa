"""Base reports, custom reports and monitoring reports (B07, B08, N02), sent in parts beside everything else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.device_model.device import Device
from agent.device_model.monitors import Monitor, MonitorType
from agent.device_model.selection import Criterion, ReportBase, base_report, custom_report
from agent.ocpp.base import ANSWERS, Payload
from agent.ocpp.ports import UplinkState
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import (
    check_size,
    component_payload,
    monitor_payload,
    report_payload,
    status_info,
    variable_payload,
    wanted_of,
)
from agent.ocpp.v2.version import Version

MOST_REPORTS = 8
"""Reports that may wait; more are refused (B07.FR.13)."""

ENTRIES_PER_PART = 20
"""A part stays near 10 kB, so that nothing waits long for it on a slow line."""

TRIES = 3
"""Of a part that is not answered."""

_THRESHOLDS = (MonitorType.UPPER_THRESHOLD, MonitorType.LOWER_THRESHOLD)
_PERIODS = (MonitorType.PERIODIC, MonitorType.PERIODIC_CLOCK_ALIGNED)
_CRITERIA = {
    "ThresholdMonitoring": _THRESHOLDS,
    "DeltaMonitoring": (MonitorType.DELTA,),
    "PeriodicMonitoring": _PERIODS,
}
"""N02.FR.12 to FR.14. 2.1's FR.23 names one for the two by target, which its schema does not have."""

_NEW_TYPES = (MonitorType.TARGET_DELTA, MonitorType.TARGET_DELTA_RELATIVE)
"""2.0.1 has no words for them."""

Item = Callable[[], Payload]
"""Gives one element of a report, with its value as it is when the part goes out."""


@dataclass(slots=True)
class _Report:
    request: int
    action: str
    field: str
    items: Sequence[Item]
    sent: int = 0
    parts: int = 0
    tries: int = 0


class Reports2(Block):
    def __init__(self, talk: Talk, device: Device) -> None:
        super().__init__(talk)
        self._device = device
        self._waiting: deque[_Report] = deque()
        self._flying = False
        self._resting = False
        """The part before was ours: whatever else waits goes first now."""

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "GetBaseReport": self._base,
            "GetReport": self._custom,
            "GetMonitoringReport": self._monitoring,
        }

    # ---- requests ----

    def _base(self, payload: Payload) -> Payload:
        entries = base_report(self._device.model, ReportBase(payload["reportBase"]))
        items = [lambda entry=entry: report_payload(entry) for entry in entries]
        return self._begin(payload["requestId"], "NotifyReport", "reportData", items)

    def _custom(self, payload: Payload) -> Payload:
        wanted = payload.get("componentVariable")
        check_size(payload, wanted or ())
        named = payload.get("componentCriteria")
        criteria = None if named is None else [Criterion(word) for word in named]
        entries = custom_report(self._device.model, criteria, wanted_of(wanted))
        items = [lambda entry=entry: report_payload(entry) for entry in entries]
        return self._begin(payload["requestId"], "NotifyReport", "reportData", items)

    def _monitoring(self, payload: Payload) -> Payload:
        told = payload.get("componentVariable")
        check_size(payload, told or ())
        wanted, named = wanted_of(told), payload.get("monitoringCriteria")
        types = None if named is None else {each for word in named for each in _CRITERIA[word]}
        by_variable: dict[tuple[object, ...], list[Monitor]] = {}
        for monitor in self._device.monitoring.book:
            if types is not None and monitor.type not in types:
                continue
            if self._talk.version is Version.V201 and monitor.type in _NEW_TYPES:
                continue
            if wanted is None or any(each.matches(monitor.component, monitor.variable) for each in wanted):
                key = (monitor.component.key, monitor.variable.key)
                by_variable.setdefault(key, []).append(monitor)
        items = [lambda each=each: self._monitors_payload(each) for each in by_variable.values()]
        return self._begin(payload["requestId"], "NotifyMonitoringReport", "monitor", items)

    def _monitors_payload(self, monitors: Sequence[Monitor]) -> Payload:
        with_kind = self._talk.version is Version.V21
        return {
            "component": component_payload(monitors[0].component),
            "variable": variable_payload(monitors[0].variable),
            "variableMonitoring": [monitor_payload(monitor, with_kind) for monitor in monitors],
        }

    def _begin(self, request: int, action: str, field: str, items: Sequence[Item]) -> Payload:
        if not items:
            return {"status": "EmptyResultSet"}  # B08.FR.15, N02.FR.10
        if len(self._waiting) >= MOST_REPORTS:
            info = status_info("OutOfMemory", f"{MOST_REPORTS} reports wait already; ask again later")
            return {"status": "Rejected", "statusInfo": info}  # B07.FR.13, B08.FR.16
        self._waiting.append(_Report(request, action, field, items))
        if not self._talk.online:
            self._send()  # B02.FR.02: while pending, what the network asked for is sent, and nothing else
        return {"status": "Accepted"}

    # ---- parts ----

    def offer(self, _now: float) -> bool:
        if self._flying or not self._waiting:
            return False
        if self._resting:
            self._resting = False
            return False
        return self._send()

    def next_wake(self) -> float | None:
        return self._talk.now if self._waiting and not self._flying else None

    def _send(self) -> bool:
        if self._flying or not self._waiting:
            return False
        report = self._waiting[0]
        end = min(report.sent + ENTRIES_PER_PART, len(report.items))
        payload: Payload = {
            "requestId": report.request,  # B07.FR.04
            "generatedAt": time_text(self._device.moment().utc_s),
            "seqNo": report.parts,  # B07.FR.10, B08.FR.14, N02.FR.09
            "tbc": end < len(report.items),
            report.field: [item() for item in report.items[report.sent : end]],
        }

        def done(outcome: Outcome, _now: float) -> None:
            self._answered(report, end, outcome)

        self._flying = self._talk.call(report.action, payload, Priority.STATUS, done)
        self._resting = True
        if not self._flying:
            self._talk.note("report", f"{report.action} {report.request} cannot be sent and is dropped")
            self._waiting.popleft()
        return self._flying

    def _answered(self, report: _Report, end: int, outcome: Outcome) -> None:
        self._flying = False
        if not self._waiting or self._waiting[0] is not report:
            return
        report.tries += 1
        if outcome.result in ANSWERS:
            report.sent, report.tries = end, 0
            report.parts += 1
        elif outcome.result is not Result.LOST and report.tries >= TRIES:
            self._talk.note("report", f"{report.action} {report.request} was not answered and is dropped")
            report.sent = len(report.items)
        if report.sent >= len(report.items):
            self._waiting.popleft()
        if self._talk.state() is UplinkState.PENDING:
            self._send()

    def renew(self) -> None:
        self._waiting.clear()
