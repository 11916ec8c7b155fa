"""Events of the Linux input layer, and the characters that a reader's key presses stand for. Pure: no node, no clock.

Key codes name positions on an American keyboard, so what layout the system has set does not matter. Source: the
kernel's input.h and input-event-codes.h; ``struct input_event`` has two longs of time, so 24 bytes on a 64-bit
machine and 16 on a 32-bit one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

EVENT = struct.Struct("@llHHi")
"""Seconds, microseconds, type, code, value; in this machine's own sizes."""
EV_SYN, EV_KEY = 0, 1
SYN_REPORT, SYN_DROPPED = 0, 3
PRESSED = 1
ENTER, KEYPAD_ENTER = 28, 96
RETURN = 0x0D
OTHER = 0x3F
"""``?`` for any other key: it belongs to no number, and spoils the one it comes in."""
MODIFIERS = frozenset({29, 42, 54, 56, 58, 69, 97, 100})
"""Control, shift, alt, caps lock, num lock: typed along with others and nothing by themselves."""

_ROW = {code: ord(digit) for code, digit in zip(range(2, 12), "1234567890", strict=True)}
_PAD = dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), b"0123456789", strict=True))
_LETTERS = dict(zip((30, 48, 46, 32, 18, 33), b"ABCDEF", strict=True))
CHARACTERS = {**_ROW, **_PAD, **_LETTERS, ENTER: RETURN, KEYPAD_ENTER: RETURN}


@dataclass(slots=True)
class KeyReader:
    """Cuts a stream of events into the characters typed."""

    _rest: bytearray = field(default_factory=bytearray)
    _dropping: bool = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came, in pieces of any size; return the characters they complete."""
        self._rest += data
        whole = len(self._rest) // EVENT.size * EVENT.size
        typed = bytearray()
        for _, _, kind, code, value in EVENT.iter_unpack(self._rest[:whole]):
            if kind == EV_SYN:
                if code == SYN_DROPPED:  # the kernel's buffer ran over: what comes until the next report is in pieces
                    self._dropping = True
                    typed.append(OTHER)
                elif code == SYN_REPORT:
                    self._dropping = False
            elif kind == EV_KEY and value == PRESSED and not self._dropping and code not in MODIFIERS:
                typed.append(CHARACTERS.get(code, OTHER))
        del self._rest[:whole]
        return bytes(typed)
