"""Messages to bytes and back: one JSON object per packet, ``{"type": name, field: value, …}``.

Decoding checks every field's type and refuses what it does not know, so that neither process can be confused by
the other, whatever state the other is in.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from agent.link import messages
from agent.link.messages import MAX_MESSAGE_BYTES, Message, ToAgent, ToControl


class LinkError(ValueError):
    """A packet that is not a message of this vocabulary."""


def encode(message: Message) -> bytes:
    """Return the packet of one message. Raises LinkError when it would be too long."""
    body = {"type": type(message).__name__}
    for field in dataclasses.fields(message):
        body[field.name] = getattr(message, field.name)
    data = json.dumps(body, separators=(",", ":"), default=_plain, allow_nan=False).encode()
    if len(data) > MAX_MESSAGE_BYTES:
        raise LinkError(f"{type(message).__name__} of {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    return data


def decode_to_control(data: bytes) -> ToControl:
    """Return the message that the agent sent. Raises LinkError."""
    return cast(ToControl, _decode(data, _TO_CONTROL))


def decode_to_agent(data: bytes) -> ToAgent:
    """Return the message that control sent. Raises LinkError."""
    return cast(ToAgent, _decode(data, _TO_AGENT))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise LinkError(f"a {type(value).__name__} cannot travel on the link")


def _decode(data: bytes, known: dict[str, type]) -> object:
    if len(data) > MAX_MESSAGE_BYTES:
        raise LinkError(f"packet of {len(data)} bytes is over {MAX_MESSAGE_BYTES}")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LinkError(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise LinkError("not a JSON object")
    name = body.pop("type", None)
    cls = known.get(name) if isinstance(name, str) else None
    if cls is None:
        raise LinkError(f"unknown message type {name!r}")
    return _build(cls, body)


def _build(cls: type, body: Any) -> object:
    if not isinstance(body, dict):
        raise LinkError(f"{cls.__name__}: not an object")
    values: dict[str, object] = {}
    for field_name, (read, required) in _READERS[cls].items():
        if field_name in body:
            try:
                values[field_name] = read(body.pop(field_name))
            except (ValueError, TypeError) as error:
                raise LinkError(f"{cls.__name__}.{field_name}: {error}") from None
        elif required:
            raise LinkError(f"{cls.__name__}.{field_name} is missing")
    if body:
        raise LinkError(f"{cls.__name__}: unknown field {next(iter(body))!r}")
    return cls(**values)


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _read_exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{value!r} is not of type {kind.__name__}")
        return value

    return read


def _reader(annotation: Any) -> Callable[[Any], Any]:
    """Return a function that checks and converts one JSON value to the annotated type."""
    if annotation is float:
        return _read_float
    if annotation in (int, str, bool):
        return _read_exactly(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if dataclasses.is_dataclass(annotation):
        nested = cast(type, annotation)
        _READERS.setdefault(nested, _field_readers(nested))
        return lambda value: _build(nested, value)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        item = _reader(arguments[0])

        def read_tuple(value: Any) -> tuple[Any, ...]:
            if not isinstance(value, list):
                raise ValueError(f"{value!r} is not a list")
            return tuple(item(each) for each in value)

        return read_tuple
    if origin is types.UnionType and type(None) in arguments:
        (other,) = (argument for argument in arguments if argument is not type(None))
        read_other = _reader(other)
        return lambda value: None if value is None else read_other(value)
    raise TypeError(f"the link has no codec for {annotation!r}")


def _field_readers(cls: type) -> dict[str, tuple[Callable[[Any], Any], bool]]:
    hints = typing.get_type_hints(cls, vars(messages))
    return {
        field.name: (_reader(hints[field.name]), field.default is dataclasses.MISSING)
        for field in dataclasses.fields(cls)
    }


_READERS: dict[type, dict[str, tuple[Callable[[Any], Any], bool]]] = {}
_TO_CONTROL: dict[str, type] = {cls.__name__: cls for cls in typing.get_args(ToControl)}
_TO_AGENT: dict[str, type] = {cls.__name__: cls for cls in typing.get_args(ToAgent)}
for _cls in (*_TO_CONTROL.values(), *_TO_AGENT.values()):
    _READERS[_cls] = _field_readers(_cls)
