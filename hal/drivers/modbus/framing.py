"""How a PDU travels: RTU and ASCII on a serial line, MBAP over TCP. Pure: no line, no clock.

``frame`` wraps a request; ``find`` looks for its answer in all that has arrived since it was sent. Noise, frames of
others and frames with a wrong checksum are passed over, never misread.

Sources: MODBUS over Serial Line V1.02 (RTU 2.5.1, ASCII 2.5.2), MODBUS Messaging on TCP/IP V1.0b (MBAP 3.1.3).
"""

from __future__ import annotations

from typing import Protocol

from hal.drivers.modbus.checksum import crc16, lrc
from hal.drivers.modbus.pdu import EXCEPTION_FLAG, EXCEPTION_SIZE, Answer, Request, judge

MAX_RTU_FRAME = 256
MAX_ASCII_FRAME = 513
MAX_TCP_FRAME = 260
MIN_GAP_S = 0.00175
"""Silence between frames above 19200 Bd, where 3.5 characters would be too short to time."""


def gap_s(character_s: float, baud: int) -> float:
    """Silence that separates two RTU frames."""
    return MIN_GAP_S if baud > 19_200 else 3.5 * character_s


def seal(body: bytes) -> bytes:
    """Append the CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


class Framing(Protocol):
    limit: int
    """More bytes than this cannot belong to one answer."""
    stream: bool
    """Nothing is ever lost on the way, so what has arrived must not be forgotten in the middle of a frame."""

    def frame(self, unit: int, request: Request) -> bytes:
        """Wrap a request for ``unit`` (0 … 255). A new one is begun each time it is called."""

    def find(self, unit: int, request: Request, received: bytes) -> Answer | None:
        """Return the answer to the request last framed; None as long as there is none."""

    def rest(self, received: bytes) -> bytes:
        """Return what must be kept of the bytes that have arrived when the next request is sent."""

    def out_of_step(self, received: bytes) -> bool:
        """True when nothing that follows can be read any more: the line must be opened anew."""

    def characters(self, request: Request) -> int:
        """How many characters request and answer take on the wire."""


class Rtu:
    """``echoes`` is learned: a two-wire transceiver that hears itself is noticed at the first read, whose request
    and answer differ. From then on the echo of a write, which looks like its answer, is not taken for one."""

    limit = 4 * MAX_RTU_FRAME
    stream = False

    def __init__(self) -> None:
        self.echoes = False
        self._sent = b""

    def frame(self, unit: int, request: Request) -> bytes:
        self._sent = seal(bytes([unit]) + request.encode())
        return self._sent

    def find(self, unit: int, request: Request, received: bytes) -> Answer | None:
        start = 0
        if received.startswith(self._sent):
            looks_like_answer = request.accepts(request.encode())
            self.echoes = self.echoes or not looks_like_answer
            start = len(self._sent) if self.echoes else 0
        for at in range(start, len(received) - EXCEPTION_SIZE - 2):
            answer = self._at(unit, request, received, at)
            if answer is not None:
                return answer
        return None

    def _at(self, unit: int, request: Request, received: bytes, at: int) -> Answer | None:
        if received[at] != unit:
            return None
        function = received[at + 1]
        if function == request.function:
            size = request.answer_size
        elif function == request.function | EXCEPTION_FLAG:
            size = EXCEPTION_SIZE
        else:
            return None
        frame = received[at : at + size + 3]
        if len(frame) < size + 3 or crc16(frame) != 0:
            return None
        return judge(request, frame[1:-2])

    def rest(self, _: bytes) -> bytes:
        return b""

    def out_of_step(self, _: bytes) -> bool:
        return False

    def characters(self, request: Request) -> int:
        return len(request.encode()) + request.answer_size + 6


class Ascii:
    """A frame is a start character, the bytes in hexadecimal, their LRC, CR and LF.

    Requests start with ``:``. Answers may start with ``>`` as well: some charge controllers answer so."""

    limit = 4 * MAX_ASCII_FRAME
    stream = False

    def __init__(self) -> None:
        self.echoes = False
        self._sent = b""

    def frame(self, unit: int, request: Request) -> bytes:
        body = bytes([unit]) + request.encode()
        self._sent = b":" + (body + bytes([lrc(body)])).hex().upper().encode() + b"\r\n"
        return self._sent

    def find(self, unit: int, request: Request, received: bytes) -> Answer | None:
        start = 0
        if received.startswith(self._sent):
            self.echoes = self.echoes or not request.accepts(request.encode())
            start = len(self._sent) if self.echoes else 0
        for line in received[start:].split(b"\n")[:-1]:
            body = decode_ascii(line)
            if body is None or body[0] != unit:
                continue
            answer = judge(request, body[1:])
            if answer is not None:
                return answer
        return None

    def rest(self, _: bytes) -> bytes:
        return b""

    def out_of_step(self, _: bytes) -> bool:
        return False

    def characters(self, request: Request) -> int:
        return 2 * (len(request.encode()) + request.answer_size) + 14


def decode_ascii(line: bytes) -> bytes | None:
    """Return unit and PDU of one line without its LF; None for anything that is not a sound frame.

    The last start character in the line counts: a frame begins anew with each."""
    if not line.endswith(b"\r"):
        return None
    start = max(line.rfind(start) for start in (b":", b">"))
    digits = line[start + 1 : -1]
    if start < 0 or len(digits) < 6 or len(digits) % 2 or not all(c in b"0123456789ABCDEFabcdef" for c in digits):
        return None
    body = bytes.fromhex(digits.decode("ascii"))
    return body[:-1] if lrc(body) == 0 else None


class Mbap:
    """Modbus TCP. Each request has a transaction id of its own; the late answer to an earlier one never matches."""

    limit = 4 * MAX_TCP_FRAME
    stream = True

    def __init__(self) -> None:
        self._transaction = 0

    def frame(self, unit: int, request: Request) -> bytes:
        self._transaction = self._transaction % 0xFFFF + 1
        pdu = request.encode()
        head = self._transaction.to_bytes(2, "big") + b"\x00\x00" + (len(pdu) + 1).to_bytes(2, "big")
        return head + bytes([unit]) + pdu

    def find(self, unit: int, request: Request, received: bytes) -> Answer | None:
        for frame in _frames(received)[0]:
            if int.from_bytes(frame[:2], "big") != self._transaction or frame[6] != unit:
                continue
            answer = judge(request, frame[7:])
            if answer is not None:
                return answer
        return None

    def rest(self, received: bytes) -> bytes:
        """The frame that has not arrived whole, which belongs to an earlier request."""
        return _frames(received)[1]

    def out_of_step(self, received: bytes) -> bool:
        """What follows is no frame: the connection cannot be trusted any more."""
        rest = _frames(received)[1]
        return len(rest) >= 6 and not _is_head(rest)

    def characters(self, request: Request) -> int:
        return len(request.encode()) + request.answer_size + 14


def _is_head(data: bytes) -> bool:
    return data[2:4] == b"\x00\x00" and 2 <= int.from_bytes(data[4:6], "big") <= MAX_TCP_FRAME - 6


def _frames(received: bytes) -> tuple[list[bytes], bytes]:
    """Split into whole frames and what is left."""
    frames = []
    at = 0
    while len(received) - at >= 8 and _is_head(received[at:]):
        end = at + 6 + int.from_bytes(received[at + 4 : at + 6], "big")
        if end > len(received):
            break
        frames.append(received[at:end])
        at = end
    return frames, received[at:]
