"""The state of a connector in OCPP 2: five words (G01); what a charge does is told by its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.ocpp.times import time_text
from agent.ocpp.v2.block import CONNECTOR
from agent.station.commands import ConnectorStatus, StatusReport

STATUS: Mapping[ConnectorStatus, str] = {
    ConnectorStatus.AVAILABLE: "Available",
    ConnectorStatus.PREPARING: "Occupied",
    ConnectorStatus.CHARGING: "Occupied",
    ConnectorStatus.SUSPENDED_EVSE: "Occupied",
    ConnectorStatus.SUSPENDED_EV: "Occupied",
    ConnectorStatus.FINISHING: "Occupied",
    ConnectorStatus.RESERVED: "Reserved",
    ConnectorStatus.UNAVAILABLE: "Unavailable",
    ConnectorStatus.FAULTED: "Faulted",
}


def status_notification(report: StatusReport) -> dict[str, Any] | None:
    """Return the payload of a StatusNotification; None for the station as a whole, which has none in OCPP 2."""
    if report.evse == 0:
        return None
    return {
        "timestamp": time_text(report.at_utc_s),
        "connectorStatus": STATUS[report.status],
        "evseId": report.evse,
        "connectorId": CONNECTOR,
    }
