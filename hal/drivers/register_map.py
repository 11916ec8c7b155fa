"""Register maps of Modbus meters: YAML data that says where a meter keeps what.

A map names its registers under ``values``; each has an address (as on the wire, from 0), a type and, where it is not
1, a scale that turns the register's unit into ours. Values per phase are lists. A list under ``power_w`` is summed.
See ``maps/sdm630.yaml`` for the form.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hal.drivers.map_reading import MapError, read_choice, read_file, read_integer, read_mapping, read_yaml
from hal.drivers.modbus_rtu import MAX_REGISTERS, READ_FUNCTIONS
from hal.drivers.signing_map import SigningMap, read_signing

FOLDER = Path(__file__).parent / "maps"

SINGLE = ("energy_import_wh", "energy_export_wh", "frequency_hz", "power_factor")
PER_PHASE = ("voltage_v", "current_a")
SUMMED = ("power_w",)
REQUIRED = "energy_import_wh"

_FORMATS = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}
_UNSIGNED = (">H", ">I", ">Q")
"""Counters of these formats roll over at their own width, unless the map says where."""
_MAP_KEYS = {"name", "also", "source", "function", "word_order", "max_registers", "max_gap", "values", "signing"}
REGISTER_KEYS = {"address", "type", "scale", "optional", "absent", "rolls_over_at"}
SMALLEST_NORMAL = {">f": 2.0**-126, ">d": 2.0**-1022}
"""Numbers below are never measured; they are what swapped words look like."""
_WORD_ORDERS = ("high_first", "low_first")


@dataclass(frozen=True, slots=True)
class Register:
    """One number in the meter, one to four registers wide."""

    address: int
    format: str
    scale: float = 1.0
    low_word_first: bool = False
    optional: bool = False
    """Where the meter has no value (not a number, or one of ``absent``), go on without it."""
    absent: tuple[int, ...] = ()
    """Raw unsigned contents by which the meter says that it has no value."""
    rolls_over_at: float = 0.0
    """Value (in our unit) at which a counter begins at 0 again; 0: not known."""

    @property
    def count(self) -> int:
        return struct.calcsize(self.format) // 2

    @property
    def end(self) -> int:
        return self.address + self.count

    @property
    def is_float(self) -> bool:
        return self.format in (">f", ">d")

    def decode(self, raw: bytes) -> float | None:
        """Return the scaled value of this register's bytes, or None for one that is absent or not a finite number."""
        if self.low_word_first:
            raw = b"".join(raw[at : at + 2] for at in range(len(raw) - 2, -1, -2))
        if int.from_bytes(raw, "big") in self.absent:
            return None
        value = float(struct.unpack(self.format, raw)[0])
        if value != 0 and abs(value) < SMALLEST_NORMAL.get(self.format, 0.0):
            return None
        # 1234 × 0.1 is 123.4 only by division; scales below 1 are reciprocals of whole numbers.
        divisor = round(1 / self.scale) if abs(self.scale) < 1 else 0
        scaled = value / divisor if divisor and math.isclose(1 / divisor, self.scale) else value * self.scale
        return scaled if math.isfinite(scaled) else None


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that are read in one request."""

    address: int
    count: int


@dataclass(frozen=True, slots=True)
class RegisterMap:
    name: str
    function: int
    max_registers: int
    max_gap: int
    values: Mapping[str, tuple[Register, ...]]
    signing: SigningMap | None = None
    """Where the meter signs, if it does."""

    def registers(self) -> Iterator[Register]:
        for registers in self.values.values():
            yield from registers

    def blocks(self, max_gap: int | None = None) -> tuple[Block, ...]:
        """Group the registers into as few requests as the map allows, in order of address.

        ``max_gap`` is how many registers that nobody asked for may lie between two that were."""
        gap = self.max_gap if max_gap is None else max_gap
        blocks: list[Block] = []
        for register in sorted(self.registers(), key=lambda register: (register.address, register.end)):
            if blocks:
                last = blocks[-1]
                end = max(register.end, last.address + last.count)
                near = register.address <= last.address + last.count + gap
                if near and end - last.address <= self.max_registers:
                    blocks[-1] = Block(last.address, end - last.address)
                    continue
            blocks.append(Block(register.address, register.count))
        return tuple(blocks)

    @property
    def energy(self) -> Register:
        return self.values[REQUIRED][0]


def path_of(name: str) -> Path:
    """A plain name is one of our maps; anything with a slash or a suffix is a file of the user's own."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name)
    own = FOLDER / f"{name}.yaml"
    return own if own.is_file() else names().get(name, own)


