"""An OpenEVSE controller on its serial line: the protocol RAPI, and how the wire can misbehave. Pure.

Source: OpenEVSE/open_evse, firmware/open_evse/rapi_proc.h (hardware sheet §A); nothing is shared with the driver.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulators.openevse.firmware import Around, Firmware
from simulators.oracle import EventLog

GARBAGE_S = 0.05
SLOW_S = 0.8
BUFFER, MAX_TOKENS = 32, 10


@dataclass(slots=True)
class WireFaults:
    mute: bool = False
    deaf: bool = False
    garbage: bool = False
    half_frames: bool = False
    echo: bool = False
    old_firmware: bool = False
    """Its status has two tokens only."""
    slow: bool = False
    talks_over: bool = False
    """Notices of state come before the reply to the command that caused them."""
    refuses_damaged: bool = False
    """Answers NK to what it cannot read, instead of keeping silent."""


def checksum(text: str) -> str:
    value = 0
    for byte in text.encode("latin-1"):
        value ^= byte
    return f"^{value:02X}"


@dataclass(slots=True)
class _Late:
    at: float
    data: bytes


class OpenEvse:
    """``send`` puts bytes on the line; ``receive`` and ``step`` are called by whoever owns the physics. What else is
    given goes to ``Firmware``."""

    def __init__(
        self, send: Callable[[bytes], None], log: EventLog, now: float, *, seed: int = 1, **build: Any
    ) -> None:
        self.wire_faults = WireFaults()
        self.firmware = Firmware(self._say, log, now, **build)
        self.commands: list[str] = []
        """Every sound command, as it was heard."""
        self.log = log
        self._send_bytes = send
        self._random = random.Random(seed)
        self._rest = bytearray()
        self._late: list[_Late] = []
        self._garbage_at = now

    def step(self, now: float, around: Around) -> bool:
        """Sense, act, report. True while something moves: step again within 10 ms."""
        due = [late for late in self._late if now >= late.at]
        self._late = [late for late in self._late if now < late.at]
        for late in due:
            self._send_bytes(late.data)
        if self.wire_faults.garbage and now >= self._garbage_at:
            self._garbage_at = now + GARBAGE_S
            self._send_bytes(self._random.randbytes(24))
        return self.firmware.step(now, around) or bool(self._late)

    def power_up(self, now: float) -> None:
        self._rest.clear()
        self.firmware.power_up(now)

    def power_down(self, now: float) -> None:
        self._rest.clear()
        self.firmware.power_down(now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the host."""
        if self.wire_faults.echo:
            self._send_bytes(data)
        if not self.firmware.running or self.wire_faults.deaf:
            return
        for byte in data:
            if byte == ord("$"):
                self._rest[:] = b"$"
            elif self._rest and byte == ord("\r"):
                line = self._rest.decode("latin-1")
                self._rest.clear()
                self._hear(line, now)
            elif self._rest:
                self._rest.append(byte)
                if len(self._rest) >= BUFFER:
                    self._rest.clear()

    def _hear(self, line: str, now: float) -> None:
        body, mark, check = line.rpartition("^")
        if not mark:
            body, mark, check = line.rpartition("*")
        good = checksum(body)[1:] if mark == "^" else f"{sum(body.encode('latin-1')) & 0xFF:02X}"
        tokens = body[1:].split(" ")
        if not mark or check.upper() != good or len(tokens) > MAX_TOKENS:
            self.log.add("bad_line", line=line)
            if self.wire_faults.refuses_damaged:
                self._say("NK")
            return
        sequence = tokens.pop() if len(tokens) > 1 and tokens[-1].startswith(":") else ""
        self.commands.append(" ".join(tokens))
        ok, reply = self.firmware.obey(tokens[0], tokens[1:], now)
        if tokens[0] == "GS" and self.wire_faults.old_firmware:
            reply = " ".join(reply.split()[:2])
        if self.wire_faults.talks_over:
            self.firmware.report()
        text = " ".join(part for part in ("OK" if ok else "NK", reply, sequence) if part)
        self._say(text, now)
        self.firmware.report()

    def _say(self, text: str, now: float | None = None) -> None:
        if self.wire_faults.mute or self.wire_faults.garbage:
            return
        data = f"${text}{checksum('$' + text)}\r".encode()
        if self.wire_faults.half_frames and self._random.random() < 0.5:
            data = data[: len(data) // 2]
        if self.wire_faults.slow and now is not None:
            self._late.append(_Late(now + SLOW_S, data))
        else:
            self._send_bytes(data)
