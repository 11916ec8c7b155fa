"""Finds records in the pages of a damaged file without its tables of contents.

A lost page 1, or a lost inner page, hides all rows behind it from SQLite though they are there. So every page that
looks like a leaf of a table is read by itself, and a row counts when it is shaped like a record and its checksum holds.
What was deleted is overwritten (``PRAGMA secure_delete``) and cannot come back this way.
Format: sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 4096
"""Page size of a journal; SQLite's own default since 2016."""

_LEAF = 0x0D
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_PAYLOAD = 16 << 20
_MOST_LOCAL = PAGE - 35
_LEAST_LOCAL = (PAGE - 12) * 32 // 255 - 23


def rows(path: Path) -> Iterator[list[Any]]:
    """Yield every row of every page that can be a table's leaf; the row's number stands where SQLite keeps NULL."""
    with path.open("rb") as file:
        data = file.read()
    for start in range(0, len(data) - PAGE + 1, PAGE):
        head = start + (100 if start == 0 else 0)
        if data[head] != _LEAF:
            continue
        for index in range(min(int.from_bytes(data[head + 3 : head + 5], "big"), PAGE // 2)):
            place = head + 8 + 2 * index
            offset = int.from_bytes(data[place : place + 2], "big")
            if 8 <= offset < PAGE - 4:
                try:
                    row = _row(data, start, offset)
                except (IndexError, ValueError, struct.error):
                    continue
                if row:
                    yield row


def _row(data: bytes, start: int, offset: int) -> list[Any]:
    size, at = _varint(data, start + offset)
    number, at = _varint(data, at)
    payload = _payload(data, at, start + PAGE, size)
    head, at = _varint(payload, 0)
    types = []
    while at < head:
        kind, at = _varint(payload, at)
        types.append(kind)
    values: list[Any] = []
    for kind in types:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise ValueError("the row is not as long as it says")
    if values and values[0] is None:
        values[0] = number
    return values


def _payload(data: bytes, at: int, end: int, size: int) -> bytes:
    if not 0 < size <= _MOST_PAYLOAD:
        raise ValueError("no such size")
    if size <= _MOST_LOCAL:
        if at + size > end:
            raise ValueError("reaches beyond its page")
        return data[at : at + size]
    local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE - 4)
    if local > _MOST_LOCAL:
        local = _LEAST_LOCAL
    parts, found = [data[at : at + local]], local
    following = int.from_bytes(data[at + local : at + local + 4], "big")
    while found < size:
        begin = (following - 1) * PAGE
        if following < 1 or begin + PAGE > len(data):
            raise ValueError("its overflow leads nowhere")
        part = data[begin + 4 : begin + 4 + min(size - found, PAGE - 4)]
        following = int.from_bytes(data[begin : begin + 4], "big")
        parts.append(part)
        found += len(part)
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == 0:
        return None, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise ValueError("no such type")
    end = at + (kind - 12) // 2
    content = payload[at:end]
    return content.decode() if kind % 2 else content, end
