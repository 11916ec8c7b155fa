"""A serial port's far end: a pty whose slave is found under a stable name.

The slave is held open here, so that the software under test may close and open it as it likes without the line
hanging up. Bytes that nobody reads are lost, as on a UART.
"""

from __future__ import annotations

import asyncio
import os
import random
import termios
import tty
from collections.abc import Callable
from pathlib import Path

READ_SIZE = 4096
SPEEDS = {value: int(name[1:]) for name, value in vars(termios).items() if name[0] == "B" and name[1:].isdecimal()}
"""Line speed by its constant."""


class PtyPort:
    """One line. ``on_bytes`` gets what the host writes; ``write`` sends to the host."""

    def __init__(self, link: Path, on_bytes: Callable[[bytes], None], seed: int = 1) -> None:
        self.link = link
        self.on_bytes = on_bytes
        self.noise = 0.0
        """Share of the bytes that are damaged on their way, both ways (0 … 1)."""
        self.cut = False
        """Nothing passes either way, yet the port is there: a wire has come off."""
        self._random = random.Random(seed)
        self._master: int | None = None
        self._slave: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        return self._master is not None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the pty and its name. Does nothing when it is there already."""
        if self._master is not None:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._loop = loop
        loop.add_reader(self._master, self._readable)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.link)

    def close(self) -> None:
        """Pull the plug: the name goes, and an open slave hangs up."""
        if self._master is None or self._slave is None:
            return
        if self._loop is not None:
            self._loop.remove_reader(self._master)
        self.link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = None

    @property
    def line(self) -> tuple[int, int] | None:
        """Speed in baud and stop bits that the host has set; None while closed. (A pty keeps no parity.)"""
        if self._slave is None:
            return None
        settings = termios.tcgetattr(self._slave)
        return SPEEDS.get(settings[4], 0), 2 if settings[2] & termios.CSTOPB else 1

    def write(self, data: bytes) -> None:
        if self._master is None or self._slave is None or self.cut:
            return
        data = self._spoil(data)
        for attempt in range(2):
            try:
                sent = os.write(self._master, data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            if attempt == 0:
                # Nobody has read for long: what is queued is stale, so it goes and the news stays.
                termios.tcflush(self._slave, termios.TCIFLUSH)
                data = data[sent:]

    def _readable(self) -> None:
        if self._master is None:
            return
        try:
            data = os.read(self._master, READ_SIZE)
        except (BlockingIOError, OSError):
            return
        if data and not self.cut:
            self.on_bytes(self._spoil(data))

    def _spoil(self, data: bytes) -> bytes:
        if self.noise <= 0.0:
            return data
        chance = self._random.random
        return bytes(byte ^ (1 << self._random.randrange(8)) if chance() < self.noise else byte for byte in data)
