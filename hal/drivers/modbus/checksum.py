"""The two checksums of Modbus over serial line (V1.02, appendix B). Pure."""

from __future__ import annotations


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS: reflected A001, begun with FFFF. Over a frame with its checksum it is 0."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def lrc(data: bytes) -> int:
    """Two's complement of the sum of the bytes. Over a frame with its checksum the sum is 0 (mod 256)."""
    return -sum(data) & 0xFF
