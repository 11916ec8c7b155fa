"""Converters behind SPI, and the pilot's peaks out of their samples. Pure.

A burst is one SPI message of many conversions, so the kernel keeps their distance. It is not started by the PWM: it
spans more than a whole period instead, so that both half-waves are in it wherever it begins. What belongs to which is
then known from the duty cycle alone, and edges, ringing and single wild samples fall outside the medians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

PERIOD_US = 1000.0
BITS_PER_SAMPLE = 24
MAX_SAMPLE_US = 40.0
"""Longest distance of two samples: the shortest half-wave (96 % duty) lasts 40 µs."""
KEEP = 0.5
"""Share of a half-wave's samples that is used: the outermost."""


class Converter(Enum):
    MCP3208 = "mcp3208"
    MCP3008 = "mcp3008"

    @property
    def full_scale(self) -> int:
        return 4096 if self is Converter.MCP3208 else 1024

    def question(self, channel: int) -> bytes:
        """Return the three bytes that ask for one conversion, single-ended (Microchip DS21298, DS21295)."""
        if self is Converter.MCP3208:
            return bytes((0x06 | channel >> 2, (channel & 3) << 6, 0))
        return bytes((0x01, 0x80 | channel << 4, 0))

    def answer(self, data: bytes) -> int | None:
        """Return the conversion; None where the chip's zero bit is not zero: nobody, or nonsense, on the line."""
        bits = 4 if self is Converter.MCP3208 else 2
        if len(data) != 3 or data[1] >> bits & 1:
            return None
        return (data[1] & (1 << bits) - 1) << 8 | data[2]

    def answers(self, data: bytes) -> list[int] | None:
        """Return all conversions of a burst, its answers in a row; None where one of them is none."""
        bits = 4 if self is Converter.MCP3208 else 2
        heads, zero, mask = data[1::3], 1 << bits, (1 << bits) - 1
        if len(data) % 3 or any(head & zero for head in heads):
            return None
        return [(head & mask) << 8 | tail for head, tail in zip(heads, data[2::3], strict=True)]


@dataclass(frozen=True, slots=True)
class Peaks:
    high_v: float
    low_v: float


def samples_in(burst_ms: float, speed_hz: int) -> int:
    """Return how many conversions a burst of that length takes at that clock."""
    return max(1, int(burst_ms * 1000 / sample_us(speed_hz)))


def sample_us(speed_hz: int) -> float:
    return BITS_PER_SAMPLE * 1e6 / speed_hz


def peaks_of(samples: Sequence[float], duty_pct: float, interval_us: float) -> Peaks | None:
    """Return both peaks of a pilot that runs at ``duty_pct``. Steady pilots (0, 100) have one level for both.

    None for no samples at all.
    """
    if not samples or not all(math.isfinite(sample) for sample in samples):
        return None
    if duty_pct <= 0.0 or duty_pct >= 100.0:
        level_v = median(samples)
        return Peaks(level_v, level_v)
    ordered = sorted(samples)
    # A whole period is in the burst for sure; of what is beyond it only luck decides which half-wave it shows.
    per_period = min(len(samples), int(PERIOD_US / interval_us))
    tops = max(1, int(per_period * duty_pct / 100 * KEEP))
    bottoms = max(1, int(per_period * (100 - duty_pct) / 100 * KEEP))
    return Peaks(median(ordered[-tops:]), median(ordered[:bottoms]))


class PeakFilter:
    """Several pairs of peaks make one reading: the median of the last ``size``."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pairs: list[Peaks] = []

    def clear(self) -> None:
        self._pairs.clear()

    def add(self, pair: Peaks) -> Peaks | None:
        """Return the reading; None until there are enough pairs."""
        self._pairs = [*self._pairs, pair][-self._size :]
        if len(self._pairs) < self._size:
            return None
        return Peaks(median(pair.high_v for pair in self._pairs), median(pair.low_v for pair in self._pairs))
