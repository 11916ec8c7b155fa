"""How the number of a card is written for the network: shared by every reader. Pure.

Readers give bytes; back-ends differ in what they expect of them (hardware sheet §D): order, hexadecimal or decimal,
zeros in front, a prefix. A driver's options inherit ``TokenFormatOptions`` and call ``uid_of``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hal.options import option

MAX_PREFIX = 12


class ByteOrder(Enum):
    AS_READ = "as_read"
    REVERSED = "reversed"


class Radix(Enum):
    HEX = "hex"
    DECIMAL = "decimal"


def check_prefix(text: str) -> str:
    if len(text) > MAX_PREFIX:
        return f"{len(text)} characters are too many; use at most {MAX_PREFIX}"
    if not all("!" <= character <= "~" for character in text):
        return "only printable ASCII without spaces can be part of an identifier; leave the others out"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFormatOptions:
    """Options of every reader. The defaults write the bytes as read, in upper-case hexadecimal."""

    byte_order: ByteOrder = option(ByteOrder.AS_READ, help="as_read or reversed: back-ends differ")
    uid_skip_bytes: int = option(
        0, help="bytes at the front, as read, that do not belong to the number", ge=0, le=8, unit="B"
    )
    uid_radix: Radix = option(Radix.HEX, help="hex or decimal: how the number is written")
    uid_width: int = option(0, help="zeros are put in front up to so many digits; 0 for none", ge=0, le=20)
    uid_prefix: str = option("", help="text put in front of every number", check=check_prefix)

    def uid_of(self, card: bytes) -> str:
        """Return what the network is told for these bytes; empty for a card that has no number left."""
        card = card[self.uid_skip_bytes :]
        if not card:
            return ""
        if self.byte_order is ByteOrder.REVERSED:
            card = card[::-1]
        digits = card.hex().upper() if self.uid_radix is Radix.HEX else str(int.from_bytes(card, "big"))
        return self.uid_prefix + digits.zfill(self.uid_width)
