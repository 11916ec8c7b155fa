"""From bytes of a terminal to keys. Pure: feed what came, in any pieces; garbage gives nothing, never an error.

Understands UTF-8 text, control characters, and the escape sequences of VT100 and its heirs (ECMA-48). A lone escape is
known only by the silence after it: call ``flush`` when nothing came for a tenth of a second.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Key(Enum):
    ENTER = "enter"
    TAB = "tab"
    BACKSPACE = "backspace"
    DELETE = "delete"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    HOME = "home"
    END = "end"
    WORD_LEFT = "word_left"
    WORD_RIGHT = "word_right"
    PAGE_UP = "page_up"
    PAGE_DOWN = "page_down"
    ESCAPE = "escape"
    INTERRUPT = "interrupt"
    """Ctrl-C."""
    END_OF_INPUT = "end_of_input"
    """Ctrl-D."""
    KILL_TO_END = "kill_to_end"
    KILL_LINE = "kill_line"
    KILL_WORD = "kill_word"
    REDRAW = "redraw"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class CursorReport:
    """The terminal's answer to the question where its cursor is (CPR), counted from 1."""

    row: int
    column: int


Pressed = Key | str | CursorReport
"""A key, one printable character, or an answer of the terminal."""

_CONTROL = {
    0x01: Key.HOME,
    0x02: Key.LEFT,
    0x03: Key.INTERRUPT,
    0x04: Key.END_OF_INPUT,
    0x05: Key.END,
    0x06: Key.RIGHT,
    0x08: Key.BACKSPACE,
    0x09: Key.TAB,
    0x0B: Key.KILL_TO_END,
    0x0C: Key.REDRAW,
    0x0E: Key.DOWN,
    0x10: Key.UP,
    0x12: Key.SEARCH,
    0x15: Key.KILL_LINE,
    0x17: Key.KILL_WORD,
    0x7F: Key.BACKSPACE,
}

_FINAL = {"A": Key.UP, "B": Key.DOWN, "C": Key.RIGHT, "D": Key.LEFT, "H": Key.HOME, "F": Key.END}
_TILDE = {
    1: Key.HOME,
    3: Key.DELETE,
    4: Key.END,
    5: Key.PAGE_UP,
    6: Key.PAGE_DOWN,
    7: Key.HOME,
    8: Key.END,
}
_WITH_META = {"b": Key.WORD_LEFT, "f": Key.WORD_RIGHT}

_SEQUENCE = re.compile(rb"\x1b(?:\[([0-9;?]*)[ -/]*([@-~])|O([@-~])|([^\[O]))", re.DOTALL)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*|O)?\Z")
MAX_SEQUENCE = 32
"""Longer than any sequence there is: noise."""


class KeyReader:
    """Keeps what is unfinished between two pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._text = codecs.getincrementaldecoder("utf-8")("ignore")
        self._after_return = False

    @property
    def unfinished(self) -> bool:
        """An escape came, and what follows is still open: call ``flush`` when nothing more comes."""
        return self._rest.startswith(b"\x1b")

    def feed(self, data: bytes) -> Iterator[Pressed]:
        """Yield what the bytes say, in order."""
        data = self._rest + data
        self._rest = b""
        at = 0
        while at < len(data):
            if data[at] != 0x1B:
                end = data.find(b"\x1b", at)
                end = len(data) if end < 0 else end
                yield from self._plain(data[at:end])
                at = end
                continue
            match = _SEQUENCE.match(data, at)
            if match is None:
                if len(data) - at <= MAX_SEQUENCE and _UNFINISHED.match(data, at):
                    self._rest = data[at:]
                    return
                at += 1  # an escape that begins nothing
                continue
            if match[4] == b"\x1b":  # a second escape: the first stood alone
                yield Key.ESCAPE
                at += 1
                continue
            yield from _sequence(match)
            at = match.end()

    def flush(self) -> Iterator[Pressed]:
        """Nothing came for a while: what is unfinished was an escape, or noise."""
        rest, self._rest = self._rest, b""
        if rest == b"\x1b":
            yield Key.ESCAPE

    def _plain(self, data: bytes) -> Iterator[Pressed]:
        for character in self._text.decode(data):
            code = ord(character)
            after_return, self._after_return = self._after_return, code == 0x0D
            if code == 0x0D or (code == 0x0A and not after_return):  # CR LF is one key, whichever program pastes
                yield Key.ENTER
            elif code in _CONTROL:
                yield _CONTROL[code]
            elif character.isprintable():
                yield character


def _sequence(match: re.Match[bytes]) -> Iterator[Pressed]:
    if match[2] is not None:
        numbers = [int(part) if part.isdigit() and len(part) < 6 else 0 for part in match[1].split(b";")]
        final = match[2].decode("ascii")
        if final == "R" and len(numbers) == 2 and all(numbers):
            yield CursorReport(*numbers)
        elif final == "~" and numbers[0] in _TILDE:
            yield _TILDE[numbers[0]]
        elif final in _FINAL:
            sideways = {"C": Key.WORD_RIGHT, "D": Key.WORD_LEFT}
            yield sideways[final] if len(numbers) == 2 and final in sideways else _FINAL[final]
    elif match[3] is not None:
        key = _FINAL.get(match[3].decode("ascii"))
        if key is not None:
            yield key
    elif match[4] is not None:
        character = match[4].decode("latin-1")
        if character in _WITH_META:
            yield _WITH_META[character]
        elif match[4] in (b"\x7f", b"\x08"):
            yield Key.KILL_WORD
