"""In front of a simulated SPI bus (``hal.gpio.spi.SimSpi`` tells the protocol): bursts pass, and their answers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

from hal.conformance.wires import NodeError, Said, Trick
from hal.gpio.spi import PACKET, SIM

SEQPACKET = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
HUNG_UP = b""


class SpiRelay:
    """One driver at a time. The option must name a simulated bus."""

    tricks = frozenset({Trick.SILENCE, Trick.GARBAGE, Trick.UNPLUG})
    why_not = "nothing can stand between the driver and what it commands by files; on the bus it only asks"

    def __init__(self, options: Any, field: str, directory: Path) -> None:
        self._real = str(getattr(options, field)).removeprefix(SIM)
        self._path = directory / "bus"
        self.node = str(self._path)
        self.label = f"relay in front of {SIM}{self._real}"
        self.options = dataclasses.replace(options, **{field: f"{SIM}{self._path}"})
        self.cut = False
        self.said: list[Said] = []
        self._connected = False
        self._listener: socket.socket | None = None
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None

    def open(self, connected: bool) -> None:
        self.cut = False
        self._connected = connected
        if connected and not os.path.exists(self._real):  # noqa: PTH110 (a text, no path of ours)
            raise NodeError(f"{SIM}{self._real}: is not there; start the simulator")
        self.plug_in()

    def close(self) -> None:
        self.unplug()

    def filenos(self) -> list[int]:
        return [each.fileno() for each in (self._listener, self._near, self._far) if each is not None]

    def pump(self) -> None:
        self._accept()
        asked = _received(self._near)
        if asked == HUNG_UP:
            self._hang_up()
            return
        answer = _received(self._far)
        if answer == HUNG_UP:
            self._hang_up()
            return
        if asked is not None and self._far is not None and not self.cut:
            self._far.send(asked)
        if answer is not None and not self.cut:
            self.inject(answer)

    def inject(self, data: bytes) -> None:
        if self._near is not None:
            with contextlib.suppress(OSError):  # the driver reads nothing: lost
                self._near.send(data)

    def unplug(self) -> None:
        self._path.unlink(missing_ok=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._hang_up()

    def plug_in(self) -> None:
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, SEQPACKET)
            self._listener.bind(str(self._path))
            self._listener.listen(4)

    def _accept(self) -> None:
        if self._listener is None or self._near is not None:
            return
        try:
            self._near = self._listener.accept()[0]
        except BlockingIOError:
            return
        self._near.setblocking(False)
        if self._connected:
            self._far = socket.socket(socket.AF_UNIX, SEQPACKET)
            try:
                self._far.connect(self._real)
            except OSError:
                self._hang_up()

    def _hang_up(self) -> None:
        for each in (self._near, self._far):
            if each is not None:
                each.close()
        self._near = self._far = None


def _received(source: socket.socket | None) -> bytes | None:
    """Return one packet, ``HUNG_UP`` at the end, None when there is nothing."""
    if source is None:
        return None
    try:
        return source.recv(PACKET)
    except BlockingIOError:
        return None
    except OSError:
        return HUNG_UP
