"""Asking for a line without waiting for it: what control's loop does, where a chip may come and go."""

from __future__ import annotations

from typing import Protocol

from hal.gpio.address import SIM, LineAddress, find
from hal.gpio.lines import Line, LineSettings
from hal.gpio.sim_chip import SimSeek


class Seek(Protocol):
    """One attempt at one line."""

    def step(self) -> Line | None:
        """Do what can be done at once. Returns the line; None while the answer is out. Raises LineError."""

    def close(self) -> None:
        """Give the attempt up, or let go of what only it needed. May be repeated."""


class KernelSeek:
    """A few ioctls. They answer at once; ``docs/hardware/gpio.md`` tells how long a chip behind a bus may take."""

    def __init__(self, address: LineAddress, settings: LineSettings, consumer: str) -> None:
        self._address = address
        self._settings = settings
        self._consumer = consumer

    def step(self) -> Line:
        chip, offset = find(self._address)
        try:
            return chip.request(offset, self._settings, self._consumer)
        finally:
            chip.close()  # the line outlives it

    def close(self) -> None:
        """Nothing is kept between calls."""


def seek(address: LineAddress, settings: LineSettings, consumer: str) -> Seek:
    """Begin. Raises LineError."""
    if address.chip.startswith(SIM):
        return SimSeek(address.chip.removeprefix(SIM), address.line, settings, consumer)
    return KernelSeek(address, settings, consumer)
