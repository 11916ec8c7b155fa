"""An S0 pulse meter: edges counted by the kernel's numbers, the register kept on disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from hal.drivers.gpio.counter_file import CounterFile
from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit
from hal.drivers.metering import energy_wh
from hal.gpio.address import check_input
from hal.gpio.lines import Edges, LineEvent
from hal.options import option
from hal.values import MeterReading

BUFFER = 256
POLL_SAVED_S = 0.1
IDLE_POWER_S = 300.0
"""Without a pulse for so long the power is called 0."""


@dataclass(frozen=True, slots=True)
class S0MeterOptions:
    line: str = option(
        help="input: active during a pulse; S0 pulses last 30 ms and more, so a debounce of 5ms is good",
        exclusive="GPIO line",
        check=check_input,
    )
    pulses_per_kwh: float = option(help="as printed on the meter", unit="1/kWh", ge=1, le=100_000)
    counter_file: Path = option(help="where the count is kept; its folder must be writable", exclusive="counter file")
    start_wh: float = option(0.0, help="the meter's own display when the count was 0", unit="Wh", ge=0)
    save_interval_s: float = option(
        2.0, help="the count is written at most this often; a crash loses no more than this", unit="s", ge=0.5, le=4
    )


class S0MeterUnit(Unit):
    """Implements PowerMeter. The register is what is on disk; its time is that of the line when all is written,
    else that of the last save."""

    def __init__(self, options: S0MeterOptions, consumer: str) -> None:
        self._options = options
        self._line = Pin(options.line, output=False, consumer=consumer, edges=Edges.RISING, buffer=BUFFER)
        self._file = CounterFile(options.counter_file, options.pulses_per_kwh)
        self._pulses = 0
        self._ordered = 0
        self._shown = 0
        self._shown_at: float | None = None
        self._save_at = -math.inf
        self._serial = 0
        self._pulse_at: float | None = None
        self._interval_s = math.inf
        super().__init__(self._line)

    def begin(self, now: float) -> None:
        self._file.open()
        self._pulses = self._ordered = self._shown = self._file.saved
        self._shown_at = now

    def on_edges(self, pin: Pin, events: list[LineEvent], now: float) -> None:  # noqa: ARG002 (it has one)
        for event in events:
            # Numbers that are missing were pulses too: the kernel counts what it has no room to keep.
            missed = max(0, event.serial - self._serial - 1)
            self._pulses += 1 + missed
            self._serial = event.serial
            if self._pulse_at is not None and event.at > self._pulse_at:
                self._interval_s = (event.at - self._pulse_at) / (1 + missed)
            self._pulse_at = event.at

    def on_timer(self, now: float) -> float:
        if not self._line.is_open:
            self._serial = 0
            self._pulse_at = None
        if self._file.saved != self._shown:
            self._shown, self._shown_at = self._file.saved, now
        if self._pulses != self._ordered and now >= self._save_at:
            self._save_at = now + self._options.save_interval_s
            self._ordered = self._pulses
            self._file.save(self._pulses)
        elif self._file.trouble and now >= self._save_at:
            self._save_at = now + self._options.save_interval_s
            self._file.save(self._pulses)
        return now + POLL_SAVED_S

    def meter(self) -> MeterReading | None:
        if self._shown_at is None or self._line.level is None:
            return None
        at = self._line.at
        if self._pulses != self._shown:
            at = min(at, self._shown_at)
        energy = self._options.start_wh + self._shown * 1000 / self._options.pulses_per_kwh
        return MeterReading(at, energy_wh(energy), power_w=self._power_w())

    def close(self) -> None:
        if self._pulses != self._file.saved:
            self._file.save(self._pulses)
        self._file.close()

    def trouble(self) -> str:
        return self._file.trouble

    def _power_w(self) -> float | None:
        """From the last two pulses; less, the longer the next one is not there."""
        if self._pulse_at is None:
            return None
        silent_s = self._line.at - self._pulse_at
        if silent_s >= IDLE_POWER_S:
            return 0.0
        longest_s = max(self._interval_s, silent_s)
        if not math.isfinite(longest_s):
            return None
        return round(3_600_000 / self._options.pulses_per_kwh / longest_s, 1)
