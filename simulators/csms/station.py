"""What the CSMS knows of one charge point, beyond any of its connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .collected import Collected
from .order import StationOrder

if TYPE_CHECKING:
    from .charge_point import Session


@dataclass(frozen=True, slots=True)
class BootPolicy:
    """How BootNotification is answered: RegistrationStatus and interval in seconds."""

    status: str = "Accepted"
    interval_s: int = 300


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A CALL of a charge point, valid by its schema or not."""

    charge_point: str
    connection: int
    message_id: str
    action: str
    payload: dict[str, Any]
    frame: int
    received_at: str

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "charge_point": self.charge_point,
            "connection": self.connection,
            "message_id": self.message_id,
            "action": self.action,
            "payload": self.payload,
            "frame": self.frame,
            "received_at": self.received_at,
        }


@dataclass(slots=True)
class Station:
    """What outlives a connection of one charge point."""

    id: str
    order: StationOrder = field(default_factory=StationOrder)
    call_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sessions: list[Session] = field(default_factory=list)
    connections: int = 0
    boot: dict[str, Any] | None = None
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By connector; from 2.0.1 on by EVSE (``2``), and where one has several connectors by both (``2.2``)."""
    collected: Collected = field(default_factory=Collected)

    def status_2x(self, payload: dict[str, Any], received_at: str) -> None:
        """Take a StatusNotification of 2.x."""
        self.statuses[_place(payload["evseId"], payload["connectorId"])] = payload | {"received_at": received_at}

    def status_events(self, events: list[dict[str, Any]], received_at: str) -> None:
        """Take the statuses among a NotifyEvent's events (OCPP 2.1 prefers these, G01)."""
        for event in events:
            evse = event["component"].get("evse", {})
            if event["variable"]["name"] == "AvailabilityState" and "connectorId" in evse:
                status = {
                    "timestamp": event["timestamp"],
                    "connectorStatus": event["actualValue"],
                    "evseId": evse["id"],
                    "connectorId": evse["connectorId"],
                }
                self.status_2x(status, received_at)


def _place(evse: int, connector: int) -> str:
    return str(evse) if connector == 1 else f"{evse}.{connector}"
