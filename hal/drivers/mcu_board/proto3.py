"""The part of the proto3 wire format that a small board speaks: varints, 32-bit floats, strings and sub-messages.

Messages are described by tables of ``Field`` over frozen dataclasses, so that control needs no protobuf runtime.
Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

VARINT = 0
I64 = 1
LEN = 2
I32 = 5

MAX_VARINT_BYTES = 10
MAX_FIELD_NUMBER = (1 << 29) - 1


class Proto3Error(ValueError):
    """The bytes are not a proto3 message, or a known field has the wrong wire type."""


class Kind(Enum):
    """Scalar types, by their proto3 names."""

    UINT32 = "uint32"
    BOOL = "bool"
    FLOAT = "float"
    STRING = "string"


_WIRE_TYPES = {Kind.UINT32: VARINT, Kind.BOOL: VARINT, Kind.FLOAT: I32, Kind.STRING: LEN}
_DEFAULTS: dict[Kind, Any] = {Kind.UINT32: 0, Kind.BOOL: False, Kind.FLOAT: 0.0, Kind.STRING: ""}


@dataclass(frozen=True, slots=True)
class Field:
    """One scalar field of a message: its number on the wire and the dataclass attribute that holds it."""

    number: int
    kind: Kind
    attribute: str


def wire_type_of(kind: Kind) -> int:
    return _WIRE_TYPES[kind]


def encode_varint(value: int) -> bytes:
    """Encode 0 … 2⁶⁴−1. Raises Proto3Error outside."""
    if not 0 <= value < 1 << 64:
        raise Proto3Error(f"{value} does not fit a varint of 64 bits")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at ``at`` and the index behind it. Raises Proto3Error."""
    value = 0
    for shift in range(MAX_VARINT_BYTES):
        if at >= len(data):
            raise Proto3Error("a varint is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            if value >= 1 << 64:
                raise Proto3Error("a varint is longer than 64 bits")
            return value, at
    raise Proto3Error("a varint is longer than 64 bits")


def encode_tag(number: int, wire_type: int) -> bytes:
    return encode_varint(number << 3 | wire_type)


def encode_scalar(kind: Kind, value: Any) -> bytes:
    """Encode a value without its tag. Raises Proto3Error when it does not fit the kind."""
    if kind is Kind.UINT32:
        if not 0 <= value < 1 << 32:
            raise Proto3Error(f"{value} does not fit uint32")
        return encode_varint(int(value))
    if kind is Kind.BOOL:
        return b"\x01" if value else b"\x00"
    if kind is Kind.FLOAT:
        try:
            return struct.pack("<f", value)
        except OverflowError:
            raise Proto3Error(f"{value} does not fit float") from None
    raw = str(value).encode()
    return encode_varint(len(raw)) + raw


def decode_scalar(kind: Kind, wire_type: int, raw: int | bytes) -> Any:
    """Turn what ``iterate`` gave into a value. Raises Proto3Error on a wrong wire type or bad UTF-8."""
    if wire_type != _WIRE_TYPES[kind]:
        raise Proto3Error(f"wire type {wire_type} where {kind.value} has {_WIRE_TYPES[kind]}")
    if isinstance(raw, int):
        return bool(raw) if kind is Kind.BOOL else raw & 0xFFFFFFFF
    if kind is Kind.FLOAT:
        return struct.unpack("<f", raw)[0]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Proto3Error("a string is not UTF-8") from None


def iterate(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (field number, wire type, value) of every field; the value is an int for varints, else the raw bytes.

    Raises Proto3Error where the bytes stop making sense."""
    at = 0
    while at < len(data):
        tag, at = decode_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= MAX_FIELD_NUMBER:
            raise Proto3Error(f"field number {number}")
        if wire_type == VARINT:
            value, at = decode_varint(data, at)
            yield number, wire_type, value
            continue
        if wire_type == LEN:
            size, at = decode_varint(data, at)
        elif wire_type in (I32, I64):
            size = 4 if wire_type == I32 else 8
        else:
            raise Proto3Error(f"wire type {wire_type} is not used in proto3")
        if size > len(data) - at:
            raise Proto3Error(f"field {number} is cut off")
        yield number, wire_type, data[at : at + size]
        at += size


def encode_message(message: object, fields: tuple[Field, ...]) -> bytes:
    """Encode a dataclass by its table; defaults are left out, as proto3 asks. Raises Proto3Error."""
    out = bytearray()
    for field in fields:
        value = getattr(message, field.attribute)
        raw = encode_scalar(field.kind, value)
        # The sign of -0.0 makes it another value than the default.
        if value == _DEFAULTS[field.kind] and (field.kind is not Kind.FLOAT or raw == b"\x00\x00\x00\x00"):
            continue
        out += encode_tag(field.number, wire_type_of(field.kind)) + raw
    return bytes(out)


def decode_message(data: bytes, fields: tuple[Field, ...]) -> Mapping[str, Any]:
    """Return attribute → value for the fields present; unknown fields are skipped, the last of a repeat wins.

    Raises Proto3Error."""
    known = {field.number: field for field in fields}
    found: dict[str, Any] = {}
    for number, wire_type, raw in iterate(data):
        field = known.get(number)
        if field is not None:
            found[field.attribute] = decode_scalar(field.kind, wire_type, raw)
    return found
