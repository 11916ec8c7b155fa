"""Frames of the PN532 on its serial interface (HSU), for both ends of the line. Pure: no line, no clock.

Source: NXP UM0701-02 (PN532 user manual) §6.2 and §7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

TO_READER = 0xD4
FROM_READER = 0xD5
ERROR = 0x7F

GET_FIRMWARE_VERSION = 0x02
SAM_CONFIGURATION = 0x14
IN_LIST_PASSIVE_TARGET = 0x4A

START = b"\x00\xff"
ACK = b"\x00\x00\xff\x00\xff\x00"
"""Also what a host sends to end a command that is still under way."""
NACK = b"\x00\x00\xff\xff\x00\x00"
WAKE = b"\x55\x55" + bytes(14)
"""Sent before the first frame: a reader in power-down needs edges on the line, and time, before it listens."""
UID_SIZES = (4, 7, 10)
"""ISO/IEC 14443-3: single, double and triple size."""


class Signal(Enum):
    ACK = "ack"
    NACK = "nack"


@dataclass(frozen=True, slots=True)
class Frame:
    """``direction`` is TO_READER, FROM_READER or ERROR; ``data`` begins with the command or answer code."""

    direction: int
    data: bytes


def encode(direction: int, data: bytes) -> bytes:
    """Return the frame on the wire. ``data`` holds at most 254 bytes."""
    size = len(data) + 1
    if size > 0xFF:
        raise ValueError(f"{len(data)} bytes do not fit a frame of the PN532")
    body = bytes([direction]) + data
    return b"\x00\x00\xff" + bytes([size, -size & 0xFF]) + body + bytes([-sum(body) & 0xFF, 0])


GET_FIRMWARE_VERSION_FRAME = encode(TO_READER, bytes([GET_FIRMWARE_VERSION]))
SAM_CONFIGURATION_FRAME = encode(TO_READER, bytes([SAM_CONFIGURATION, 0x01, 0x00, 0x01]))
"""Normal mode, no time-out, with IRQ."""
IN_LIST_PASSIVE_TARGET_FRAME = encode(TO_READER, bytes([IN_LIST_PASSIVE_TARGET, 0x01, 0x00]))
"""One target, 106 kbit/s ISO/IEC 14443 type A."""


def encode_targets(uid: bytes | None, *, sens_res: int = 0x0004, sel_res: int = 0x08) -> bytes:
    """What a reader answers to InListPassiveTarget: one card, or none."""
    if uid is None:
        return encode(FROM_READER, bytes([IN_LIST_PASSIVE_TARGET + 1, 0]))
    head = bytes([IN_LIST_PASSIVE_TARGET + 1, 1, 1]) + sens_res.to_bytes(2, "big") + bytes([sel_res, len(uid)])
    return encode(FROM_READER, head + uid)


def parse_targets(data: bytes) -> bytes | None:
    """Return the card's UID from an answer to InListPassiveTarget; None for no card or an answer that is not sound."""
    if len(data) < 7 or data[0] != IN_LIST_PASSIVE_TARGET + 1 or data[1] != 1:
        return None
    size = data[6]
    uid = data[7 : 7 + size]
    return uid if size in UID_SIZES and len(uid) == size else None


@dataclass(slots=True)
class FrameReader:
    """Cuts a byte stream into frames and signals; passes over whatever is neither."""

    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Frame | Signal]:
        """Take bytes as they came, in pieces of any size; return what they complete."""
        self._rest += data
        found: list[Frame | Signal] = []
        while (item := self._next()) is not None:
            if not isinstance(item, bool):
                found.append(item)
        return found

    def _next(self) -> Frame | Signal | bool | None:
        """Take one thing off the front: a frame, a signal, or (True) a byte of noise. None: more bytes are needed."""
        start = self._rest.find(START)
        if start < 0:
            del self._rest[: max(0, len(self._rest) - 1)]  # a last 00 may begin the next start code
            return None
        del self._rest[:start]
        if len(self._rest) < 4:
            return None
        size, check = self._rest[2], self._rest[3]
        if (size, check) == (0x00, 0xFF):
            del self._rest[:4]
            return Signal.ACK
        if (size, check) == (0xFF, 0x00):
            del self._rest[:4]
            return Signal.NACK
        if size == 0 or (size + check) & 0xFF:
            del self._rest[:1]
            return True
        if len(self._rest) < 4 + size + 1:
            return None
        body = bytes(self._rest[4 : 4 + size])
        if (sum(body) + self._rest[4 + size]) & 0xFF:
            del self._rest[:1]
            return True
        del self._rest[: 4 + size + 1]
        return Frame(body[0], body[1:])
