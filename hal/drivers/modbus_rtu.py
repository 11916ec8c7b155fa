"""Modbus RTU frames, read functions only, for both ends of the line. Pure: no line, no clock.

Source: MODBUS over Serial Line V1.02 and MODBUS Application Protocol V1.1b3.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.modbus.checksum import crc16
from hal.drivers.modbus.framing import gap_s, seal
from hal.drivers.modbus.pdu import EXCEPTIONS

__all__ = ["ExceptionAnswer", "ReadAnswer", "ReadRequest", "crc16", "find_answer", "gap_s", "seal"]

READ_HOLDING = 3
READ_INPUT = 4
READ_FUNCTIONS = (READ_HOLDING, READ_INPUT)
MAX_REGISTERS = 125
EXCEPTION_FLAG = 0x80
REQUEST_SIZE = 8
EXCEPTION_SIZE = 5
MAX_FRAME = 256
ILLEGAL_ADDRESS = 2
BUSY = 6


@dataclass(frozen=True, slots=True)
class ReadRequest:
    unit: int
    function: int
    address: int
    count: int
    """Registers, 1 … 125."""

    @property
    def answer_size(self) -> int:
        return 5 + 2 * self.count

    def encode(self) -> bytes:
        return seal(
            bytes([self.unit, self.function]) + self.address.to_bytes(2, "big") + self.count.to_bytes(2, "big"),
        )


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    registers: bytes
    """Two bytes each, high byte first."""


@dataclass(frozen=True, slots=True)
class ExceptionAnswer:
    code: int

    @property
    def text(self) -> str:
        return f"exception {self.code} ({EXCEPTIONS.get(self.code, 'unknown')})"


def find_answer(request: ReadRequest, received: bytes) -> ReadAnswer | ExceptionAnswer | None:
    """Find the answer to ``request`` in what has arrived since it was sent; None as long as there is none.

    Noise, the echo of a two-wire transceiver, other units' frames and frames with a wrong checksum are passed over.
    """
    echo = request.encode()
    answer = _answer_at(request, received, 0)
    if answer is not None:
        return answer
    first = len(echo) if received.startswith(echo) else 1
    for at in range(first, len(received) - EXCEPTION_SIZE + 1):
        answer = _answer_at(request, received, at)
        if answer is not None:
            return answer
    return None


def _answer_at(request: ReadRequest, received: bytes, at: int) -> ReadAnswer | ExceptionAnswer | None:
    if len(received) - at < EXCEPTION_SIZE or received[at] != request.unit:
        return None
    if received[at + 1] == request.function and received[at + 2] == 2 * request.count:
        size = request.answer_size
    elif received[at + 1] == request.function | EXCEPTION_FLAG:
        size = EXCEPTION_SIZE
    else:
        return None
    frame = received[at : at + size]
    if len(frame) < size or crc16(frame) != 0:
        return None
    return ExceptionAnswer(frame[2]) if size == EXCEPTION_SIZE else ReadAnswer(frame[3:-2])


def parse_request(frame: bytes) -> ReadRequest | None:
    """Read one request, as a unit on the line does; None when it is not a sound read request."""
    if len(frame) != REQUEST_SIZE or crc16(frame) != 0 or frame[1] not in READ_FUNCTIONS:
        return None
    count = int.from_bytes(frame[4:6], "big")
    if not 1 <= count <= MAX_REGISTERS:
        return None
    return ReadRequest(frame[0], frame[1], int.from_bytes(frame[2:4], "big"), count)


def encode_answer(request: ReadRequest, registers: bytes) -> bytes:
    """The frame a unit answers with. ``registers`` holds two bytes per register asked for."""
    return seal(bytes([request.unit, request.function, len(registers)]) + registers)


def encode_exception(request: ReadRequest, code: int) -> bytes:
    return seal(bytes([request.unit, request.function | EXCEPTION_FLAG, code]))
