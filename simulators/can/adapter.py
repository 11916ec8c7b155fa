"""A USB-CAN adapter (slcan) with a bus behind it, on a pty. Frames, not bytes, are what its bus loses or damages.

On a real bus a damaged frame is destroyed by whoever notices it and sent again; what arrives is right or does not
arrive. So ``noise`` loses frames. Between adapter and host (USB) nothing is damaged but by the faults that say so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from simulators.pty_port import PtyPort

BITRATES = ["10", "20", "50", "100", "125", "250", "500", "800", "1000"]
"""Kilobits per second by the digit of the S command."""
WARNING, PASSIVE, BUS_ERROR = 0x04, 0x20, 0x80


class SlcanPort:
    """``simulators.lab.kinds.LabPort``. ``on_frame(id, extended, data)`` gets what the host sends."""

    def __init__(self, link: Path, bitrate: int, on_frame: Callable[[int, bool, bytes], None], seed: int = 1) -> None:
        self.pty = PtyPort(link, self._hear, seed)
        self.bitrate = bitrate
        self.noise = 0.0
        self.cut = False
        self.bus_off = False
        self.passive = False
        self.garbage = False
        self.half_frames = False
        self.echo = False
        self.channel_open = False
        self.refused = 0
        self._on_frame = on_frame
        self._set_bitrate = 0
        self._half = b""
        self._random = random.Random(seed)

    @property
    def link(self) -> Path:
        return self.pty.link

    @property
    def is_open(self) -> bool:
        return self.pty.is_open

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        self.channel_open = False
        self._half = b""
        self.pty.open(loop)

    def close(self) -> None:
        self.channel_open = False
        self.pty.close()

    @property
    def on_bus(self) -> bool:
        return self.channel_open and self._set_bitrate == self.bitrate and not self.cut and not self.bus_off

    def send(self, number: int, data: bytes, *, extended: bool = False) -> None:
        """A node on the bus says something."""
        if self.on_bus and not self._lost():
            form = f"T{number:08x}" if extended else f"t{number:03x}"
            self._tell(f"{form}{len(data)}{data.hex()}\r".encode())

    def _hear(self, data: bytes) -> None:
        *lines, self._half = (self._half + data).split(b"\r")
        for line in lines:
            if line and not self._obey(line.decode("ascii", "replace")):
                self.refused += 1
                self.pty.write(b"\x07")

    def _obey(self, line: str) -> bool:
        letter, rest = line[0], line[1:]
        if letter in "tT":
            return self._transmit(letter == "T", rest)
        if letter == "S" and len(rest) == 1 and rest.isdigit() and int(rest) < len(BITRATES):
            if self.channel_open:
                return False
            self._set_bitrate = int(BITRATES[int(rest)]) * 1000
        elif letter == "O":
            self.channel_open = self._set_bitrate > 0
        elif letter == "C":
            self.channel_open = False
        elif letter == "F":
            flags = BUS_ERROR if self.bus_off else PASSIVE if self.passive or self._mute() else 0
            self._tell(f"F{flags:02X}\r".encode())
            return True
        else:
            return False
        self.pty.write(b"\r")
        return True

    def _mute(self) -> bool:
        """Nobody acknowledges: the wire is off, or the speeds differ."""
        return self.channel_open and (self.cut or self._set_bitrate != self.bitrate)

    def _transmit(self, extended: bool, rest: str) -> bool:
        digits = 8 if extended else 3
        if not self.channel_open:
            return False
        try:
            number, count = int(rest[:digits], 16), int(rest[digits])
            data = bytes.fromhex(rest[digits + 1 :])
        except (ValueError, IndexError):
            return False
        if len(data) != count or count > 8:
            return False
        self.pty.write(b"Z\r" if extended else b"z\r")
        if self.echo:
            self._tell(f"{'T' if extended else 't'}{rest}\r".encode())
        if self.on_bus and not self._lost():
            self._on_frame(number, extended, data)
        return True

    def _lost(self) -> bool:
        return self.noise > 0 and self._random.random() < self.noise

    def _tell(self, line: bytes) -> None:
        if self.garbage:
            line = self._random.randbytes(len(line))
        elif self.half_frames and self._random.random() < 0.5:
            line = line[: len(line) // 2]
        self.pty.write(line)
