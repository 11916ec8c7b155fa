"""Telegrams of the RDM6300 family of 125 kHz readers, for both ends of the line. Pure: no line, no clock.

A telegram is STX, ten hexadecimal digits (one byte version, four bytes tag), two digits of checksum, ETX. The
checksum is the exclusive or of the five bytes. It is sent over and over while the card stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import xor

STX, ETX = 0x02, 0x03
DATA_SIZE = 5
DIGITS = 2 * (DATA_SIZE + 1)
_HEX = frozenset(b"0123456789ABCDEFabcdef")


def checksum(data: bytes) -> int:
    return reduce(xor, data, 0)


def encode(data: bytes) -> bytes:
    """Return the telegram for five bytes of card data."""
    if len(data) != DATA_SIZE:
        raise ValueError(f"card data is {DATA_SIZE} bytes, not {len(data)}")
    return bytes([STX]) + (data + bytes([checksum(data)])).hex().upper().encode() + bytes([ETX])


@dataclass(slots=True)
class TelegramReader:
    """Cuts a byte stream into card data. ``damaged`` counts what began as a telegram and was none."""

    damaged: int = 0
    _digits: bytearray = field(default_factory=bytearray)
    _inside: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came, in pieces of any size; return the card data they complete."""
        found = []
        for byte in data:
            if byte == STX:
                self.damaged += self._inside
                self._inside = True
                self._digits.clear()
            elif not self._inside:
                continue
            elif byte == ETX:
                self._inside = False
                card = self._card()
                if card is None:
                    self.damaged += 1
                else:
                    found.append(card)
            elif byte in _HEX and len(self._digits) < DIGITS:
                self._digits.append(byte)
            else:
                self._inside = False
                self.damaged += 1
        return found

    def _card(self) -> bytes | None:
        if len(self._digits) != DIGITS:
            return None
        raw = bytes.fromhex(self._digits.decode("ascii"))
        return raw[:DATA_SIZE] if checksum(raw[:DATA_SIZE]) == raw[DATA_SIZE] else None
