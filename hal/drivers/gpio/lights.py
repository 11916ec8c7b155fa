"""Indicators: LEDs on lines, and a ring of WS2812 LEDs behind SPI."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from hal.drivers.gpio.patterns import PATTERNS, Colour, Pattern
from hal.drivers.gpio.pins import REOPEN_S, Pin
from hal.drivers.gpio.unit import Unit
from hal.gpio.address import check_output
from hal.gpio.spi import Spi, SpiError, open_spi
from hal.options import option
from hal.values import Indication

RING_HZ = 2_400_000
"""Three SPI bits make one of the LED's: 100 is 0 (0.42 µs high), 110 is 1 (0.83 µs high). hardware.md §H."""
MAX_LEDS = 32
"""A frame of so many takes 1 ms on the wire, and the call as long: the loop's budget."""


@dataclass(frozen=True, slots=True)
class LedOptions:
    red: str = option("", help="output: red LED", exclusive="GPIO line", check=check_output)
    green: str = option("", help="output: green LED", exclusive="GPIO line", check=check_output)
    blue: str = option("", help="output: blue LED", exclusive="GPIO line", check=check_output)
    single: str = option(
        "", help="output: one lamp of any colour, instead of the three", exclusive="GPIO line", check=check_output
    )

    def __post_init__(self) -> None:
        colours = bool(self.red or self.green or self.blue)
        if colours == bool(self.single):
            raise ValueError("give single, or any of red, green and blue")


class Light(Unit, ABC):
    """Keeps the rhythm of an indication; ``_show`` is told the colour, None for dark."""

    def __init__(self, *pins: Pin | None) -> None:
        super().__init__(*pins)
        self._pattern: Pattern | None = None
        self._since = 0.0

    def set_indication(self, indication: Indication, now: float) -> None:
        pattern = PATTERNS[indication]
        if pattern != self._pattern:
            self._pattern, self._since = pattern, now
            self._show(pattern.colour)

    def on_timer(self, now: float) -> float:
        if self._pattern is None:
            return math.inf
        since_s = now - self._since
        self._show(self._pattern.colour if self._pattern.lit(since_s) else None)
        return now + self._pattern.next_change_s(since_s) + 1e-4  # a hair later, so that the edge has passed

    def make_safe(self, now: float) -> None:  # noqa: ARG002 (part of the unit)
        self._pattern = None
        self._show(None)

    @abstractmethod
    def _show(self, colour: Colour | None) -> None: ...


class LedUnit(Light):
    """Implements Indicator. A colour whose LEDs are not there lights those that are."""

    def __init__(self, options: LedOptions, consumer: str) -> None:
        def pin(text: str) -> Pin | None:
            return Pin(text, output=True, consumer=consumer) if text else None

        self._channels = (pin(options.red), pin(options.green), pin(options.blue))
        self._single = pin(options.single)
        super().__init__(*self._channels, self._single)

    def _show(self, colour: Colour | None) -> None:
        if self._single is not None:
            self._single.set(colour is not None)
            return
        shares = (0, 0, 0) if colour is None else colour.value
        wanted = [(pin, bool(share)) for pin, share in zip(self._channels, shares, strict=True) if pin is not None]
        none_fits = colour is not None and not any(lit for _, lit in wanted)
        for pin, lit in wanted:
            pin.set(lit or none_fits)


@dataclass(frozen=True, slots=True)
class RingOptions:
    device: str = option(help="SPI node whose data output drives the ring", exclusive="SPI device")
    leds: int = option(help="how many LEDs the ring has", ge=1, le=MAX_LEDS)
    brightness: int = option(64, help="of 255, per colour; the supply must carry 20 mA × LEDs × share", ge=1, le=255)


class RingUnit(Light):
    """Implements Indicator. A frame leaves only when the picture changes."""

    def __init__(self, options: RingOptions) -> None:
        super().__init__()
        self._options = options
        self._spi: Spi | None = None
        self._shown: bytes | None = None
        self._trouble = f"{options.device}: not opened yet"
        self._next_open_at = -math.inf

    def begin(self, now: float) -> None:
        self._open(now)

    def on_timer(self, now: float) -> float:
        if self._spi is None and now >= self._next_open_at:
            self._open(now)
        due = super().on_timer(now)
        return due if self._spi is not None else min(due, self._next_open_at)

    def close(self) -> None:
        self._lose(f"{self._options.device}: closed")
        self._next_open_at = math.inf

    def trouble(self) -> str:
        return self._trouble

    def _open(self, now: float) -> None:
        self._next_open_at = now + REOPEN_S
        try:
            self._spi = open_spi(self._options.device, RING_HZ)
        except SpiError as error:
            self._trouble = str(error)
            return
        self._trouble = ""
        self._show(None)

    def _lose(self, reason: str) -> None:
        spi, self._spi = self._spi, None
        self._shown = None
        self._trouble = reason
        if spi is not None:
            spi.close()

    def _show(self, colour: Colour | None) -> None:
        share = self._options.brightness
        red, green, blue = (0, 0, 0) if colour is None else (part * share for part in colour.value)
        frame = encode_ring([(red, green, blue)] * self._options.leds)
        if self._spi is None or frame == self._shown:
            return
        try:
            self._spi.exchange([frame])
            self._spi.receive()  # a simulated bus answers; nobody listens to a ring
        except SpiError as error:
            self._lose(str(error))
            return
        self._shown = frame


_THREE_BITS = tuple(
    sum((0b110 if value >> bit & 1 else 0b100) << 3 * bit for bit in range(8)).to_bytes(3, "big")
    for value in range(256)
)


def encode_ring(colours: list[tuple[int, int, int]]) -> bytes:
    """Return the SPI bytes for LEDs in (red, green, blue) of 0 … 255: 9 bytes per LED, green first, high bit first.

    A zero byte stands before and behind, so that the line is low when it rests; the pause between two frames is longer
    than the 300 µs that latch them.
    """
    body = b"".join(_THREE_BITS[green] + _THREE_BITS[red] + _THREE_BITS[blue] for red, green, blue in colours)
    return b"\0" + body + b"\0"
