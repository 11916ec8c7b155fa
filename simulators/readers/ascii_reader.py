"""A reader that sends a card's number as hexadecimal text, again and again while the card stays. Pure."""

from __future__ import annotations

from collections.abc import Callable

from simulators.readers.repeating import RepeatingReader

REPEAT_S = 0.2


class AsciiReader(RepeatingReader):
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
        super().__init__(send, REPEAT_S)
        self._start, self._end = bytes.fromhex(start), bytes.fromhex(end)
        self._reverse = reverse
        self._checksum, self._checksum_of = checksum, checksum_of

    def press(self, key: str) -> None:
        """A key of its keypad."""
        self._send(self._start + key.encode() + self._end)

    def _told(self, card: bytes, now: float) -> bytes:  # noqa: ARG002 (the telegram bears no time)
        text = card.hex().upper()
        if self._reverse:
            text = text[::-1]
        covered = card if self._checksum_of == "bytes" else text.encode()
        check = 0
        for byte in covered:
            check = check ^ byte if self._checksum == "xor" else (check + byte) % 256
        tail = "" if self._checksum == "none" else f"{check:02X}"
        return self._start + (text + tail).encode() + self._end
