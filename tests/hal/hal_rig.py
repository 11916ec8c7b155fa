"""A pty with a plug that can be pulled, and the turning of a device's callbacks in virtual time."""

from __future__ import annotations

import contextlib
import os
import select
import time
import tty
from collections.abc import Callable
from pathlib import Path

from hal.drivers.gpio.driver import GpioDevice
from hal.ports import Device

PATIENCE_S = 5.0
"""Longest real wait for bytes that must come; only a failing test waits that long."""


class Plug:
    """The far end of a device's serial line, under a path that stays while the pty behind it comes and goes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tty"
        self._fds: list[int] = []
        self.plug_in()

    def plug_in(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self._fds = [self._master, slave]
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))

    def pull(self) -> None:
        """Unplug: whoever has the line open gets an error, and the node is gone."""
        self.path.unlink(missing_ok=True)
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    @property
    def is_in(self) -> bool:
        return bool(self._fds)

    def close(self) -> None:
        if self.is_in:
            self.pull()

    def send(self, data: bytes) -> None:
        while data:
            written = os.write(self._master, data)
            data = data[written:]

    def receive(self, *, wait: bool = False) -> bytes:
        """Return what the device has written; with ``wait``, wait until there is something."""
        if not select.select([self._master], [], [], PATIENCE_S if wait else 0)[0]:
            return b""
        with contextlib.suppress(OSError):
            return os.read(self._master, 65536)
        return b""


def turn_until(device: Device, condition: Callable[[], bool], now: float) -> None:
    """Let the device read at the virtual time ``now`` until ``condition`` holds. Fails after real patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        fd = device.fileno()
        if fd is None:
            assert condition(), "the device has closed its line"
            return
        if select.select([fd], [], [], 0.05)[0]:
            device.on_readable(now)


def drain(device: Device, now: float) -> None:
    """Let the device read all that has arrived."""
    while (fd := device.fileno()) is not None and select.select([fd], [], [], 0)[0]:
        device.on_readable(now)


def settle_lines(device: GpioDevice, now: float) -> None:
    """Wait, in real time, until the simulated chips have answered what the pin device asks of them."""
    end = time.monotonic() + PATIENCE_S
    pins = [pin for _, pin in device._pins()]
    while any(pin.seeking for pin in pins):
        assert time.monotonic() < end, "the chip never answered"
        for pin in pins:
            if pin.seeking:
                pin._next_open_at = now
        device.on_timer(now)