def names() -> dict[str, Path]:
    """Every name that a shipped map goes by, with its file: that of the file, and its ``also``."""
    found: dict[str, Path] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        found[path.stem] = path
        content = read_yaml(path.read_text(encoding="utf-8"))
        found.update(dict.fromkeys(content.get("also", ()), path))
    return found


def load(name: str) -> RegisterMap:
    """Load a map by name or path. Raises MapError."""
    path = path_of(name)

    def missing() -> str:
        return f"no register map {name!r}; there are: {', '.join(sorted(names()))}; or give the path of your own"

    return parse(read_file(path, missing), str(path))


def check(name: str) -> str:
    """For ``hal.options.option``: the broken rule, or an empty text."""
    try:
        load(name)
    except MapError as error:
        return str(error)
    return ""


def parse(content: Any, source: str) -> RegisterMap:
    """Check and build a map from loaded YAML. ``source`` is for messages. Raises MapError."""
    top = read_mapping(content, _MAP_KEYS, source)
    function = read_choice(top, "function", READ_FUNCTIONS, source, READ_FUNCTIONS[1])
    low_first = read_choice(top, "word_order", _WORD_ORDERS, source, _WORD_ORDERS[0]) == _WORD_ORDERS[1]
    max_registers = read_integer(top, "max_registers", 4, MAX_REGISTERS, source, MAX_REGISTERS)
    max_gap = read_integer(top, "max_gap", 0, MAX_REGISTERS, source, 0)
    given = read_mapping(top.get("values"), {*SINGLE, *PER_PHASE, *SUMMED}, f"{source}: values")
    if REQUIRED not in given:
        raise MapError(f"{source}: values: {REQUIRED} is missing; without it the device is no meter")
    values = {}
    for key, entry in given.items():
        where = f"{source}: values.{key}"
        entries = entry if isinstance(entry, list) else [entry]
        if not entries or len(entries) > (1 if key in SINGLE else 3):
            raise MapError(f"{where}: give {'one register' if key in SINGLE else 'one to three registers'}")
        values[key] = tuple(read_register(item, low_first, where) for item in entries)
    if values[REQUIRED][0].optional:
        raise MapError(f"{source}: values.{REQUIRED}: may not be optional; remove 'optional'")
    also = top.get("also", [])
    if not isinstance(also, list) or not all(isinstance(item, str) for item in also):
        raise MapError(f"{source}: also: give a list of names")
    signing = read_signing(top["signing"], function, f"{source}: signing") if "signing" in top else None
    return RegisterMap(str(top.get("name", source)), function, max_registers, max_gap, values, signing)


def read_register(entry: Any, low_first: bool, where: str) -> Register:
    fields = read_mapping(entry, REGISTER_KEYS, where)
    form = _FORMATS[read_choice(fields, "type", tuple(_FORMATS), where, None)]
    scale = fields.get("scale", 1)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale) or scale == 0:
        raise MapError(f"{where}: scale: {scale!r} is not a number other than 0")
    absent = fields.get("absent", [])
    if not isinstance(absent, list) or not all(isinstance(item, int) for item in absent):
        raise MapError(f"{where}: absent: give a list of raw values")
    optional = fields.get("optional", False)
    if not isinstance(optional, bool):
        raise MapError(f"{where}: optional: {optional!r} is neither true nor false")
    address = read_integer(fields, "address", 0, 0xFFFF - struct.calcsize(form) // 2 + 1, where, None)
    end = fields.get("rolls_over_at", 0)
    if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end) or end < 0:
        raise MapError(f"{where}: rolls_over_at: {end!r} is not a number from 0 up (0: not known)")
    if not end and form in _UNSIGNED:
        end = 2 ** (8 * struct.calcsize(form)) * abs(scale)
    return Register(address, form, float(scale), low_first, optional, tuple(absent), float(end))
