"""What each family of meters keeps in which register, word by word, as its manual says.

Written from the makers' lists without the driver's register maps, so that one checks the other. Addresses are those on
the wire.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators.meters import eastron
from simulators.meters.register import MeterCore, Sample

READ_HOLDING = 3
READ_INPUT = 4

Words = dict[int, int]
"""Address → 16-bit register."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One family. ``read(core, first, count)`` gives the registers' bytes, None for an address it has not."""

    function: int
    read: Callable[[MeterCore, int, int], bytes | None]
    energy: tuple[int, ...]
    """Addresses of the registers that are billed from."""


class _Page:
    """Writes numbers into registers. Values that ``absent`` names become what this meter says when it has none."""

    def __init__(self, core: MeterCore, *, low_first: bool = False) -> None:
        self.words: Words = {}
        self.energy_wh, self.sample = core.shown()
        self._low_first = low_first
        self._nothing, self._no_energy = core.nan, core.nan or core.energy_nan

    def float32(self, address: int, value: float, *, energy: bool = False) -> None:
        raw = struct.pack(">f", math.nan if self._lost(energy) else value)
        self._put(address, raw)

    def integer(self, address: int, value: float, size: int, *, signed: bool = True, energy: bool = False) -> None:
        """``size`` in registers; ``value`` already in the register's own unit."""
        bits = 16 * size
        number = (1 << bits - 1) - 1 if signed else (1 << bits) - 1
        if not self._lost(energy):
            number = round(value) % (1 << bits)
        self._put(address, number.to_bytes(2 * size, "big"))

    def _lost(self, energy: bool) -> bool:
        return self._no_energy if energy else self._nothing

    def _put(self, address: int, raw: bytes) -> None:
        words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
        for index, word in enumerate(reversed(words) if self._low_first else words):
            self.words[address + index] = word


def _power_factor(sample: Sample) -> float:
    return 1.0 if sample.total_power_w else 0.0


