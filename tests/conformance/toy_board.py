"""A pilot board of a toy protocol: the smallest whole driver of a board, its counterpart, and what may be wrong in it.

The host asks ``?`` and commands ``P<duty>`` and ``C0`` or ``C1``; the board answers ``toy <state> <closed>``. Every
line ends with ``*``, the sum of its characters modulo 256 in hexadecimal, and a line feed. The board holds what it was
told last, for as long as it has power: all safety is the driver's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hal.conformance.subject import Account
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import ContactorReading, Health, PilotReading, PilotState
from simulators.pty_port import PtyPort

POLL_S = 0.1
LOST_S = 1.0


def line(text: str) -> bytes:
    return f"{text}*{sum(text.encode()) % 256:02X}\n".encode()


def lines(buffer: bytearray) -> list[str]:
    """Take whole sound lines out of the buffer."""
    found = []
    while b"\n" in buffer:
        raw, _, rest = bytes(buffer).partition(b"\n")
        buffer[:] = rest
        text = raw.decode("ascii", "replace").partition("*")[0]
        if line(text) == raw + b"\n":
            found.append(text)
    return found


@dataclass(frozen=True, slots=True)
class ToyOptions:
    port: str = option(help="serial node", exclusive="serial port")


class ToyBoard:
    """The device and its unit. Subclasses in test_conform_controls.py each break one thing."""

    def __init__(self, name: str, options: ToyOptions) -> None:
        self.name = name
        self.port = options.port
        self.line = self.make_line()
        self.buffer = bytearray()
        self.known = False
        self.duty = 0
        self.closed = False
        self.open_before = False
        self.heard_at: float | None = None
        self.asked_at = 0.0
        self.since = 0.0
        self.ended = False
        self.told: tuple[PilotReading, ContactorReading] | None = None

    def make_line(self) -> SerialLine:
        return SerialLine(SerialSettings(self.port, 115_200))

    def start(self, now: float) -> None:
        self.line.check()
        self.connect(now)

    def connect(self, now: float) -> None:
        if self.line.open(now):
            self.open_before = True
            self.since = now
            self.begin()
            self.line.send(line("?"))

    def begin(self) -> None:
        """A counterpart that may be in any state: forget what was commanded, and tell it to open."""
        self.known, self.duty, self.closed = False, 0, False
        self.line.send(line("C0"), "C", urgent=True)
        self.line.send(line("P0"), "P")

    def fileno(self) -> int | None:
        return self.line.fileno()

    def on_readable(self, now: float) -> None:
        self.buffer += self.line.read()
        for text in lines(self.buffer[-200:] if len(self.buffer) > 200 else self.buffer):
            self.take(text, now)
        if len(self.buffer) > 200:
            self.buffer.clear()

    def take(self, text: str, now: float) -> None:
        words = text.split()
        if words == ["boot"]:
            self.begin()
        elif len(words) == 3 and words[0] == "toy":
            self.known = True
            self.heard_at = now
            self.told = PilotReading(now, PilotState(words[1])), ContactorReading(now, words[2] == "1")

    def on_timer(self, now: float) -> float:
        if self.ended:
            return now + 1.0
        if not self.line.is_open:
            if self.open_before:
                self.open_before = False
                self.on_lost()
            try:
                self.connect(now)
            except DeviceError as error:
                self.line.trouble = str(error)
            if not self.line.is_open:
                return self.line.next_open_at
        if self.silent(now):
            self.known = False
        if now - self.asked_at >= POLL_S:
            self.asked_at = now
            self.line.send(line("?"), "?")
        return self.asked_at + POLL_S

    def on_lost(self) -> None:
        self.known = False

    def silent(self, now: float) -> bool:
        return now - max(self.since, self.heard_at or 0.0) > LOST_S

    def close(self) -> None:
        if self.line.is_open:
            self.begin()
        self.ended = True
        self.line.close()

    def health(self, now: float) -> Health:
        detail = self.line.trouble
        if self.line.is_open and self.silent(now):
            detail = f"{self.port}: the board is silent; check its power"
        elif self.line.is_open and not self.known:
            detail = f"{self.port}: waiting for the board"
        return Health(not detail, detail, self.heard_at)

    def unit(self, name: str) -> Any:
        if name:
            raise KeyError(name)
        return self

    def set_pilot(self, duty_pct: float, now: float) -> None:
        duty = int(duty_pct) if 8.0 <= duty_pct <= 97.0 else 100 if duty_pct == 100.0 else 0
        if duty != self.duty and (self.known or duty == 0):
            self.duty = duty
            self.line.send(line(f"P{duty}"), "P")

    def set_contactor(self, closed: bool, now: float) -> None:
        if closed != self.closed and (self.known or not closed):
            self.closed = closed
            self.line.send(line(f"C{closed:d}"), "C", urgent=not closed)

    def set_phases(self, phases: int, now: float) -> None: ...

    def pilot(self) -> PilotReading | None:
        return self.told[0] if self.told else None

    def contactor(self) -> ContactorReading | None:
        return self.told[1] if self.told else None


PORTS = frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR})


def driver(device: type, **changes: Any) -> Driver:
    """Register a device class of this protocol."""
    given: dict[str, Any] = {
        "name": "toy-board",
        "summary": "a board of a toy protocol",
        "options": ToyOptions,
        "units": lambda options: {"": PORTS},
        "create": device,
    }
    return Driver(**(given | changes))


class ToyCounterpart:
    """The board itself, with a vehicle that may ask for energy. It closes whenever it is told to."""

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._port = PtyPort(directory / "toy", self._receive)
        self._port.open(loop)
        self._buffer = bytearray()
        self._closed = False
        self._duty = 0
        self._dead_until = 0.0
        self._wants = False
        self.options: Mapping[str, Any] = {"driver": "toy-board", "port": str(self._port.link)}

    def _receive(self, data: bytes) -> None:
        self._buffer += data
        for text in lines(self._buffer):
            if time.monotonic() < self._dead_until:
                continue
            if text == "?":
                state = "F" if self._duty == 0 else "C" if self._wants and self._duty < 100 else "A"
                self._port.write(line(f"toy {state} {self._closed:d}"))
            elif text[:1] == "C":
                self._closed = text == "C1"
            elif text[:1] == "P":
                self._duty = int(text[1:])

    def step(self, now: float) -> None: ...

    def account(self) -> Account:
        return Account(self._closed, 0 < self._duty < 100)

    def ask(self, wants: bool) -> None:
        self._wants = wants

    def restart(self) -> None:
        self._closed, self._duty = False, 0
        self._dead_until = time.monotonic() + 0.2
        self._loop.call_later(0.25, self._port.write, line("boot"))

    def close(self) -> None:
        self._port.close()
