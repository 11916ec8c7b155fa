"""What the CSMS knows of one charge point, beyond any of its connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    statuses: dict[int, dict[str, Any]] = field(default_factory=dict)
