"""What a charge point of OCPP 2.x told in parts, or over time: reports, events, streams, put together again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .anomalies import AnomalyKind, Finding

Payload = dict[str, Any]

REPORTS = {
    "NotifyReport": "reportData",
    "NotifyMonitoringReport": "monitor",
    "NotifyCustomerInformation": "data",
    "NotifyDisplayMessages": "messageInfo",
    "ReportChargingProfiles": "chargingProfile",
}
"""Messages that come in parts under the requestId of a call of ours, and the field that holds the content."""


@dataclass(slots=True)
class Report:
    """The answer to one request, from its parts."""

    action: str
    request_id: int
    parts: int = 0
    complete: bool = False
    content: list[Any] = field(default_factory=list)

    def as_json(self) -> Payload:
        """Plain JSON values."""
        return {
            "action": self.action,
            "request_id": self.request_id,
            "parts": self.parts,
            "complete": self.complete,
            "content": list(self.content),
        }


@dataclass(slots=True)
class Collected:
    """Of one charge point."""

    reports: list[Report] = field(default_factory=list)
    events: list[Payload] = field(default_factory=list)
    """eventData of NotifyEvent, each with ``received_at``."""
    streams: dict[int, list[Payload]] = field(default_factory=dict)
    """Values of periodic event streams (OCPP 2.1), by stream id; times made absolute are left to the reader."""
    offered_streams: dict[int, Payload] = field(default_factory=dict)
    """What the charge point opened and has not closed, by stream id."""

    def take(self, action: str, payload: Payload, received_at: str) -> list[Finding]:
        """Take a message in; one that is of no such kind is left alone."""
        if action in REPORTS:
            return self._report(action, payload)
        match action:
            case "NotifyEvent":
                self.events += [event | {"received_at": received_at} for event in payload["eventData"]]
            case "NotifyPeriodicEventStream":
                batch = {"basetime": payload["basetime"], "received_at": received_at}
                self.streams.setdefault(payload["id"], []).extend(batch | value for value in payload["data"])
            case "OpenPeriodicEventStream":
                self.offered_streams[payload["constantStreamData"]["id"]] = payload["constantStreamData"]
            case "ClosePeriodicEventStream":
                self.offered_streams.pop(payload["id"], None)
        return []

    def _report(self, action: str, payload: Payload) -> list[Finding]:
        request_id = payload["requestId"]
        open_one = next(
            (r for r in self.reports if (r.action, r.request_id) == (action, request_id) and not r.complete), None
        )
        report = open_one or Report(action, request_id)
        if open_one is None:
            self.reports.append(report)
        findings = []
        # Part numbers begin at 0 (OCPP 2.0.1, NotifyReportRequest.seqNo); some of these messages have none.
        if payload.get("seqNo", report.parts) != report.parts:
            findings.append(
                Finding(
                    AnomalyKind.REPORT_BROKEN,
                    f"part {payload['seqNo']} of request {request_id} came where {report.parts} should have",
                )
            )
        content = payload.get(REPORTS[action], [])
        report.content += content if isinstance(content, list) else [content]
        report.parts += 1
        report.complete = not payload.get("tbc", False)
        return findings

    def latest(self, request_id: int | None = None) -> Report | None:
        """The newest report, of this request or of any."""
        return next((r for r in reversed(self.reports) if request_id in (None, r.request_id)), None)

    def as_json(self) -> Payload:
        """Plain JSON values."""
        return {
            "reports": [report.as_json() for report in self.reports],
            "events": list(self.events),
            "streams": {str(number): list(values) for number, values in self.streams.items()},
            "offered_streams": {str(number): stream for number, stream in self.offered_streams.items()},
        }
