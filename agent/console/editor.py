"""One line being edited: keys in, the line and what to draw out. Pure.

The line is drawn on one row of the screen, scrolled sideways when it is longer, so that a terminal that cannot wrap (or
is narrower than we think) stays legible. On a dumb terminal only what is added at the end is drawn; anything else
begins a new line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from agent.console.keys import Key, Pressed

MAX_LINE = 2000
HISTORY = 200
_MARGIN = 8
"""Columns kept in sight beside the cursor when the line is scrolled."""


class Outcome(Enum):
    EDITING = "editing"
    DONE = "done"
    INTERRUPTED = "interrupted"
    END = "end"
    """Ctrl-D on an empty line."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What could stand for the word before the cursor."""

    start: int
    """Where the word begins."""
    choices: Sequence[str]


Complete = Callable[[str], Completion]
"""Given the line up to the cursor."""


class History:
    """Lines entered before, oldest first, without repeats in a row."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        if line.strip() and (not self.lines or self.lines[-1] != line):
            self.lines = [*self.lines[-HISTORY + 1 :], line]


class LineEditor:
    """Edits one line after a prompt. ``draw`` collects what the terminal is to show."""

    def __init__(
        self,
        prompt: str,
        width: int,
        *,
        ansi: bool = True,
        mask: str = "",
        history: History | None = None,
        complete: Complete | None = None,
    ) -> None:
        self.prompt = prompt
        self.line = ""
        self.cursor = 0
        self._width = max(20, width)
        self._ansi = ansi
        self._mask = mask
        self._history = history or History()
        self._complete = complete
        self._place = len(self._history.lines)
        self._typed = ""
        self._shift = 0
        self._asked_again = False
        self._searching: str | None = None
        self._out: list[str] = []

    def start(self) -> str:
        """Return what draws the empty line."""
        self._redraw()
        return self._take()

    def resize(self, width: int) -> str:
        self._width = max(20, width)
        self._redraw()
        return self._take()

    def press(self, key: Pressed) -> tuple[Outcome, str]:
        """Take one key. Return what became of the line, and what to draw."""
        outcome = self._press(key)
        if key is not Key.TAB:
            self._asked_again = False
        return outcome, self._take()

    def _press(self, key: Pressed) -> Outcome:
        if self._searching is not None and self._search(key):
            return Outcome.EDITING
        if isinstance(key, str):
            self._insert(key)
        elif key is Key.ENTER:
            self._out.append("\n")
            return Outcome.DONE
        elif key is Key.INTERRUPT:
            self._out.append("^C\n")
            return Outcome.INTERRUPTED
        elif key is Key.END_OF_INPUT:
            if not self.line:
                self._out.append("\n")
                return Outcome.END
            self._cut(self.cursor, self.cursor + 1)
        elif isinstance(key, Key):
            self._edit(key)
        return Outcome.EDITING

    def _edit(self, key: Key) -> None:
        at = self.cursor
        match key:
            case Key.BACKSPACE:
                self._cut(at - 1, at)
            case Key.DELETE:
                self._cut(at, at + 1)
            case Key.KILL_TO_END:
                self._cut(at, len(self.line))
            case Key.KILL_LINE:
                self._cut(0, at)
            case Key.KILL_WORD:
                self._cut(self._word_left(), at)
            case Key.LEFT:
                self._move(at - 1)
            case Key.RIGHT:
                self._move(at + 1)
            case Key.HOME:
                self._move(0)
            case Key.END:
                self._move(len(self.line))
            case Key.WORD_LEFT:
                self._move(self._word_left())
            case Key.WORD_RIGHT:
                self._move(self._word_right())
            case Key.UP:
                self._recall(self._place - 1)
            case Key.DOWN:
                self._recall(self._place + 1)
            case Key.TAB:
                self._tab()
            case Key.REDRAW:
                self._redraw(clear=True)
            case Key.SEARCH:
                if not self._mask and self._ansi:
                    self._searching = ""
                    self._redraw()
            case _:
                pass

    # ---- changing the line ----

    def _insert(self, text: str) -> None:
        if len(self.line) + len(text) > MAX_LINE:
            self._out.append("\a")
            return
        at_end = self.cursor == len(self.line)
        self.line = self.line[: self.cursor] + text + self.line[self.cursor :]
        self.cursor += len(text)
        fits = len(self.prompt) + len(self.line) - self._shift < self._width
        if at_end and (fits or not self._ansi):
            self._out.append(self._mask * len(text) if self._mask else text)
        else:
            self._redraw()

    def _cut(self, begin: int, end: int) -> None:
        begin, end = max(0, begin), min(len(self.line), end)
        if begin >= end:
            return
        last_one = end == len(self.line) and end - begin == 1 and self.cursor == end
        self.line = self.line[:begin] + self.line[end:]
        self.cursor = begin
        if last_one and not self._ansi:
            self._out.append("\b \b")
        else:
            self._redraw()

    def _move(self, to: int) -> None:
        self.cursor = max(0, min(len(self.line), to))
        if self._ansi:
            self._redraw()
        # A dumb terminal shows the cursor at the end; the next change redraws the line.

    def _word_left(self) -> int:
        at = self.cursor
        while at > 0 and self.line[at - 1].isspace():
            at -= 1
        while at > 0 and not self.line[at - 1].isspace():
            at -= 1
        return at

    def _word_right(self) -> int:
        at = self.cursor
        while at < len(self.line) and self.line[at].isspace():
            at += 1
        while at < len(self.line) and not self.line[at].isspace():
            at += 1
        return at

    def _recall(self, place: int) -> None:
        lines = self._history.lines
        if self._mask or not 0 <= place <= len(lines):
            return
        if self._place == len(lines):
            self._typed = self.line
        self._place = place
        self._replace(lines[place] if place < len(lines) else self._typed)

    def _replace(self, line: str) -> None:
        self.line, self.cursor = line, len(line)
        self._redraw()

    def _search(self, key: Pressed) -> bool:
        """Take a key while searching backwards through the history. False: the search is over, take it as usual."""
        assert self._searching is not None
        if isinstance(key, str):
            self._searching += key
        elif key is Key.BACKSPACE:
            self._searching = self._searching[:-1]
        elif key is not Key.SEARCH:
            self._searching = None
            self._redraw()
            return key is Key.ESCAPE
        wanted = self._searching
        below = self._place if key is Key.SEARCH else len(self._history.lines)
        for place in range(below - 1, -1, -1):
            if wanted in self._history.lines[place]:
                self._place = place
                self.line = self._history.lines[place]
                self.cursor = len(self.line)
                break
        else:
            self._out.append("\a")
        self._redraw()
        return True

    def _tab(self) -> None:
        if self._complete is None or self._mask:
            return
        found = self._complete(self.line[: self.cursor])
        choices = list(found.choices)
        if not choices:
            self._out.append("\a")
            return
        common = choices[0]
        for choice in choices[1:]:
            while not choice.startswith(common):
                common = common[:-1]
        if len(choices) == 1:
            common += " "
        word = self.line[found.start : self.cursor]
        if len(common) > len(word):
            self.line = self.line[: found.start] + common + self.line[self.cursor :]
            self.cursor = found.start + len(common)
            self._redraw()
        elif not self._asked_again:
            self._asked_again = True
            self._out.append("\a")
        else:
            self._out.append("\n" + _columns(choices, self._width) + "\n")
            self._redraw()

    # ---- drawing ----

    def _redraw(self, clear: bool = False) -> None:
        if clear and self._ansi:
            self._out.append("\x1b[H\x1b[2J")
        prompt = self.prompt if self._searching is None else f"(search) {self._searching}: "
        room = max(1, self._width - len(prompt) - 1)
        if self.cursor < self._shift or self.cursor - self._shift > room:
            self._shift = max(0, self.cursor - room + min(_MARGIN, room // 2))
        if len(self.line) <= room:
            self._shift = 0
        shown = self._mask * len(self.line) if self._mask else self.line
        if not self._ansi:
            self._out.append("\n" + prompt + shown if self.line or clear else prompt)
            self.cursor = len(self.line)
            return
        piece = shown[self._shift : self._shift + room]
        self._out.append("\r" + prompt + piece + "\x1b[K")
        back = len(piece) - (self.cursor - self._shift)
        if back > 0:
            self._out.append(f"\x1b[{back}D")

    def _take(self) -> str:
        drawn = "".join(self._out)
        self._out.clear()
        return drawn


def _columns(words: Sequence[str], width: int) -> str:
    widest = max(map(len, words)) + 2
    across = max(1, (width - 1) // widest)
    rows = -(-len(words) // across)
    return "\n".join("".join(word.ljust(widest) for word in words[row::rows]).rstrip() for row in range(rows))
