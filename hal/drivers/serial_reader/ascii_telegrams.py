"""Telegrams of readers that send a card's number as text, in whatever wrapping. Pure: no line, no clock.

There are dozens of such readers (hardware sheet §D.2): STX … ETX or a line end, hexadecimal or decimal, with a
checksum or without. ``AsciiOptions`` says which; ``TelegramReader`` cuts the stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce
from operator import xor

from hal.drivers.token_format import Radix
from hal.options import option
from hal.values import TokenKind

MIN_DIGITS, MAX_DIGITS = 6, 40
"""Shorter ones are keys pressed on a reader with a keypad; no card number has three bytes or less in the field."""
PARTIAL_S = 0.5
"""What was begun so long ago never ends: a telegram passes in some 20 ms, a finger on a keypad is slower."""
CHECKSUM_DIGITS = 2
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_DECIMAL = frozenset(b"0123456789")
_BLANK = 0x20
"""Up to here they are control characters and spaces: ignored ahead of a telegram (the LF after a CR)."""


class Checksum(Enum):
    """Two hexadecimal digits after the number."""

    NONE = "none"
    XOR = "xor"
    SUM = "sum"


class ChecksumOf(Enum):
    BYTES = "bytes"
    """The number's bytes."""
    CHARACTERS = "characters"
    """The digits as they were sent."""


def _check_end(text: str) -> str:
    return check_bytes(text) if text.strip() else "a telegram must end with something; 0D is the return key's character"


def check_bytes(text: str) -> str:
    if re.fullmatch(r"\s*([0-9A-Fa-f]{2}\s*){0,4}", text):
        return ""
    return "write up to four bytes in hexadecimal, such as 02 or '0D 0A'"


@dataclass(frozen=True, slots=True)
class AsciiOptions:
    start: str = option("", help="bytes that begin a telegram, in hexadecimal; empty for none", check=check_bytes)
    end: str = option("0D", help="bytes that end it, in hexadecimal", check=_check_end)
    radix: Radix = option(Radix.HEX, help="hex or decimal: how the reader writes the number")
    length: int = option(0, help="digits of the number without its checksum; 0 for any", ge=0, le=MAX_DIGITS)
    reversed_digits: bool = option(False, help="the last digit is sent first")
    number_bytes: int = option(4, help="decimal: bytes that the number stands for", unit="B", ge=3, le=10)
    checksum: Checksum = option(Checksum.NONE, help="none, xor or sum: two hexadecimal digits after the number")
    checksum_of: ChecksumOf = option(ChecksumOf.BYTES, help="bytes or characters: what the checksum is made from")
    kind: TokenKind = option(TokenKind.LOCAL, help="ISO14443, ISO15693 or Local: what the network is told")


def checksum_of(options: AsciiOptions, digits: bytes, number: bytes) -> int:
    covered = number if options.checksum_of is ChecksumOf.BYTES else digits
    return reduce(xor, covered, 0) if options.checksum is Checksum.XOR else sum(covered) & 0xFF


@dataclass(slots=True)
class TelegramReader:
    """Cuts a byte stream into card numbers. ``damaged`` counts what came whole and was none."""

    options: AsciiOptions = field(default_factory=AsciiOptions)
    damaged: int = 0
    _rest: bytearray = field(default_factory=bytearray)
    _fed_at: float = 0.0

    def feed(self, data: bytes, now: float) -> list[bytes]:
        """Take bytes as they came, in pieces of any size; return the numbers they complete."""
        if now - self._fed_at >= PARTIAL_S:
            self._rest.clear()
        self._fed_at = now
        start, end = bytes.fromhex(self.options.start), bytes.fromhex(self.options.end)
        found = []
        for byte in data:
            self._rest.append(byte)
            if start and not self._rest.startswith(start[: len(self._rest)]):
                self._resume(start)
            if not start and byte <= _BLANK and len(self._rest) == 1 and not end.startswith(bytes([byte])):
                self._rest.clear()
            if self._rest.endswith(end) and len(self._rest) >= len(start) + len(end):
                card = self._number(bytes(self._rest[len(start) : -len(end)]))
                self._rest.clear()
                if card is not None:
                    found.append(card)
            elif len(self._rest) > MAX_DIGITS + CHECKSUM_DIGITS + len(start) + len(end):
                self.damaged += 1
                del self._rest[: len(start) or 1]
                self._resume(start)
        return found

    def _resume(self, start: bytes) -> None:
        """Go on at what may be the beginning of the next telegram."""
        while self._rest and not self._rest.startswith(start[: len(self._rest)]):
            del self._rest[0]

    def _number(self, text: bytes) -> bytes | None:
        options = self.options
        start = bytes.fromhex(options.start)
        if start and start in text:
            text = text[text.rindex(start) + len(start) :]  # the one before broke off
        width = CHECKSUM_DIGITS if options.checksum is not Checksum.NONE else 0
        digits, check = text[: len(text) - width], text[len(text) - width :]
        if len(digits) < MIN_DIGITS:
            return None
        card = self._value(digits)
        sound = card is not None and (not options.length or len(digits) == options.length)
        if sound and card is not None and width:
            sound = _HEX.issuperset(check) and int(check, 16) == checksum_of(options, digits, card)
        self.damaged += not sound
        return card if sound else None

    def _value(self, digits: bytes) -> bytes | None:
        options = self.options
        if options.reversed_digits:
            digits = digits[::-1]
        if options.radix is Radix.HEX:
            sound = _HEX.issuperset(digits) and len(digits) % 2 == 0
            return bytes.fromhex(digits.decode("ascii")) if sound else None
        if not _DECIMAL.issuperset(digits) or int(digits) >> 8 * options.number_bytes:
            return None
        return int(digits).to_bytes(options.number_bytes, "big")
