"""Events to JSON and back. Decoding is strict: an unknown kind, field, word or type is an error, never a guess."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any

from agent.journal.events import (
    Event,
    Limits,
    MeterSampled,
    MeterSigned,
    SampledValue,
    SignedValue,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Unplugged,
)

KINDS: dict[str, type[Any]] = {
    "started": TransactionStarted,
    "updated": TransactionUpdated,
    "sampled": MeterSampled,
    "signed": MeterSigned,
    "ended": TransactionEnded,
    "unplugged": Unplugged,
}
_KIND_OF = {cls: kind for kind, cls in KINDS.items()}


class CodecError(ValueError):
    """A stored event cannot be read, or an event cannot be stored. The text says which field and why."""


def encode(event: Event) -> tuple[str, str]:
    """Return (kind, compact JSON body). Fields at their default are left out. Raises CodecError for NaN or infinity."""
    body = {
        name: _plain(value)
        for name, default, _ in _plan(type(event))
        if (value := getattr(event, name)) != default or default is MISSING
    }
    try:
        return _KIND_OF[type(event)], json.dumps(body, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise CodecError(f"{type(event).__name__}: {error}") from error


def decode(kind: str, body: str) -> Event:
    """Rebuild an event. Raises CodecError."""
    cls = KINDS.get(kind)
    if cls is None:
        raise CodecError(f"unknown kind {kind!r}")
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{kind}: not JSON: {error}") from error
    event: Event = _dataclass(cls, document, kind)
    return event


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, SampledValue | SignedValue | Limits):
        return {
            name: _plain(item)
            for name, default, _ in _plan(type(value))
            if (item := getattr(value, name)) != default or default is MISSING
        }
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


Reader = Callable[[Any, str], Any]
_PLANS: dict[type[Any], tuple[tuple[str, Any, Reader], ...]] = {}


def _plan(cls: type[Any]) -> tuple[tuple[str, Any, Reader], ...]:
    """(field name, default or MISSING, reader of its JSON value) for each field of an event class."""
    plan = _PLANS.get(cls)
    if plan is None:
        hints = typing.get_type_hints(cls)
        plan = tuple((field.name, field.default, _reader(hints[field.name])) for field in fields(cls))
        _PLANS[cls] = plan
    return plan


def _reader(hint: Any) -> Reader:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value, where: _member(hint, value, where)
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return lambda value, where: tuple(
            _dataclass(item, entry, f"{where}[{index}]") for index, entry in enumerate(_list(value, where))
        )
    if dataclasses.is_dataclass(hint):
        return lambda value, where: _dataclass(hint, value, where)
    if isinstance(hint, types.UnionType):
        inner = _reader(next(arg for arg in typing.get_args(hint) if arg is not type(None)))
        return lambda value, where: None if value is None else inner(value, where)
    return lambda value, where: _scalar(hint, value, where)


def _dataclass(cls: Any, document: Any, where: str) -> Any:
    if not isinstance(document, dict):
        raise CodecError(f"{where}: expected an object, got {type(document).__name__}")
    given = dict(document)
    values = {}
    for name, default, read in _plan(cls):
        if name in given:
            values[name] = read(given.pop(name), f"{where}.{name}")
        elif default is MISSING:
            raise CodecError(f"{where}.{name}: is missing")
    if given:
        raise CodecError(f"{where}: unknown field {sorted(given)[0]!r}")
    return cls(**values)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise CodecError(f"{where}: expected a list, got {type(value).__name__}")
    return value


def _member(enum: type[Enum], value: Any, where: str) -> Enum:
    try:
        return enum(value)
    except ValueError:
        raise CodecError(f"{where}: unknown word {value!r}") from None


def _scalar(wanted: type[Any], value: Any, where: str) -> Any:
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number):
            return number
    elif type(value) is wanted:
        return value
    raise CodecError(f"{where}: expected {wanted.__name__}, got {value!r}")
