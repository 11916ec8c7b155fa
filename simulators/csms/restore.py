"""Read an earlier run's frames back into the books, so that a killed CSMS knows what it had answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .frames import Direction, Frame
from .wire import FrameError, MessageType, parse

if TYPE_CHECKING:
    from .server import Csms


def restore(csms: Csms, frames: list[Frame]) -> None:
    """Book every message that had been answered. Anomalies of the earlier run stay with it."""
    answers = _answers(frames)
    for frame in frames:
        station = csms.station(frame.charge_point)
        if frame.direction is Direction.OPENED:
            station.connections += 1
        if frame.direction is not Direction.RECEIVED or frame.binary:
            continue
        try:
            message = parse(frame.text)
        except FrameError:
            continue
        answer = answers.get((frame.connection, message.message_id))
        if message.type is not MessageType.CALL or answer is None:
            continue
        payload = message.body
        if message.action == "BootNotification":
            station.boot = payload
            station.order.boot_status = answer.get("status")
        elif message.action == "StartTransaction":
            given = answer.get("transactionId")
            if isinstance(given, int):
                info = answer.get("idTagInfo")
                status = str(info.get("status", "")) if isinstance(info, dict) else ""
                csms.books.start(station.id, payload, status, frame.wall_time, given)
        elif message.action == "StopTransaction":
            csms.books.stop(station.id, payload, frame.wall_time)
        elif message.action == "MeterValues":
            csms.books.meter_values(station.id, payload, frame.wall_time)
        elif message.action == "StatusNotification":
            station.statuses[payload["connectorId"]] = payload | {"received_at": frame.wall_time}


def _answers(frames: list[Frame]) -> dict[tuple[int, str], dict[str, Any]]:
    """Payloads of the CALLRESULTs sent, by connection and message id."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for frame in frames:
        if frame.direction is not Direction.SENT:
            continue
        try:
            message = json.loads(frame.text)
        except ValueError:
            continue
        if isinstance(message, list) and len(message) == 3 and message[0] == 3 and isinstance(message[2], dict):
            found[(frame.connection, str(message[1]))] = message[2]
    return found
