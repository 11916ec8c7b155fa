"""Monitors on a Modbus RTU line: registers of Bender's RCMB300 series, and a self-test by command. Pure.

The self-test and reset registers are those of Bender's RCMS150, since no public document names the RCMB300's; see
``docs/examples/residual-monitor.yaml``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators.meters.modbus_line import crc16
from simulators.rcm.monitor import Monitor

READ_HOLDING, WRITE_REGISTERS = 3, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS = 1, 2
DEVICE_ERROR, DC_FAULT, NO_MESSAGE = 115.0, 155.0, 1022.0
BIT_ERROR, BIT_DC = 1 << 1, 1 << 4
TEST_REGISTER, RESET_REGISTER = 59_001, 59_007


@dataclass(slots=True)
class Unit:
    """A monitor at its address. ``silent``, ``bad_crc`` and ``swapped_words`` break the wire; ``deaf`` refuses
    every command; ``nan`` measures no number."""

    address: int
    monitor: Monitor
    silent: bool = False
    bad_crc: bool = False
    swapped_words: bool = False
    deaf: bool = False
    nan: bool = False
    foreign: bool = False
    """Another make: the test register holds something else."""


class RcmLine:
    """``answer(data)`` is called with each reply."""

    def __init__(self, units: Mapping[int, Unit], answer: Callable[[bytes], None]) -> None:
        self.units = units
        self._answer = answer
        self._rest = bytearray()

    def receive(self, data: bytes, now: float) -> None:
        self._rest += data
        while len(self._rest) >= 8:
            size = 8 if self._rest[1] != WRITE_REGISTERS else 9 + self._rest[6]
            if len(self._rest) < size:
                return
            frame = bytes(self._rest[:size])
            if crc16(frame[:-2]) == frame[-2:]:
                del self._rest[:size]
                self._serve(frame, now)
            else:
                del self._rest[0]

    def _serve(self, frame: bytes, now: float) -> None:
        unit = self.units.get(frame[0])
        if unit is None or unit.silent:
            return
        unit.monitor.step(now)
        function, first, count = frame[1], int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        reply = bytes([unit.address, function | 0x80, ILLEGAL_FUNCTION])
        if function == READ_HOLDING:
            reply = self._read(unit, first, count)
        elif function == WRITE_REGISTERS:
            reply = self._write(unit, first, count, frame[7:-2], now)
        check = crc16(reply)
        self._answer(reply + (bytes([check[0] ^ 0xFF, check[1]]) if unit.bad_crc else check))

    @staticmethod
    def _read(unit: Unit, first: int, count: int) -> bytes:
        words = _registers(unit)
        wanted = range(first, first + count)
        if not all(address in words for address in wanted):
            return bytes([unit.address, READ_HOLDING | 0x80, ILLEGAL_ADDRESS])
        body = b"".join(words[address] for address in wanted)
        if unit.swapped_words:
            body = b"".join(body[at + 2 : at + 4] + body[at : at + 2] for at in range(0, len(body), 4))
        return bytes([unit.address, READ_HOLDING, len(body)]) + body

    @staticmethod
    def _write(unit: Unit, first: int, count: int, body: bytes, now: float) -> bytes:
        commands: dict[int, Callable[[], None]] = {
            TEST_REGISTER: lambda: unit.monitor.start_test(now),
            RESET_REGISTER: unit.monitor.reset,
        }
        if unit.deaf or first not in commands or body != b"\x00\x01":
            return bytes([unit.address, WRITE_REGISTERS | 0x80, ILLEGAL_ADDRESS])
        commands[first]()
        return bytes([unit.address, WRITE_REGISTERS]) + first.to_bytes(2, "big") + count.to_bytes(2, "big")


def _registers(unit: Unit) -> dict[int, bytes]:
    monitor = unit.monitor
    dc_a, ac_a = monitor.measured_dc_ma / 1000, monitor.ac_ma / 1000
    if unit.nan:
        dc_a = ac_a = math.nan
    message = DEVICE_ERROR if monitor.broken else DC_FAULT if monitor.tripped else NO_MESSAGE
    status = (BIT_ERROR if monitor.broken else 0) | (BIT_DC if monitor.tripped else 0)
    words: dict[int, bytes] = {}

    def put(address: int, raw: bytes) -> None:
        words.update({address + at // 2: raw[at : at + 2] for at in range(0, len(raw), 2)})

    put(1000, (0x0A0B0C0D if unit.foreign else 0x12345678).to_bytes(4, "big"))
    for address, value in ((8000, ac_a), (8002, dc_a), (8004, math.hypot(dc_a, ac_a)), (8006, message)):
        put(address, struct.pack(">f", value))
    put(8008, (1 if status else 0).to_bytes(4, "big"))
    for address, value in ((8010, ac_a), (8012, math.hypot(dc_a, ac_a))):
        put(address, struct.pack(">f", value))
    put(8014, status.to_bytes(4, "big"))
    put(TEST_REGISTER, monitor.result.value.to_bytes(2, "big"))
    return words
