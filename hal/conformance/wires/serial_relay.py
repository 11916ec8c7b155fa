"""A pty in front of a serial node: the driver opens the pty, the kit opens the node."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import termios
import time
import tty
from pathlib import Path
from typing import Any

from hal.conformance.wires import NodeError, Said, Trick
from hal.drivers.serial_line import SerialLine, SerialSettings

READ_SIZE = 65536
ANY_BAUD = 9600
"""The line speed until the driver has set its own."""
CONTROL, SPEEDS = 2, slice(4, 6)
"""Places of the control flags and of both speeds in what termios gives."""


class SerialRelay:
    """The speed and stop bits that the driver sets on its side are set on the real node before a byte goes.

    A pty keeps no parity: that is taken from the driver's option ``parity`` (N, E or O), and is N where it gives none.
    """

    tricks = frozenset(Trick)
    why_not = ""

    def __init__(self, options: Any, field: str, directory: Path) -> None:
        self._real = str(getattr(options, field))
        self._path = directory / "relay"
        self.node = str(self._path)
        self.label = f"serial relay on {self._real}"
        self.options = dataclasses.replace(options, **{field: self.node})
        self.cut = False
        self.said: list[Said] = []
        self._master: int | None = None
        self._slave: int | None = None
        self._line: SerialLine | None = None
        self._settings: list[Any] | None = None

    def open(self, connected: bool) -> None:
        self.said = []
        self.cut = False
        if connected:
            parity = getattr(self.options, "parity", "") or "N"
            self._line = SerialLine(SerialSettings(self._real, ANY_BAUD, parity))
            if not self._line.open(0.0):
                trouble, self._line = self._line.trouble, None
                raise NodeError(trouble)
        self.plug_in()

    def close(self) -> None:
        self.pump()
        self.unplug()
        if self._line is not None:
            self._line.close()
            self._line = None

    def filenos(self) -> list[int]:
        real = None if self._line is None else self._line.fileno()
        return [fd for fd in (self._master, real) if fd is not None]

    def pump(self) -> None:
        data = self._heard()
        if data:
            self.said.append(Said(time.monotonic(), data))
        if self._line is None:
            return
        if data and not self.cut:
            self._adopt_settings()
            self._line.send(data)
        self._line.flush()
        real = self._line.fileno()
        if real is None:
            self._line.open(time.monotonic())  # the real cable was pulled: take it up again
            self._settings = None
        elif select.select([real], [], [], 0)[0]:
            answer = self._line.read()
            if answer and not self.cut:
                self.inject(answer)

    def inject(self, data: bytes) -> None:
        if self._master is not None:
            with contextlib.suppress(OSError):  # the driver reads nothing: the rest is lost, as on a UART
                os.write(self._master, data)

    def unplug(self) -> None:
        self._path.unlink(missing_ok=True)
        for fd in (self._slave, self._master):
            if fd is not None:
                os.close(fd)
        self._master = self._slave = None

    def plug_in(self) -> None:
        if self._master is not None:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._settings = None
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(os.ttyname(self._slave))

    def _heard(self) -> bytes:
        if self._master is None:
            return b""
        try:
            return os.read(self._master, READ_SIZE)
        except OSError:
            return b""

    def _adopt_settings(self) -> None:
        assert self._slave is not None
        assert self._line is not None
        real = self._line.fileno()
        set_by_driver = termios.tcgetattr(self._slave)
        wanted = [set_by_driver[CONTROL] & termios.CSTOPB, *set_by_driver[SPEEDS]]
        if wanted == self._settings or real is None:
            return
        self._settings = wanted
        with contextlib.suppress(termios.error):
            settings = termios.tcgetattr(real)
            settings[CONTROL] = settings[CONTROL] & ~termios.CSTOPB | wanted[0]
            settings[SPEEDS] = wanted[1:]
            termios.tcsetattr(real, termios.TCSANOW, settings)
