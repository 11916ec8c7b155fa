"""What the units of a pin device have in common."""

from __future__ import annotations

import math

from hal.drivers.gpio.pins import Pin
from hal.gpio.lines import LineEvent


class Unit:
    """Owns pins. The device opens and reads them; the unit is told of their edges and of time."""

    def __init__(self, *pins: Pin | None) -> None:
        self.pins = tuple(pin for pin in pins if pin is not None)

    def on_edges(self, pin: Pin, events: list[LineEvent], now: float) -> None:
        """Edges of one of its inputs have come."""

    def on_timer(self, now: float) -> float:  # noqa: ARG002 (for those that need it)
        """Do what is due; return when to come again."""
        return math.inf

    def begin(self, now: float) -> None:
        """The device starts: open what is no pin."""

    def make_safe(self, now: float) -> None:
        """Bring every output to rest."""

    def close(self) -> None:
        """Give away what is no pin."""

    def trouble(self) -> str:
        """What is wrong beside the pins; empty when all is well."""
        return ""


def seen_at(*pins: Pin) -> float:
    """Return when the pin that was seen longest ago was seen."""
    return min(pin.at for pin in pins)
