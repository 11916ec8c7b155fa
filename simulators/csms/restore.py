"""Read an earlier run's frames back into the books, so that a killed CSMS knows what it had answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .dialect import DIALECTS, OCPP_16
from .frames import Direction, Frame
from .wire import FrameError, Incoming, MessageType, parse

if TYPE_CHECKING:
    from .server import Csms
    from .station import Station


def restore(csms: Csms, frames: list[Frame]) -> None:
    """Book every message that had been answered. Anomalies of the earlier run stay with it."""
    answers = _answers(frames)
    spoken: dict[int, str] = {}
    for frame in frames:
        station = csms.station(frame.charge_point)
        if frame.direction is Direction.OPENED:
            station.connections += 1
            spoken[frame.connection] = frame.subprotocol or str(OCPP_16.subprotocol)
        if frame.direction is not Direction.RECEIVED or frame.binary:
            continue
        try:
            message = parse(frame.text, DIALECTS[spoken.get(frame.connection, str(OCPP_16.subprotocol))])
        except FrameError:
            continue
        answer = answers.get((frame.connection, message.message_id))
        if message.type is not MessageType.CALL or answer is None:
            continue
        payload = message.body
        if message.action == "BootNotification":
            station.boot = payload
            station.order.boot_status = answer.get("status")
        elif spoken.get(frame.connection, "") in DIALECTS and DIALECTS[spoken[frame.connection]].is_2:
            _restore_2x(csms, station, frame, message, answer, spoken[frame.connection])
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
            station.statuses[str(payload["connectorId"])] = payload | {"received_at": frame.wall_time}


def _restore_2x(
    csms: Csms, station: Station, frame: Frame, message: Incoming, answer: dict[str, Any], subprotocol: str
) -> None:
    payload = message.body
    if message.action == "TransactionEvent":
        info = answer.get("idTokenInfo")
        status = str(info.get("status", "")) if isinstance(info, dict) else None
        csms.books.event(station.id, subprotocol, payload, message.message_id, frame.wall_time, status)
    elif message.action == "MeterValues":
        csms.books.meter_values_2x(station.id, payload, frame.wall_time)
    elif message.action == "StatusNotification":
        station.status_2x(payload, frame.wall_time)
    else:
        station.collected.take(message.action, payload, frame.wall_time)


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
