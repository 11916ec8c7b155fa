"""Modbus RTU slaves that share a line (Modbus over serial line V1.02). Pure: bytes in, answers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators.meters.layouts import LAYOUTS
from simulators.meters.register import MeterCore
from simulators.meters.signing import SigningCore
from simulators.oracle import EventLog

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
WRITE_REGISTERS = 16
REQUEST_SIZE = 8
WRITE_HEAD = 7
"""Bytes of a write before its registers; two follow them."""
SLOW_S = 0.7
"""How late a slow meter is: later than any master waits."""
GAP_S = 0.05
"""Silence after which a half-received request is forgotten. (On the wire 3.5 characters; a pty has no line speed.)"""


def crc16(data: bytes) -> bytes:
    """CRC-16 of Modbus, as it goes on the wire (low byte first)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


@dataclass(slots=True)
class Slave:
    """A meter at its address. ``bad_crc`` spoils the checksum of every answer, ``exception`` refuses every
    request, ``swapped_words`` sends the low word first, ``slow`` answers too late."""

    address: int
    map_name: str
    """A name of ``simulators.meters.layouts.LAYOUTS``."""
    core: MeterCore
    log: EventLog
    bad_crc: bool = False
    exception: bool = False
    swapped_words: bool = False
    slow: bool = False
    reads: int = 0
    signer: SigningCore | None = None
    baud: int = 0
    """The speed it is set to; 0: it understands whatever speed the host has set."""


class ModbusLine:
    """``answer(data, delay_s)`` is called with each reply and how long the real line would take for it. ``speed``
    tells at which speed the host sends now: whoever is set to another hears nothing of it."""

    def __init__(
        self,
        slaves: Mapping[int, Slave],
        answer: Callable[[bytes, float], None],
        baud: int = 9600,
        speed: Callable[[], int] | None = None,
    ) -> None:
        self.slaves = slaves
        self._answer = answer
        self._speed = speed
        self._character_s = 10.0 / baud
        self._rest = bytearray()
        self._heard_at = 0.0

    def receive(self, data: bytes, now: float) -> None:
        if now - self._heard_at > GAP_S:
            self._rest.clear()
        self._heard_at = now
        self._rest += data
        while len(self._rest) >= REQUEST_SIZE:
            size = REQUEST_SIZE
            if self._rest[1] == WRITE_REGISTERS and self._rest[6] == 2 * self._rest[5]:
                size = WRITE_HEAD + self._rest[6] + 2
                if len(self._rest) < size:
                    return
            request = bytes(self._rest[:size])
            if crc16(request[:-2]) == request[-2:]:
                del self._rest[:size]
                self._serve(request, now)
            else:
                del self._rest[0]

    def _serve(self, request: bytes, now: float) -> None:
        slave = self.slaves.get(request[0])
        if slave is None or slave.core.silent:
            return
        if slave.baud and self._speed is not None and self._speed() != slave.baud:
            return
        function = request[1]
        first, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        layout = LAYOUTS[slave.map_name]
        body: bytes | None = None
        code = ILLEGAL_FUNCTION
        if function == WRITE_REGISTERS and slave.signer is not None and not slave.exception:
            words = [int.from_bytes(request[at : at + 2], "big") for at in range(WRITE_HEAD, len(request) - 2, 2)]
            done = slave.signer.write(first, words, now, time.time())
            self._reply(slave, request[:6] if done else bytes([slave.address, function | 0x80, ILLEGAL_VALUE]))
            return
        if function == layout.function and not slave.exception:
            code = ILLEGAL_ADDRESS
            if slave.signer is not None:
                body = slave.signer.read(first, count, now)
            if body is None:
                body = layout.read(slave.core, first, count)
        if body is None:
            reply = bytes([slave.address, function | 0x80, code])
        else:
            reply = bytes([slave.address, function, len(body)]) + (_swapped(body) if slave.swapped_words else body)
            slave.reads += 1
            if any(first <= address < first + count for address in layout.energy):
                slave.log.add("read", register_wh=slave.core.shown()[0], first=first, count=count)
        self._reply(slave, reply)

    def _reply(self, slave: Slave, reply: bytes) -> None:
        check = crc16(reply)
        if slave.bad_crc:
            check = bytes([check[0] ^ 0xFF, check[1]])
        reply += check
        delay_s = (REQUEST_SIZE + len(reply)) * self._character_s
        self._answer(reply, delay_s + (SLOW_S if slave.slow else 0.0))


def _swapped(body: bytes) -> bytes:
    """Low word first in each pair of registers."""
    return b"".join(body[at + 2 : at + 4] + body[at : at + 2] for at in range(0, len(body), 4))
