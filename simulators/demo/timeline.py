"""What a person follows while the story plays: one line per event, and one line in between that moves."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from typing import TextIO

COLOURS = {
    "driver": "36",
    "charger": "32",
    "network": "35",
    "story": "1",
    "trouble": "31",
    "meter": "33",
}
CLEAR_LINE = "\r\x1b[2K"
INDENT = 21
"""Columns before an event's text: seconds, who."""
NARROWEST = 50
USUAL_WIDTH = 100
"""Where there is no terminal to ask."""


class Timeline:
    """Prints events with the seconds since the story began. The moving line appears on a terminal only."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._began = time.monotonic()
        self._moving = False

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self._drop_moving()
        self._out.write(f"\n{self._paint('story', title)}\n")
        self._out.flush()

    def event(self, who: str, text: str) -> None:
        """Tell one event. ``who`` is driver, charger, network, meter or trouble."""
        self._drop_moving()
        lines = textwrap.wrap(text, self._width() - INDENT, break_on_hyphens=False) or [""]
        head = f"{self.elapsed_s():7.1f} s  {self._paint(who, f'{who:<8}')}  "
        self._out.write(head + f"\n{'':{INDENT}}".join(lines) + "\n")
        self._out.flush()

    def moving(self, text: str) -> None:
        """Replace the line that moves."""
        if self._terminal:
            line = f"{self.elapsed_s():7.1f} s  {text}"
            # A line that reaches the last column wraps, and only its last row could be cleared.
            self._out.write(f"{CLEAR_LINE}{line[: self._width() - 1]}")
            self._out.flush()
            self._moving = True

    def plain(self, text: str = "") -> None:
        """Print text as it is."""
        self._drop_moving()
        self._out.write(f"{text}\n")
        self._out.flush()

    def verdict(self, good: bool, text: str) -> None:
        self._drop_moving()
        colour = "1;32" if good else "1;31"
        text = "\n".join(textwrap.wrap(text, self._width()))
        self._out.write(f"\x1b[{colour}m{text}\x1b[0m\n" if self._terminal else f"{text}\n")
        self._out.flush()

    def _width(self) -> int:
        """Return the columns there are now: a person may change the window while the story plays."""
        if not self._terminal:
            return USUAL_WIDTH
        try:
            columns = os.get_terminal_size(self._out.fileno()).columns
        except (OSError, ValueError):
            return USUAL_WIDTH
        return max(NARROWEST, min(columns, USUAL_WIDTH))

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._terminal else text

    def _drop_moving(self) -> None:
        if self._moving:
            self._out.write(CLEAR_LINE)
            self._moving = False
