"""A CANopen module of CiA 401 with one byte of inputs and one of outputs, its frames laid by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators.oracle import EventLog

BOOT_S = 0.2
OPERATIONAL, PRE_OPERATIONAL, STOPPED = 0x05, 0x7F, 0x04
MISSING, NO_SUB, READ_ONLY, RANGE = 0x06020000, 0x06090011, 0x06010002, 0x06090030
HEARTBEAT_ERROR = 0x8130

SIZES = {
    (0x1016, 1): 4,
    (0x1017, 0): 2,
    (0x1029, 1): 1,
    (0x1400, 2): 1,
    (0x1800, 2): 1,
    (0x1800, 5): 2,
    (0x6206, 1): 1,
    (0x6207, 1): 1,
}
"""Writable objects with their sizes."""
CONSTANTS = {(0x1000, 0): (4, 0x0003_0191), (0x6000, 0): (1, 1), (0x6200, 0): (1, 1)}


class IoNode:
    """``send(id, data)`` puts a frame on the bus. ``inputs`` are set by what is wired to it; ``outputs`` drive it."""

    def __init__(self, node: int, send: Callable[[int, bytes], None], log: EventLog, now: float) -> None:
        self.node = node
        self.inputs = 0
        self.outputs = 0
        self.restarts = 0
        self.refuses: set[int] = set()
        """Indices of objects that it does not have."""
        self.device_type = 0x0003_0191
        self.mute = self.deaf = False
        self.event_timer = True
        self.tells_inputs = True
        self.log = log
        self._send_frame = send
        self._state = 0
        self._boots_at = now + BOOT_S
        self._values: dict[tuple[int, int], int] = {}
        self._host_heard_at: float | None = None
        self._host_lost = False
        self._next_beat = self._next_input = math.inf
        self._told_inputs: int | None = None

    @property
    def running(self) -> bool:
        return self._boots_at == -math.inf

    @property
    def operational(self) -> bool:
        return self.running and self._state == OPERATIONAL

    def restart(self, reason: str, now: float) -> None:
        self._boots_at = now + BOOT_S
        self._values.clear()
        self._host_heard_at, self._host_lost = None, False
        self._told_inputs = None
        self.restarts += 1
        self._drive(0, reason)
        self.log.add("reset", reason=reason)

    def power_down(self) -> None:
        self._drive(0, "no supply")
        self._boots_at = math.inf

    def _send(self, number: int, data: bytes) -> None:
        if not self.mute:
            self._send_frame(number, data)

    def _drive(self, outputs: int, reason: str) -> None:
        if outputs != self.outputs:
            self.outputs = outputs
            self.log.add("outputs", bits=outputs, reason=reason)

    # What it hears

    def receive(self, number: int, data: bytes, now: float) -> None:
        if not self.running or self.deaf:
            return
        if number == 0 and len(data) == 2 and data[1] in (0, self.node):
            self._command(data[0], now)
        elif number == 0x600 + self.node and len(data) == 8:
            self._serve(data, now)
        elif number == 0x200 + self.node and self._state == OPERATIONAL:
            if len(data) == 1:
                self._drive(data[0], "RPDO")
            else:
                self.emergency(0x8210)
        elif number == 0x700 + (self._values.get((0x1016, 1), 0) >> 16 & 0x7F) and number != 0x700:
            self._host_heard_at = now

    def _command(self, command: int, now: float) -> None:
        if command in (0x81, 0x82):
            self.restart("NMT", now)
        elif command in (0x01, 0x02, 0x80):
            self._state = {0x01: OPERATIONAL, 0x02: STOPPED, 0x80: PRE_OPERATIONAL}[command]
            self._next_input = now
            if command != 0x01:
                self._drop("NMT")
            self._beat(now)

    def _serve(self, data: bytes, now: float) -> None:
        place = (int.from_bytes(data[1:3], "little"), data[3])
        if data[0] == 0x40:
            self._read(place, data)
            return
        size = {0x2F: 1, 0x2B: 2, 0x27: 3, 0x23: 4}.get(data[0], 0)
        if place[0] in self.refuses or place not in SIZES:
            self._abort(data, READ_ONLY if place in CONSTANTS else MISSING)
        elif size != SIZES[place] or (place == (0x1800, 5) and not self.event_timer):
            self._abort(data, NO_SUB if place == (0x1800, 5) else 0x06070010)
        else:
            self._values[place] = int.from_bytes(data[4 : 4 + size], "little")
            self.log.add("object", index=f"{place[0]:04X}", sub=place[1], value=self._values[place])
            self._send(0x580 + self.node, b"\x60" + data[1:4] + bytes(4))
            if place == (0x1017, 0):
                self._beat(now)

    def _read(self, place: tuple[int, int], data: bytes) -> None:
        size, value = CONSTANTS.get(place, (0, 0))
        if place == (0x1000, 0):
            value = self.device_type
        elif place == (0x6000, 1):
            size, value = 1, self.inputs
        if not size or place[0] in self.refuses:
            self._abort(data, MISSING)
            return
        head = 0x43 | (4 - size) << 2
        self._send(0x580 + self.node, bytes([head]) + data[1:4] + value.to_bytes(4, "little"))

    def _abort(self, data: bytes, code: int) -> None:
        self._send(0x580 + self.node, b"\x80" + data[1:4] + code.to_bytes(4, "little"))

    def emergency(self, code: int) -> None:
        register = 0x11 if code else 0
        self._send(0x080 + self.node, code.to_bytes(2, "little") + bytes([register]) + bytes(5))

    # Time

    def step(self, now: float) -> bool:
        if not self.running:
            if now < self._boots_at:
                return self._boots_at < math.inf
            self._boots_at, self._state = -math.inf, PRE_OPERATIONAL
            self._next_beat = math.inf
            self._send(0x700 + self.node, b"\0")
        self._watch_host(now)
        if now >= self._next_beat:
            self._beat(now)
        if self.tells_inputs and self._state == OPERATIONAL and self._values.get((0x1800, 2), 0xFF) == 0xFF:
            changed = self.inputs != self._told_inputs
            if changed or now >= self._next_input:
                self._told_inputs = self.inputs
                every_ms = self._values.get((0x1800, 5), 0)
                self._next_input = now + every_ms / 1000 if every_ms else math.inf
                self._send(0x180 + self.node, bytes([self.inputs]))
        return self.operational

    def _watch_host(self, now: float) -> None:
        limit_ms = self._values.get((0x1016, 1), 0) & 0xFFFF
        if not limit_ms or self._host_heard_at is None:
            return
        silent = now - self._host_heard_at > limit_ms / 1000
        if silent and not self._host_lost:
            self._host_lost = True
            self.log.add("host_silent")
            self.emergency(HEARTBEAT_ERROR)
            if self._values.get((0x1029, 1), 0) == 0 and self._state == OPERATIONAL:
                self._state = PRE_OPERATIONAL
            self._drop("host silent")
        elif not silent and self._host_lost:
            self._host_lost = False
            self.emergency(0)

    def _drop(self, reason: str) -> None:
        """Outputs whose error mode says so take their error value; the others stay as they are."""
        mode, value = self._values.get((0x6206, 1), 0), self._values.get((0x6207, 1), 0xFF)
        self._drive(self.outputs & ~mode | value & mode, reason)

    def _beat(self, now: float) -> None:
        every_ms = self._values.get((0x1017, 0), 0)
        if every_ms:
            self._next_beat = now + every_ms / 1000
            self._send(0x700 + self.node, bytes([self._state]))