def _gavazzi_one_phase(core: MeterCore) -> Words:
    page = _Page(core, low_first=True)
    s = page.sample
    page.integer(0x00, s.voltage_v[0] * 10, 2)
    page.integer(0x02, s.current_a[0] * 1000, 2)
    page.integer(0x04, s.power_w[0] * 10, 2)
    page.integer(0x06, s.power_w[0] * 10, 2)
    page.integer(0x08, 0, 2)
    page.integer(0x0E, _power_factor(s) * 1000, 1)
    page.integer(0x0F, s.frequency_hz * 10, 1, signed=False)
    page.integer(0x10, page.energy_wh // 100, 2, energy=True)
    page.integer(0x12, 0, 2)
    page.integer(0x20, 0, 2, energy=True)
    return page.words


def _gavazzi_three_phase(factor: int, frequency: int, imported: int, exported: int) -> Callable[[MeterCore], Words]:
    """EM340 and EM24 agree but for these four places."""

    def words(core: MeterCore) -> Words:
        page = _Page(core, low_first=True)
        s = page.sample
        for phase in range(3):
            page.integer(0x00 + 2 * phase, s.voltage_v[phase] * 10, 2)
            page.integer(0x0C + 2 * phase, s.current_a[phase] * 1000, 2)
            page.integer(0x12 + 2 * phase, s.power_w[phase] * 10, 2)
            page.integer(factor - 3 + phase, _power_factor(s) * 1000, 1)
        page.integer(0x28, s.total_power_w * 10, 2)
        page.integer(factor, _power_factor(s) * 1000, 1)
        page.integer(frequency, s.frequency_hz * 10, 1)
        page.integer(imported, page.energy_wh // 100, 2, energy=True)
        page.integer(exported, 0, 2, energy=True)
        return page.words

    return words


def _abb(phases: int) -> Callable[[MeterCore], Words]:
    def words(core: MeterCore) -> Words:
        page = _Page(core)
        s = page.sample
        page.integer(0x5000, page.energy_wh // 10, 4, signed=False, energy=True)
        page.integer(0x5004, 0, 4, signed=False, energy=True)
        for phase in range(phases):
            page.integer(0x5B00 + 2 * phase, s.voltage_v[phase] * 10, 2, signed=False)
            page.integer(0x5B0C + 2 * phase, s.current_a[phase] * 100, 2, signed=False)
            page.integer(0x5B16 + 2 * phase, s.power_w[phase] * 100, 2)
        for phase in range(phases, 3):  # what it has not is all ones
            for address in (0x5B00 + 2 * phase, 0x5B0C + 2 * phase):
                page.words[address] = page.words[address + 1] = 0xFFFF
        page.integer(0x5B14, sum(s.power_w[:phases]) * 100, 2)
        page.integer(0x5B2C, s.frequency_hz * 100, 1, signed=False)
        page.integer(0x5B3A, _power_factor(s) * 1000, 1)
        return page.words

    return words


def _iem3155(core: MeterCore) -> Words:
    page = _Page(core)
    s = page.sample
    for phase in range(3):
        page.float32(0x0BB7 + 2 * phase, s.current_a[phase])
        page.float32(0x0BD3 + 2 * phase, s.voltage_v[phase])
        page.float32(0x0BED + 2 * phase, s.power_w[phase] / 1000)
    page.float32(0x0BF3, s.total_power_w / 1000)
    page.float32(0x0C25, s.frequency_hz)
    page.integer(0x0C83, page.energy_wh, 4)
    page.integer(0x0C87, 0, 4)
    if core.nan or core.energy_nan:  # this one says "no value" by the most negative number
        for address in (0x0C83, 0x0C87):
            page.words.update({address: 0x8000} | {address + n: 0 for n in (1, 2, 3)})
    return page.words


def _finder(phases: int) -> Callable[[MeterCore], Words]:
    def words(core: MeterCore) -> Words:
        page = _Page(core)
        s = page.sample
        for phase in range(phases):
            page.float32(2500 + 2 * phase, s.voltage_v[phase])
            page.float32(2516 + 2 * phase, s.current_a[phase])
            page.float32(2530 + 2 * phase, s.power_w[phase])
        page.float32(2536, sum(s.power_w[:phases]))
        page.float32(2584, s.frequency_hz)
        page.float32(2752, page.energy_wh, energy=True)
        page.float32(2756, 0.0, energy=True)
        return page.words

    return words


def _orno_three_phase(core: MeterCore) -> Words:
    page = _Page(core)
    s = page.sample
    for phase in range(3):
        page.float32(0x0E + 2 * phase, s.voltage_v[phase])
        page.float32(0x16 + 2 * phase, s.current_a[phase])
        page.float32(0x1E + 2 * phase, s.power_w[phase] / 1000)
    page.float32(0x14, s.frequency_hz)
    page.float32(0x1C, s.total_power_w / 1000)
    for address, wh in ((0x100, page.energy_wh), (0x108, page.energy_wh), (0x110, 0)):
        page.float32(address, wh / 1000, energy=True)
    return page.words


def _orno_one_phase(core: MeterCore) -> Words:
    page = _Page(core)
    s = page.sample
    page.integer(0x130, s.frequency_hz * 100, 1, signed=False)
    page.integer(0x131, s.voltage_v[0] * 100, 1, signed=False)
    page.integer(0x139, s.current_a[0] * 1000, 2, signed=False)
    page.integer(0x140, s.power_w[0], 2)
    page.integer(0x158, _power_factor(s) * 1000, 1, signed=False)
    page.integer(0xA000, page.energy_wh // 10, 2, signed=False, energy=True)
    return page.words


def _paged(
    function: int,
    words: Callable[[MeterCore], Words],
    energy: tuple[int, ...],
    most: int,
    ranges: tuple[tuple[int, int], ...],
) -> Layout:
    """A family whose meters read zero between registers of the same range and refuse what lies outside."""

    def read(core: MeterCore, first: int, count: int) -> bytes | None:
        inside = any(low <= first and first + count <= high for low, high in ranges)
        if not inside or not 0 < count <= most:
            return None
        have = words(core)
        return b"".join(have.get(address, 0).to_bytes(2, "big") for address in range(first, first + count))

    return Layout(function, read, energy)


def _eastron(name: str) -> Layout:
    return Layout(READ_INPUT, lambda core, first, count: eastron.words(core, name, first, count), (0x48, 0x156))


LAYOUTS: Mapping[str, Layout] = {
    **{name: _eastron(name) for name in eastron.MAPS},
    "em112": _paged(READ_INPUT, _gavazzi_one_phase, (0x10,), 50, ((0x00, 0x24),)),
    "em340": _paged(READ_INPUT, _gavazzi_three_phase(0x31, 0x33, 0x34, 0x4E), (0x34,), 50, ((0x00, 0x60),)),
    "em580": _paged(  # one whose signing half is not fitted shows it idle
        READ_INPUT, _gavazzi_three_phase(0x31, 0x33, 0x34, 0x4E), (0x34,), 125, ((0x00, 0x60), (0x7100, 0x7102))
    ),
    "em24": _paged(READ_INPUT, _gavazzi_three_phase(0x35, 0x37, 0x3E, 0x5C), (0x3E,), 11, ((0x00, 0x60),)),
    "abb-b21": _paged(READ_HOLDING, _abb(1), (0x5000,), 125, ((0x5000, 0x5020), (0x5B00, 0x5B40))),
    "abb-b23": _paged(READ_HOLDING, _abb(3), (0x5000,), 125, ((0x5000, 0x5020), (0x5B00, 0x5B40))),
    "iem3155": _paged(READ_HOLDING, _iem3155, (0x0C83,), 125, ((0x0BB7, 0x0C27), (0x0C83, 0x0C8B))),
    "finder-7m24": _paged(READ_INPUT, _finder(1), (2752,), 125, ((2500, 2600), (2750, 2760))),
    "finder-7m38": _paged(READ_INPUT, _finder(3), (2752,), 125, ((2500, 2600), (2750, 2760))),
    "orno-we516": _paged(READ_HOLDING, _orno_three_phase, (0x100, 0x108), 60, ((0x00, 0x3C), (0x100, 0x130))),
    "orno-we514": _paged(READ_HOLDING, _orno_one_phase, (0xA000,), 60, ((0x130, 0x160), (0xA000, 0xA026))),
}
"""By the name of the family's register map."""
