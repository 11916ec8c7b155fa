"""An RDM6300 family reader: 14 ASCII bytes, again and again while the card stays (hardware sheet §D.2). Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import xor

REPEAT_S = 0.065
TAG_BYTES = 5


def frame(tag: bytes) -> bytes:
    """STX, ten hex digits, their checksum, ETX. ``tag``: version byte and four of the number."""
    checksum = reduce(xor, tag)
    return b"\x02" + tag.hex().upper().encode() + f"{checksum:02X}".encode() + b"\x03"


class Rdm6300:
    """``send`` puts bytes on the line."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.card: bytes | None = None
        self.half_frames = False
        self._send = send
        self._next = 0.0

    def present(self, uid: bytes, now: float) -> None:
        self.card = uid
        self._next = now
        self.step(now)

    def remove(self) -> None:
        self.card = None

    def receive(self, data: bytes, now: float) -> None:
        """The reader listens to nothing."""

    def step(self, now: float) -> bool:
        """Repeat the card's frame. True while a card is there."""
        if self.card is None:
            return False
        if now >= self._next:
            self._next = now + REPEAT_S
            data = frame(self.card)
            self._send(data[:7] if self.half_frames else data)
        return True
