"""A reader that sends a card's number as hexadecimal text, again and again while the card stays. Pure."""

from __future__ import annotations

from collections.abc import Callable

REPEAT_S = 0.2


class AsciiReader:
    """``send`` puts bytes on the line. ``start`` and ``end`` are hexadecimal; ``checksum`` none, xor or sum, made
    from ``bytes`` or from the ``characters``."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        start: str = "",
        end: str = "0D",
        reverse: bool = False,
        checksum: str = "none",
        checksum_of: str = "bytes",
    ) -> None:
        self.card: bytes | None = None
        self.half_frames = False
        self._send = send
        self._start, self._end = bytes.fromhex(start), bytes.fromhex(end)
        self._reverse = reverse
        self._checksum, self._checksum_of = checksum, checksum_of
        self._next = 0.0

    def present(self, uid: bytes, now: float) -> None:
        self.card = uid
        self._next = now
        self.step(now)

    def remove(self) -> None:
        self.card = None

    def receive(self, data: bytes, now: float) -> None:
        """The reader listens to nothing."""

    def press(self, key: str) -> None:
        """A key of its keypad."""
        self._send(self._start + key.encode() + self._end)

    def step(self, now: float) -> bool:
        """Repeat the card's telegram. True while a card is there."""
        if self.card is None:
            return False
        if now >= self._next:
            self._next = now + REPEAT_S
            data = self._telegram(self.card)
            self._send(data[: len(data) // 2] if self.half_frames else data)
        return True

    def _telegram(self, card: bytes) -> bytes:
        text = card.hex().upper()
        if self._reverse:
            text = text[::-1]
        covered = card if self._checksum_of == "bytes" else text.encode()
        check = 0
        for byte in covered:
            check = check ^ byte if self._checksum == "xor" else (check + byte) % 256
        tail = "" if self._checksum == "none" else f"{check:02X}"
        return self._start + (text + tail).encode() + self._end
