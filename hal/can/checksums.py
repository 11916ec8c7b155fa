"""Checksums that messages on a bus carry beside CAN's own, so that a sender that has lost its mind shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def _j1850_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1) ^ 0x1D if value & 0x80 else value << 1
        table.append(value & 0xFF)
    return tuple(table)


_J1850 = _j1850_table()


def crc8_j1850(data: bytes) -> int:
    """CRC-8 of SAE J1850: polynomial 0x1D, begins with 0xFF, inverted at the end. "123456789" gives 0x4B."""
    crc = 0xFF
    for byte in data:
        crc = _J1850[crc ^ byte]
    return crc ^ 0xFF


def xor8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value


def sum8(data: bytes) -> int:
    return sum(data) & 0xFF


METHODS: Mapping[str, Callable[[bytes], int]] = {"crc8-j1850": crc8_j1850, "xor": xor8, "sum": sum8}
