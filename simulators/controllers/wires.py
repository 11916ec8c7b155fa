"""Slaves' ends of the three Modbus framings, written apart from the driver's. Pure: bytes in, requests out."""

from __future__ import annotations

import binascii
from collections.abc import Callable

from simulators.meters.modbus_line import crc16

SERIAL_GAP_S = 0.05
"""Silence after which a half-received request is forgotten. (On the wire 3.5 characters; a pty has no speed.)"""
TCP_HEAD = 7

Request = tuple[int, bytes, Callable[[bytes], bytes]]
"""Unit, PDU, and what wraps the answer's PDU for the way back."""


class RtuSlave:
    def __init__(self) -> None:
        self._rest = bytearray()
        self._heard_at = 0.0

    def requests(self, data: bytes, now: float) -> list[Request]:
        if now - self._heard_at > SERIAL_GAP_S:
            self._rest.clear()
        self._heard_at = now
        self._rest += data
        found: list[Request] = []
        while len(self._rest) >= 8:
            size = 9 + self._rest[6] if self._rest[1] in (15, 16) else 8
            frame = bytes(self._rest[:size])
            if len(frame) < size:
                break
            if crc16(frame[:-2]) != frame[-2:]:
                del self._rest[0]
                continue
            del self._rest[:size]
            found.append((frame[0], frame[1:-2], self._wrapper(frame[0])))
        return found

    @staticmethod
    def _wrapper(unit: int) -> Callable[[bytes], bytes]:
        def wrap(pdu: bytes) -> bytes:
            body = bytes([unit]) + pdu
            return body + crc16(body)

        return wrap


class AsciiSlave:
    """``start``: the character its answers begin with."""

    def __init__(self, start: bytes = b":") -> None:
        self.start = start
        self._rest = bytearray()

    def requests(self, data: bytes, _: float) -> list[Request]:
        self._rest += data
        found: list[Request] = []
        while b"\r\n" in self._rest:
            line, _end, rest = bytes(self._rest).partition(b"\r\n")
            self._rest = bytearray(rest)
            try:
                body = binascii.unhexlify(line[line.rindex(b":") + 1 :])
            except (ValueError, binascii.Error):
                continue
            if len(body) < 3 or sum(body) & 0xFF:
                continue
            found.append((body[0], body[1:-1], self._wrapper(body[0])))
        del self._rest[:-600]
        return found

    def _wrapper(self, unit: int) -> Callable[[bytes], bytes]:
        def wrap(pdu: bytes) -> bytes:
            body = bytes([unit]) + pdu
            check = (0x100 - sum(body)) & 0xFF
            return self.start + binascii.hexlify(body + bytes([check])).upper() + b"\r\n"

        return wrap


class TcpSlave:
    """One connection."""

    def __init__(self) -> None:
        self._rest = b""

    def requests(self, data: bytes, _: float) -> list[Request]:
        self._rest += data
        found: list[Request] = []
        while len(self._rest) > TCP_HEAD:
            size = 6 + int.from_bytes(self._rest[4:6], "big")
            if self._rest[2:4] != b"\0\0" or not 8 <= size <= 260:
                self._rest = b""  # out of step: wait for the host to connect anew
                break
            if len(self._rest) < size:
                break
            frame, self._rest = self._rest[:size], self._rest[size:]
            found.append((frame[6], frame[7:], self._wrapper(frame[:2], frame[6])))
        return found

    @staticmethod
    def _wrapper(transaction: bytes, unit: int) -> Callable[[bytes], bytes]:
        def wrap(pdu: bytes) -> bytes:
            return transaction + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes([unit]) + pdu

        return wrap
