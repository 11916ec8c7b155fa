"""Messages of a charge point that speaks OCPP 2.x, as short as they can be written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from csms_wire import ask, call, charge_point
from websockets.asyncio.client import ClientConnection

from simulators.csms import Csms

STATION = {"model": "M", "vendorName": "V"}
BOOT_2 = call("b1", "BootNotification", chargingStation=STATION, reason="PowerUp")
TX = "7f3c1a52-0000-4000-8000-000000000001"
BEGAN = "2026-01-02T03:04:05.678Z"


def value(wh: float, context: str = "Sample.Periodic", at: str = BEGAN, **more: Any) -> dict[str, Any]:
    """A MeterValue with the import register."""
    return {"timestamp": at, "sampledValue": [{"value": wh, "context": context, **more}]}


def event(kind: str, seq: int, *values: dict[str, Any], at: str = BEGAN, tx: str = TX, **more: Any) -> dict[str, Any]:
    """A TransactionEvent; ``more`` may say ``info`` for fields of transactionInfo."""
    info = {"transactionId": tx} | more.pop("info", {})
    payload = {"eventType": kind, "seqNo": seq, "timestamp": at, "triggerReason": "Trigger", "transactionInfo": info}
    return payload | ({"meterValue": list(values)} if values else {}) | more


def started(wh: float = 1000.0, **more: Any) -> dict[str, Any]:
    """The first event of a charge at EVSE 1, begun with a card."""
    card = {"idToken": "CAFE", "type": "ISO14443"}
    fields = {"evse": {"id": 1, "connectorId": 1}, "idToken": card, "triggerReason": "Authorized"}
    return event("Started", 0, value(wh, "Transaction.Begin", more.get("at", BEGAN)), **(fields | more))


def ended(wh: float = 1500.0, seq: int = 1, at: str = "2026-01-02T04:04:05Z", **more: Any) -> dict[str, Any]:
    """Its last one."""
    return event("Ended", seq, value(wh, "Transaction.End", at), at=at, **more)


@asynccontextmanager
async def booted_2(csms: Csms, version: str = "ocpp2.0.1", name: str = "CP1") -> AsyncIterator[ClientConnection]:
    """Connect with this version only, and boot."""
    async with charge_point(csms, name, [version]) as link:
        assert (await ask(link, BOOT_2))[2]["status"] == "Accepted"
        yield link
