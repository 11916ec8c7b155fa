"""A reader that tells of a card again and again while it stays, and listens to nothing. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable


class RepeatingReader(ABC):
    """``send`` puts bytes on the line. ``half_frames``: what it tells breaks off in the middle."""

    def __init__(self, send: Callable[[bytes], None], repeat_s: float) -> None:
        self.card: bytes | None = None
        self.half_frames = False
        self._send = send
        self._repeat_s = repeat_s
        self._next = 0.0

    def present(self, uid: bytes, now: float) -> None:
        self.card = uid
        self._next = now
        self.step(now)

    def remove(self) -> None:
        self.card = None

    def receive(self, data: bytes, now: float) -> None:  # noqa: B027 (a reader may listen, these do not)
        """The reader listens to nothing."""

    def step(self, now: float) -> bool:
        """Tell of the card when it is time. True while a card is there."""
        if self.card is None:
            return False
        if now >= self._next:
            self._next = now + self._repeat_s
            data = self._told(self.card, now)
            self._send(data[: len(data) // 2] if self.half_frames else data)
        return True

    @abstractmethod
    def _told(self, card: bytes, now: float) -> bytes:
        """What it says of a card."""
