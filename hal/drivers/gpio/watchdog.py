"""A line that is toggled while the loop of control runs: the heartbeat of an external watchdog that holds the coil."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit
from hal.gpio.address import check_output
from hal.options import option


@dataclass(frozen=True, slots=True)
class WatchdogOptions:
    line: str = option(
        help="output: its edges feed the watchdog that cuts the coil's supply",
        exclusive="GPIO line",
        check=check_output,
    )
    interval_ms: float = option(200.0, help="time between two edges", unit="ms", ge=10, le=2000)


class WatchdogUnit(Unit):
    """No port: the loop feeds it by living."""

    def __init__(self, options: WatchdogOptions, consumer: str) -> None:
        self._line = Pin(options.line, output=True, consumer=consumer)
        self._interval_s = options.interval_ms / 1000
        self._next = float("-inf")
        super().__init__(self._line)

    def on_timer(self, now: float) -> float:
        if now >= self._next:
            self._next = now + self._interval_s
            self._line.set(not self._line.level)
        return self._next
