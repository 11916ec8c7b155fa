"""Input registers of Eastron meters: address → float32, high word first (volkszaehler/mbmd, meters/rs485)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping

from simulators.meters.register import MeterCore, shown_kwh

Registers = dict[int, float]
LAST_REGISTER = 0x0200
MAX_COUNT = 80
"""Most registers in one request, by the makers' manuals."""


def _single_phase(core: MeterCore) -> Registers:
    wh, sample = core.shown()
    kwh = shown_kwh(wh)
    power_w = sample.power_w[0]
    return {
        0x00: sample.voltage_v[0],
        0x06: sample.current_a[0],
        0x0C: power_w,
        0x12: power_w,
        0x18: 0.0,
        0x1E: 1.0,
        0x46: sample.frequency_hz,
        0x48: kwh,
        0x4A: 0.0,
        0x156: kwh,
    }


def _three_phase(core: MeterCore) -> Registers:
    wh, sample = core.shown()
    kwh = shown_kwh(wh)
    registers: Registers = {
        0x34: sample.total_power_w,
        0x38: sample.total_power_w,
        0x3C: 0.0,
        0x3E: 1.0,
        0x46: sample.frequency_hz,
        0x48: kwh,
        0x4A: 0.0,
        0x156: kwh,
    }
    for phase in range(3):
        registers[0x00 + 2 * phase] = sample.voltage_v[phase]
        registers[0x06 + 2 * phase] = sample.current_a[phase]
        registers[0x0C + 2 * phase] = sample.power_w[phase]
        registers[0x1E + 2 * phase] = 1.0
    return registers


def _sdm72_v1(core: MeterCore) -> Registers:
    wh, sample = core.shown()
    kwh = shown_kwh(wh)
    return {0x34: sample.total_power_w, 0x48: kwh, 0x4A: 0.0, 0x156: kwh}


MAPS: Mapping[str, Callable[[MeterCore], Registers]] = {
    "sdm120": _single_phase,
    "sdm230": _single_phase,
    "sdm630": _three_phase,
    "sdm72d-m-v2": _three_phase,
    "sdm72d-m-v1": _sdm72_v1,
}
ENERGY_REGISTERS = frozenset({0x48, 0x4A, 0x156})


def words(core: MeterCore, map_name: str, first: int, count: int) -> bytes | None:
    """Return ``count`` registers from ``first`` on as they go on the wire; None where the meter has none."""
    if first % 2 or count % 2 or not 0 < count <= MAX_COUNT or first + count > LAST_REGISTER:
        return None
    registers = MAPS[map_name](core)
    out = bytearray()
    for address in range(first, first + count, 2):
        value = registers.get(address, 0.0)
        if core.nan or (core.energy_nan and address in ENERGY_REGISTERS):
            value = math.nan
        out += struct.pack(">f", value)
    return bytes(out)
