"""A USB reader that types a card's number and Enter, as the kernel's input layer tells of it. Pure.

Every key is a press and a release, each with its scan code and closed by a report (struct input_event of input.h).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from simulators.readers.repeating import RepeatingReader

REPEAT_S = 1.0
"""Most type once per card; some again while it stays."""
EV_SYN, EV_KEY, EV_MSC, MSC_SCAN = 0, 1, 4, 4
KEY_ENTER = 28
KEYS = {"1": 2, "2": 3, "3": 4, "4": 5, "5": 6, "6": 7, "7": 8, "8": 9, "9": 10, "0": 11}
KEYS |= {"A": 30, "B": 48, "C": 46, "D": 32, "E": 18, "F": 33}
USAGE_OFFSET = 0x7001C
"""Scan codes are USB usages; which one does not matter to anybody."""


class HidKeyboard(RepeatingReader):
    """``send`` puts events on the node. ``decimal``: types the number in ten digits, else in hexadecimal."""

    def __init__(self, send: Callable[[bytes], None], decimal: bool = True) -> None:
        super().__init__(send, REPEAT_S)
        self._decimal = decimal

    def _told(self, card: bytes, now: float) -> bytes:
        text = str(int.from_bytes(card, "big")).zfill(10) if self._decimal else card.hex().upper()
        return b"".join(self._key(KEYS[digit], now) for digit in text) + self._key(KEY_ENTER, now)

    def _key(self, code: int, now: float) -> bytes:
        events = []
        for value in (1, 0):
            events += [(EV_MSC, MSC_SCAN, USAGE_OFFSET + code), (EV_KEY, code, value), (EV_SYN, 0, 0)]
        return b"".join(struct.pack("@llHHi", int(now), int(now % 1 * 1e6), *event) for event in events)
