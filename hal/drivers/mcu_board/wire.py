"""Frames and payloads on the board's serial line, for both directions and both sets of ids.

A frame is COBS(payload, CRC-32/JAMCRC of the payload, little-endian) and a delimiter 00. The payload is one
protobuf message whose only content is a ``oneof``: its member's number tells what it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, cast

from hal.drivers.mcu_board import cobs, proto3
from hal.drivers.mcu_board.messages import (
    FIELDS,
    AllowPowerOn,
    ConnectorLock,
    CpState,
    CpStateReport,
    ErrorFlags,
    FirmwareUpdate,
    FromBoard,
    KeepAlive,
    KeepAliveLo,
    LockState,
    LockStateReport,
    PowerMeter,
    PpState,
    PpStateReport,
    PwmDutyCycle,
    RcdCommand,
    RelaisState,
    Reset,
    ResetReason,
    ResetReport,
    SetNumberOfPhases,
    TelemetryTida,
    TelemetryYeti,
    ToBoard,
    Variant,
)
from hal.drivers.mcu_board.proto3 import Kind

CRC_SIZE = 4
MAX_FRAME = 1024
"""Longest frame accepted, delimiter included; the boards' own buffers hold no more payload than that."""


class FrameError(ValueError):
    """The frame is damaged."""


class PayloadError(ValueError):
    """The frame is sound but not a message of this variant and direction."""


TO_BOARD: Mapping[Variant, Mapping[int, type]] = {
    Variant.YETI: {
        16: FirmwareUpdate,
        100: KeepAlive,
        102: ConnectorLock,
        103: PwmDutyCycle,
        104: AllowPowerOn,
        105: Reset,
        106: SetNumberOfPhases,
    },
    Variant.TIDA: {
        1: FirmwareUpdate,
        2: KeepAlive,
        3: ConnectorLock,
        4: PwmDutyCycle,
        5: AllowPowerOn,
        6: Reset,
        8: RcdCommand,
    },
}

FROM_BOARD: Mapping[Variant, Mapping[int, type]] = {
    Variant.YETI: {
        3: KeepAliveLo,
        101: ResetReport,
        102: CpStateReport,
        103: RelaisState,
        104: ErrorFlags,
        105: TelemetryYeti,
        106: PpStateReport,
        107: LockStateReport,
        108: PowerMeter,
    },
    Variant.TIDA: {
        1: KeepAliveLo,
        2: ResetReport,
        3: CpStateReport,
        4: RelaisState,
        5: ErrorFlags,
        6: TelemetryTida,
        7: PpStateReport,
        8: LockStateReport,
    },
}

_SCALARS: Mapping[type, tuple[Kind, str]] = {
    ConnectorLock: (Kind.BOOL, "locked"),
    PwmDutyCycle: (Kind.UINT32, "steps"),
    AllowPowerOn: (Kind.BOOL, "allowed"),
    SetNumberOfPhases: (Kind.BOOL, "three"),
    RelaisState: (Kind.BOOL, "on"),
}
_ENUMS: Mapping[type, tuple[type[IntEnum], str]] = {
    CpStateReport: (CpState, "state"),
    PpStateReport: (PpState, "state"),
    LockStateReport: (LockState, "state"),
    ResetReport: (ResetReason, "reason"),
}


def crc(data: bytes) -> int:
    """CRC-32/JAMCRC: the common CRC-32 without its final inversion. 340BC6D9 for ``123456789``."""
    return zlib.crc32(data) ^ 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Return the payload as it goes on the line, delimiter included."""
    return cobs.encode(payload + crc(payload).to_bytes(CRC_SIZE, "little")) + bytes([cobs.DELIMITER])


def unframe(block: bytes) -> bytes:
    """Return the payload of a block (what stood before a delimiter). Raises FrameError."""
    try:
        data = cobs.decode(block)
    except cobs.CobsError as error:
        raise FrameError(str(error)) from None
    if len(data) <= CRC_SIZE:
        raise FrameError("shorter than its checksum")
    payload, received = data[:-CRC_SIZE], int.from_bytes(data[-CRC_SIZE:], "little")
    if crc(payload) != received:
        raise FrameError("the checksum does not match")
    return payload


@dataclass(slots=True)
class FrameReader:
    """Cuts a byte stream into payloads. Finds its way back after garbage at the next delimiter.

    ``damaged`` counts blocks that were no frame, over-long ones included. Empty blocks are no damage: hosts send
    lone delimiters to resynchronise.
    """

    damaged: int = 0
    _rest: bytearray = field(default_factory=bytearray)
    _overrun: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came, in pieces of any size; return the payloads they complete."""
        payloads = []
        pieces = data.split(b"\x00")
        for index, piece in enumerate(pieces):
            if not self._overrun:
                self._rest += piece
                if len(self._rest) >= MAX_FRAME:
                    self._overrun = True
                    self._rest.clear()
            if index == len(pieces) - 1:
                break
            if self._overrun:
                self.damaged += 1
            elif self._rest:
                try:
                    payloads.append(unframe(bytes(self._rest)))
                except FrameError:
                    self.damaged += 1
            self._overrun = False
            self._rest.clear()
        return payloads


