"""Maps of residual-current monitors on Modbus: YAML data that says where one keeps its current, its trip and its test.

The form is that of the meters' maps (``register_map``) with other keys; see ``maps/rcm/rcmb300.yaml`` for one that was
made from a manual and ``docs/hardware/modbus-rcm.md`` for all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hal.drivers.map_reading import MapError, read_choice, read_file, read_integer, read_mapping
from hal.drivers.modbus_rtu import MAX_REGISTERS, READ_FUNCTIONS
from hal.drivers.register_map import REGISTER_KEYS, Block, Register, RegisterMap, read_register

FOLDER = Path(__file__).parent / "maps" / "rcm"
VALUES = ("dc_ma", "ac_ma", "rms_ma")
_MAP_KEYS = {
    *("name", "source", "function", "word_order", "max_registers", "max_gap"),
    *("identity", "values", "trips", "errors", "self_test", "reset"),
}
_CONDITION_KEYS = {"equals", "any_bits"}
_TEST_KEYS = {"start", "result", "running", "passed", "failed", "trips_within_s", "clears_within_s"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A register that says something when it holds one of ``equals``, or any of ``any_bits``."""

    register: Register
    equals: tuple[float, ...] = ()
    any_bits: int = 0

    def holds(self, value: float | None) -> bool:
        """``value`` as the register decodes; None (no number) never holds."""
        if value is None:
            return False
        return value in self.equals or (self.any_bits != 0 and bool(int(value) & self.any_bits))


@dataclass(frozen=True, slots=True)
class Write:
    """Registers written in one request (function 16)."""

    address: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SelfTestMap:
    """How the self-test is started, and how its end is seen: by a result register, or by the trip it must cause."""

    start: tuple[Write, ...]
    result: Register | None = None
    running: tuple[float, ...] = ()
    passed: tuple[float, ...] = ()
    failed: tuple[float, ...] = ()
    trips_within_s: float = 0.0
    clears_within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RcmMap:
    name: str
    function: int
    values: Mapping[str, Register]
    trips: tuple[Condition, ...]
    errors: tuple[Condition, ...]
    identity: Condition | None
    self_test: SelfTestMap | None
    reset: tuple[Write, ...]
    blocks: tuple[Block, ...]
    """What is read in every cycle."""


def path_of(name: str) -> Path:
    """A plain name is one of ours; anything with a slash or a suffix is a file of the user's own."""
    return Path(name) if "/" in name or name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"


def load(name: str) -> RcmMap:
    """Load a map by name or path. Raises MapError."""
    path = path_of(name)

    def missing() -> str:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        return f"no monitor map {name!r}; there are: {known}; or give the path of your own"

    return parse(read_file(path, missing), str(path))


def check(name: str) -> str:
    """For ``hal.options.option``: the broken rule, or an empty text."""
    try:
        load(name)
    except MapError as error:
        return str(error)
    return ""


def parse(content: Any, source: str) -> RcmMap:
    """Check and build a map from loaded YAML. ``source`` is for messages. Raises MapError."""
    top = read_mapping(content, _MAP_KEYS, source)
    function = read_choice(top, "function", READ_FUNCTIONS, source, READ_FUNCTIONS[0])
    low_first = read_choice(top, "word_order", ("high_first", "low_first"), source, "high_first") == "low_first"
    limit = read_integer(top, "max_registers", 4, MAX_REGISTERS, source, MAX_REGISTERS)
    gap = read_integer(top, "max_gap", 0, MAX_REGISTERS, source, 16)
    values = {
        key: read_register(entry, low_first, f"{source}: values.{key}")
        for key, entry in read_mapping(top.get("values", {}), set(VALUES), f"{source}: values").items()
    }
    trips = _conditions(top.get("trips", []), low_first, f"{source}: trips")
    errors = _conditions(top.get("errors", []), low_first, f"{source}: errors")
    if not trips and not values:
        raise MapError(f"{source}: give 'trips', or 'values' that 'trip_dc_ma' and 'trip_rms_ma' can judge")
    identity = _condition(top["identity"], low_first, f"{source}: identity") if "identity" in top else None
    test = _self_test(top["self_test"], low_first, f"{source}: self_test") if "self_test" in top else None
    reset = _writes(top.get("reset", []), f"{source}: reset")
    registers = [*values.values(), *(each.register for each in (*trips, *errors))]
    if test is not None and test.result is not None:
        registers.append(test.result)
    blocks = RegisterMap("", function, limit, gap, {"all": tuple(registers)}).blocks()
    return RcmMap(str(top.get("name", source)), function, values, trips, errors, identity, test, reset, blocks)


def _conditions(content: Any, low_first: bool, where: str) -> tuple[Condition, ...]:
    if not isinstance(content, list):
        raise MapError(f"{where}: give a list of registers")
    return tuple(_condition(entry, low_first, where) for entry in content)


def _condition(content: Any, low_first: bool, where: str) -> Condition:
    fields = read_mapping(content, {*REGISTER_KEYS, *_CONDITION_KEYS}, where)
    plain = {key: value for key, value in fields.items() if key not in _CONDITION_KEYS}
    register = read_register(plain, low_first, where)
    equals = _numbers(fields.get("equals", []), f"{where}: equals")
    bits = read_integer(fields, "any_bits", 0, 2**32 - 1, where, 0)
    if not equals and not bits:
        raise MapError(f"{where}: give 'equals' or 'any_bits'")
    return Condition(register, equals, bits)


def _self_test(content: Any, low_first: bool, where: str) -> SelfTestMap:
    fields = read_mapping(content, _TEST_KEYS, where)
    start = _writes(fields.get("start"), f"{where}: start")
    result = read_register(fields["result"], low_first, f"{where}: result") if "result" in fields else None
    running, passed, failed = (
        _numbers(fields.get(key, []), f"{where}: {key}") for key in ("running", "passed", "failed")
    )
    within_s, clears_s = (_seconds(fields, key, where) for key in ("trips_within_s", "clears_within_s"))
    if not start:
        raise MapError(f"{where}: start: give what is to be written")
    if (result is None) == (within_s == 0):
        raise MapError(f"{where}: give either 'result' or 'trips_within_s'")
    if result is not None and not passed:
        raise MapError(f"{where}: passed: give the values of 'result' that mean it")
    return SelfTestMap(start, result, running, passed, failed, within_s, clears_s)


def _seconds(fields: dict[str, Any], key: str, where: str) -> float:
    value = fields.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 60:
        raise MapError(f"{where}: {key}: {value!r} is not a number of seconds from 0 to 60")
    return float(value)


def _numbers(content: Any, where: str) -> tuple[float, ...]:
    if not isinstance(content, list) or not all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in content
    ):
        raise MapError(f"{where}: give a list of numbers")
    return tuple(content)


def _writes(content: Any, where: str) -> tuple[Write, ...]:
    if not isinstance(content, list):
        raise MapError(f"{where}: give a list of {{address, values}}")
    writes = []
    for entry in content:
        fields = read_mapping(entry, {"address", "values"}, where)
        address = read_integer(fields, "address", 0, 0xFFFF, where, None)
        values = fields.get("values")
        if not isinstance(values, list) or not 1 <= len(values) <= 32:
            raise MapError(f"{where}: values: give one to 32 registers")
        if not all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 0xFFFF for v in values):
            raise MapError(f"{where}: values: each is a whole number from 0 to 65535")
        writes.append(Write(address, tuple(values)))
    return tuple(writes)
