"""The ``signing`` section of a meter's register map: where it takes a session, signs, and shows what it signed.

The words that a session needs (who charges, where) are written into ``fields``; ``command`` begins and ends it; when
``state`` shows ``ready``, the signed set lies in ``file`` until ``state`` is written back to ``idle``. Numbers for
OCMF's words are those of the Carlo Gavazzi EM580. See ``maps/em580.yaml`` for the form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hal.drivers.map_reading import MapError, read_choice, read_integer, read_mapping
from hal.drivers.modbus_rtu import MAX_REGISTERS, READ_FUNCTIONS

LAST = 0xFFFF
LONGEST_FILE = 4096
NUMBERS = ("identified", "level", "flags", "id_type")
TEXTS = ("id_data", "point", "text")
_KEYS = {
    "source",
    "sets",
    "function",
    "max_registers",
    "state",
    "command",
    "file",
    "public_key",
    "clock",
    "fields",
    "zeros",
}


@dataclass(frozen=True, slots=True)
class States:
    address: int
    idle: int
    running: int
    ready: int
    corrupted: int


@dataclass(frozen=True, slots=True)
class Commands:
    address: int
    begin: int
    end: int
    read: int | None
    """Signs the reading of now; only where each reading is signed by itself."""


@dataclass(frozen=True, slots=True)
class File:
    """``size`` is the register that holds the set's length in registers."""

    address: int
    words: int
    size: int


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """``words`` by what the register ``kind`` shows; without that register the first."""

    address: int
    words: tuple[int, ...]
    kind: int | None


@dataclass(frozen=True, slots=True)
class ClockPlace:
    """Seconds since 1970 in four registers, low word first; local time's distance in minutes."""

    utc: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class TextPlace:
    """Characters, two to a register, ended by a zero byte."""

    address: int
    words: int


@dataclass(frozen=True, slots=True)
class SigningMap:
    separate: bool
    function: int
    max_registers: int
    state: States
    command: Commands
    file: File
    public_key: KeyPlace
    clock: ClockPlace | None
    numbers: dict[str, int]
    texts: dict[str, TextPlace]
    zeros: tuple[int, ...]
    """Registers that are 0 for an ordinary charge."""


def read_signing(content: Any, function: int, where: str) -> SigningMap:
    """Check and build. ``function``: the one that reads the map's other registers. Raises MapError."""
    top = read_mapping(content, _KEYS, where)
    separate = read_choice(top, "sets", ("session", "reading"), where, "session") == "reading"
    fields = read_mapping(top.get("fields"), {*NUMBERS, *TEXTS}, f"{where}: fields")
    texts = {key: _text(fields[key], f"{where}: fields.{key}") for key in TEXTS if key in fields}
    if "text" not in texts:
        raise MapError(f"{where}: fields.text is missing; without it a set cannot be told to its transaction")
    command = _command(top.get("command"), f"{where}: command")
    if separate and command.read is None:
        raise MapError(f"{where}: command.read is missing; 'sets: reading' needs it")
    zeros = top.get("zeros", [])
    if not isinstance(zeros, list) or not all(type(each) is int and 0 <= each <= LAST for each in zeros):
        raise MapError(f"{where}: zeros: give a list of register addresses")
    return SigningMap(
        separate,
        read_choice(top, "function", READ_FUNCTIONS, where, function),
        read_integer(top, "max_registers", 4, MAX_REGISTERS, where, MAX_REGISTERS),
        _states(top.get("state"), f"{where}: state"),
        command,
        _file(top.get("file"), f"{where}: file"),
        _key(top.get("public_key"), f"{where}: public_key"),
        _clock(top["clock"], f"{where}: clock") if "clock" in top else None,
        {key: read_integer(fields, key, 0, LAST, f"{where}: fields", None) for key in NUMBERS if key in fields},
        texts,
        tuple(zeros),
    )


def _states(content: Any, where: str) -> States:
    fields = read_mapping(content, {"address", "idle", "running", "ready", "corrupted"}, where)
    names = ("address", "idle", "running", "ready", "corrupted")
    states = States(*(read_integer(fields, name, 0, LAST, where, None) for name in names))
    if len({states.idle, states.running, states.ready, states.corrupted}) != len(names) - 1:
        raise MapError(f"{where}: two states have one number; give each its own")
    return states


def _command(content: Any, where: str) -> Commands:
    fields = read_mapping(content, {"address", "begin", "end", "read"}, where)
    address, begin, end = (read_integer(fields, name, 0, LAST, where, None) for name in ("address", "begin", "end"))
    read = read_integer(fields, "read", 0, LAST, where, None) if "read" in fields else None
    return Commands(address, begin, end, read)


def _file(content: Any, where: str) -> File:
    fields = read_mapping(content, {"address", "words", "size"}, where)
    address, size = (read_integer(fields, name, 0, LAST, where, None) for name in ("address", "size"))
    return File(address, read_integer(fields, "words", 1, LONGEST_FILE, where, None), size)


def _key(content: Any, where: str) -> KeyPlace:
    fields = read_mapping(content, {"address", "words", "kind"}, where)
    words = fields.get("words")
    if not isinstance(words, list) or not words or not all(type(n) is int and 1 <= n <= MAX_REGISTERS for n in words):
        raise MapError(f"{where}: words: give a list of lengths in registers, one for each kind of key")
    kind = read_integer(fields, "kind", 0, LAST, where, None) if "kind" in fields else None
    return KeyPlace(read_integer(fields, "address", 0, LAST, where, None), tuple(words), kind)


def _clock(content: Any, where: str) -> ClockPlace:
    fields = read_mapping(content, {"utc", "offset"}, where)
    offset = read_integer(fields, "offset", 0, LAST, where, None) if "offset" in fields else None
    return ClockPlace(read_integer(fields, "utc", 0, LAST - 3, where, None), offset)


def _text(content: Any, where: str) -> TextPlace:
    fields = read_mapping(content, {"address", "words"}, where)
    return TextPlace(
        read_integer(fields, "address", 0, LAST, where, None), read_integer(fields, "words", 1, 256, where, None)
    )