def encode_to_board(variant: Variant, message: ToBoard) -> bytes:
    """Return the payload. Raises PayloadError when the variant has no such message or a value does not fit."""
    return _encode(TO_BOARD[variant], variant, message)


def encode_from_board(variant: Variant, message: FromBoard) -> bytes:
    """Return the payload. Raises PayloadError when the variant has no such message or a value does not fit."""
    return _encode(FROM_BOARD[variant], variant, message)


def decode_to_board(variant: Variant, payload: bytes) -> ToBoard:
    """Return the message. Raises PayloadError."""
    return cast(ToBoard, _decode(TO_BOARD[variant], payload))


def decode_from_board(variant: Variant, payload: bytes) -> FromBoard:
    """Return the message. Raises PayloadError."""
    return cast(FromBoard, _decode(FROM_BOARD[variant], payload))


def _encode(ids: Mapping[int, type], variant: Variant, message: Any) -> bytes:
    kind = type(message)
    number = next((number for number, member in ids.items() if member is kind), None)
    if number is None:
        raise PayloadError(f"{variant.value} has no {kind.__name__}")
    try:
        # A member of a oneof is written even when it holds its default: that it is there is the message.
        if kind in _SCALARS:
            scalar, attribute = _SCALARS[kind]
            return proto3.encode_tag(number, proto3.wire_type_of(scalar)) + proto3.encode_scalar(
                scalar, getattr(message, attribute)
            )
        if kind in _ENUMS:
            value = getattr(message, _ENUMS[kind][1])
            if value is None:
                raise PayloadError(f"{kind.__name__} needs a value")
            return proto3.encode_tag(number, proto3.VARINT) + proto3.encode_varint(value)
        if kind is Reset:
            return proto3.encode_tag(number, proto3.VARINT) + b"\x01"
        body = proto3.encode_message(message, FIELDS[kind])
    except proto3.Proto3Error as error:
        raise PayloadError(f"{kind.__name__}: {error}") from None
    return proto3.encode_tag(number, proto3.LEN) + proto3.encode_varint(len(body)) + body


def _decode(ids: Mapping[int, type], payload: bytes) -> Any:
    message: Any = None
    try:
        for number, wire_type, raw in proto3.iterate(payload):
            kind = ids.get(number)
            if kind is not None:
                message = _member(kind, wire_type, raw)  # the last member of a oneof wins
    except proto3.Proto3Error as error:
        raise PayloadError(str(error)) from None
    if message is None:
        raise PayloadError("no known message inside")
    return message


def _member(kind: type, wire_type: int, raw: int | bytes) -> Any:
    if kind in FIELDS:
        if wire_type != proto3.LEN or isinstance(raw, int):
            raise PayloadError(f"{kind.__name__} is not a sub-message here")
        return kind(**proto3.decode_message(raw, FIELDS[kind]))
    if kind in _SCALARS:
        scalar, attribute = _SCALARS[kind]
        return kind(**{attribute: proto3.decode_scalar(scalar, wire_type, raw)})
    if wire_type != proto3.VARINT or not isinstance(raw, int):
        raise PayloadError(f"{kind.__name__} is not a number here")
    if kind is Reset:
        return Reset()
    enum, attribute = _ENUMS[kind]
    try:
        return kind(**{attribute: enum(raw)})
    except ValueError:
        return kind(**{attribute: None})
