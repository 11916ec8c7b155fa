"""What a box shows and takes over Modbus: tables by function, and the exceptions a slave answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from simulators.controllers.box import Box

COILS, DISCRETE, HOLDING, INPUT = 1, 2, 3, 4
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
Table = Mapping[int, int]


class RefusalError(Exception):
    """The slave answers with this exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Make(Protocol):
    """One make of controller around a box."""

    box: Box

    def table(self, function: int) -> Table:
        """Address → word (or bit) of all that this function reads now. Empty for a function it does not know."""

    def write(self, function: int, address: int, value: int, now: float) -> None:
        """Take one word or bit. Raises RefusalError."""

    def heard(self, now: float) -> None:
        """A sound request came: it feeds the watchdog, where there is one."""

    def boot(self, now: float) -> None:
        """It starts, or starts again: what was volatile is at its default."""

    def step(self, now: float) -> None:
        """Its own time-outs."""


def serve(make: Make, pdu: bytes, now: float) -> bytes:
    """Return the answer to a request's PDU (MODBUS Application Protocol V1.1b3, chapter 6)."""
    function = pdu[0]
    try:
        return bytes([function]) + _do(make, function, pdu[1:], now)
    except RefusalError as refusal:
        return bytes([function | 0x80, refusal.code])


def _do(make: Make, function: int, data: bytes, now: float) -> bytes:
    first, second = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    if function in (COILS, DISCRETE, HOLDING, INPUT):
        table = make.table(function)
        if not table:
            raise RefusalError(ILLEGAL_FUNCTION)
        values = [table.get(address) for address in range(first, first + second)]
        if not 1 <= second <= 125 or None in values:
            raise RefusalError(ILLEGAL_ADDRESS)
        return _packed(function, [value or 0 for value in values])
    if function == 5 and second in (0x0000, 0xFF00):
        make.write(COILS, first, int(second != 0), now)
        return data[:4]
    if function == 6:
        make.write(HOLDING, first, second, now)
        return data[:4]
    if function == 16 and len(data) == 5 + 2 * second and data[4] == 2 * second:
        for index in range(second):
            make.write(HOLDING, first + index, int.from_bytes(data[5 + 2 * index : 7 + 2 * index], "big"), now)
        return data[:4]
    raise RefusalError(ILLEGAL_FUNCTION if function not in (5, 16) else ILLEGAL_VALUE)


def _packed(function: int, values: list[int]) -> bytes:
    if function in (HOLDING, INPUT):
        body = b"".join((value & 0xFFFF).to_bytes(2, "big") for value in values)
    else:
        bits = sum(bool(value) << index for index, value in enumerate(values))
        body = bits.to_bytes((len(values) + 7) // 8, "little")
    return bytes([len(body)]) + body


def low_first(address: int, value: float) -> dict[int, int]:
    """A signed 32-bit number, the low word first."""
    whole = round(value) & 0xFFFF_FFFF
    return {address: whole & 0xFFFF, address + 1: whole >> 16}


def high_first(address: int, value: float) -> dict[int, int]:
    whole = round(value) & 0xFFFF_FFFF
    return {address: whole >> 16, address + 1: whole & 0xFFFF}


def text(address: int, value: str, words: int) -> dict[int, int]:
    raw = value.encode("ascii").ljust(2 * words, b"\0")
    return {address + index: int.from_bytes(raw[2 * index : 2 * index + 2], "big") for index in range(words)}
