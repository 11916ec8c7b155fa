"""An RDM6300 family reader: 14 ASCII bytes, again and again while the card stays (hardware sheet §D.2). Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import xor

from simulators.readers.repeating import RepeatingReader

REPEAT_S = 0.065


def frame(tag: bytes) -> bytes:
    """STX, ten hex digits, their checksum, ETX. ``tag``: version byte and four of the number."""
    checksum = reduce(xor, tag)
    return b"\x02" + tag.hex().upper().encode() + f"{checksum:02X}".encode() + b"\x03"


class Rdm6300(RepeatingReader):
    """``send`` puts bytes on the line."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__(send, REPEAT_S)

    def _told(self, card: bytes, now: float) -> bytes:  # noqa: ARG002 (the frame bears no time)
        return frame(card)
