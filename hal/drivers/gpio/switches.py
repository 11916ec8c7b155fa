"""Switches that people, doors and falls move: emergency stop, enclosure, tilt, start/stop button."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit, seen_at
from hal.gpio.address import check_input
from hal.gpio.lines import LineEvent
from hal.options import option
from hal.values import ButtonPress, EmergencyStopReading, EnclosureReading

MAX_WAITING = 16
"""Presses kept for control until it takes them; the oldest is dropped first."""


@dataclass(frozen=True, slots=True)
class EmergencyStopOptions:
    loop: str = option(
        help="input: active while the loop of break contacts is closed; a broken wire is a pressed button",
        exclusive="GPIO line",
        check=check_input,
    )


class EmergencyStopUnit(Unit):
    """Implements EmergencyStop. A line that cannot be read counts as pressed."""

    def __init__(self, options: EmergencyStopOptions, consumer: str) -> None:
        self._loop = Pin(options.loop, output=False, consumer=consumer)
        super().__init__(self._loop)

    def emergency_stop(self) -> EmergencyStopReading | None:
        if self._loop.level is None:
            return None
        return EmergencyStopReading(self._loop.at, not (self._loop.level and self._loop.is_open))


@dataclass(frozen=True, slots=True)
class EnclosureOptions:
    cover: str = option("", help="input: active while all covers are shut", exclusive="GPIO line", check=check_input)
    upright: str = option(
        "", help="input: active while the charger stands upright", exclusive="GPIO line", check=check_input
    )

    def __post_init__(self) -> None:
        if not self.cover and not self.upright:
            raise ValueError("names no contact; give cover, upright or both")


class EnclosureUnit(Unit):
    """Implements Enclosure. A broken wire is an open cover, or a fall."""

    def __init__(self, options: EnclosureOptions, consumer: str) -> None:
        self._cover = Pin(options.cover, output=False, consumer=consumer) if options.cover else None
        self._upright = Pin(options.upright, output=False, consumer=consumer) if options.upright else None
        super().__init__(self._cover, self._upright)

    def enclosure(self) -> EnclosureReading | None:
        if any(pin.level is None for pin in self.pins):
            return None
        is_open = self._cover is not None and not self._cover.level
        tilted = self._upright is not None and not self._upright.level
        return EnclosureReading(seen_at(*self.pins), is_open, tilted)


@dataclass(frozen=True, slots=True)
class ButtonOptions:
    line: str = option(help="input: active while pressed; give it a debounce", exclusive="GPIO line", check=check_input)
    long_press_s: float = option(3.0, help="a press of this length is a long one", unit="s", ge=0.3, le=30)


class ButtonUnit(Unit):
    """Implements Button. A button that is held when the device starts counts only after it was released."""

    def __init__(self, options: ButtonOptions, consumer: str) -> None:
        self._line = Pin(options.line, output=False, consumer=consumer)
        self._long_s = options.long_press_s
        self._pressed_at: float | None = None
        self._presses: deque[ButtonPress] = deque(maxlen=MAX_WAITING)
        super().__init__(self._line)

    def take_presses(self) -> list[ButtonPress]:
        presses = list(self._presses)
        self._presses.clear()
        return presses

    def on_edges(self, pin: Pin, events: list[LineEvent], now: float) -> None:  # noqa: ARG002 (it has one)
        for event in events:
            if event.level:
                self._pressed_at = event.at
            elif self._pressed_at is not None:
                self._presses.append(ButtonPress(event.at, event.at - self._pressed_at >= self._long_s))
                self._pressed_at = None

    def on_timer(self, now: float) -> float:
        if not self._line.is_open:
            self._pressed_at = None
        if self._pressed_at is None:
            return math.inf
        if now - self._pressed_at >= self._long_s:
            self._presses.append(ButtonPress(self._pressed_at + self._long_s, long=True))
            self._pressed_at = None  # told already: the release says nothing more
            return math.inf
        return self._pressed_at + self._long_s
