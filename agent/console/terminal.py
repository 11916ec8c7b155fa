"""The technician's terminal: bytes in and out of a file descriptor, raw, bounded, and gone when the cable is.

One terminal is the process's own (standard input and output), another a serial port. Whoever reads waits with
``select``, so that a key, an answer of the agent and a deadline are all seen at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.console.keys import CursorReport, Key, KeyReader, Pressed

WRITE_S = 10.0
"""A terminal that takes nothing for so long is gone (or holds the line with Ctrl-S)."""
ESCAPE_S = 0.1
"""A lone escape is known by so much silence."""
PROBE_S = 0.5
"""How long a terminal may take to say where its cursor is; a modem or a slow line needs it."""
MAX_WAITING = 65_536
"""Keys that wait to be read: a pasted script of a thousand lines. Beyond it they are noise."""


class HangupError(Exception):
    """The terminal is gone: unplugged, closed, or it takes no output."""


@dataclass(slots=True)
class Abilities:
    """What a terminal can do."""

    ansi: bool = False
    """It moves its cursor (VT100)."""
    unicode: bool = False
    colour: bool = False
    columns: int = 80
    rows: int = 24


class Terminal:
    """``fd_in`` and ``fd_out`` may be one. ``resizes``: the kernel knows its size (no serial line)."""

    def __init__(self, fd_in: int, fd_out: int, *, resizes: bool) -> None:
        self.fd_in, self.fd_out = fd_in, fd_out
        self.abilities = Abilities()
        self._resizes = resizes
        self._keys = KeyReader()
        self._waiting: deque[Pressed] = deque()
        self._before: list[Any] | None = None
        self.heard_at = time.monotonic()
        """When the last byte came."""

    # ---- begin and end ----

    def open(self) -> None:
        """Go raw. Raises HangupError when the terminal is none."""
        try:
            self._before = termios.tcgetattr(self.fd_in)
            tty.setraw(self.fd_in, termios.TCSANOW)
            mode = termios.tcgetattr(self.fd_in)
            mode[0] |= termios.IGNBRK  # a break is noise, not the end
            mode[0] &= ~(termios.BRKINT | termios.PARMRK)
            termios.tcsetattr(self.fd_in, termios.TCSANOW, mode)
        except termios.error as error:
            raise HangupError(f"not a terminal: {error}") from error
        os.set_blocking(self.fd_out, False)

    def close(self) -> None:
        """Leave the terminal as it was found."""
        with contextlib.suppress(OSError):
            os.set_blocking(self.fd_out, True)
        if self._before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.fd_in, termios.TCSANOW, self._before)
            self._before = None

    def probe(self, allowed: bool = True) -> None:
        """Find out what the terminal can do, by asking it where its cursor is. ``allowed`` False: take it for dumb."""
        self.abilities = Abilities()
        if allowed:
            # A letter outside ASCII moves a UTF-8 terminal by one column, others by two.
            first = self._ask_cursor("\r\u00e9")
            if first is not None:
                size = self._ask_cursor("\x1b7\x1b[999;999H")
                self.abilities.ansi = True
                self.abilities.unicode = first.column == 2
                self.abilities.colour = "NO_COLOR" not in os.environ
                if size is not None and size.row >= 10 and size.column >= 40:
                    self.abilities.rows, self.abilities.columns = size.row, size.column
                self._put("\x1b8\r\x1b[K")
            else:
                self._put("\r   \r")
        self.resized()

    def resized(self) -> bool:
        """Look whether the window has another size. Return True when it has."""
        if not self._resizes:
            return False
        try:
            size = os.get_terminal_size(self.fd_out)
        except OSError:
            return False
        columns, rows = size.columns or self.abilities.columns, size.lines or self.abilities.rows
        changed = (columns, rows) != (self.abilities.columns, self.abilities.rows)
        self.abilities.columns, self.abilities.rows = columns, rows
        return changed

    def _ask_cursor(self, first: str) -> CursorReport | None:
        self._put(first + "\x1b[6n")
        deadline = time.monotonic() + PROBE_S
        kept: list[Pressed] = []
        found = None
        while found is None and (left_s := deadline - time.monotonic()) > 0:
            key = self.key(left_s)
            if isinstance(key, CursorReport):
                found = key
            elif key is not None:
                kept.append(key)
        self._waiting.extendleft(reversed(kept))
        return found

    # ---- out ----

    def write(self, text: str) -> None:
        """Show text; line ends become what a raw terminal needs. Raises HangupError."""
        self._put(text.replace("\n", "\r\n"))

    def _put(self, text: str) -> None:
        data = text.encode("utf-8" if self.abilities.unicode or "\x1b[6n" in text else "ascii", "replace")
        deadline = time.monotonic() + WRITE_S
        while data:
            try:
                data = data[os.write(self.fd_out, data) :]
            except BlockingIOError:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise HangupError("the terminal takes no output") from None
                self._receive(self._select(left_s, writing=True))
            except OSError as error:
                raise HangupError(str(error)) from error

    # ---- in ----

    def key(self, timeout_s: float | None, *also: int) -> Pressed | None:
        """Return the next key; None after ``timeout_s`` (None: for ever), or when one of the descriptors in ``also``
        can be read. Raises HangupError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._waiting:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            open_end = self._keys.unfinished
            wait_s = ESCAPE_S if open_end and (left_s is None or left_s > ESCAPE_S) else left_s
            ready = self._select(wait_s, *also)
            self._receive(ready)
            if self._waiting:
                break
            if open_end and self.fd_in not in ready:
                self._waiting.extend(self._keys.flush())
                continue
            if any(fd in ready for fd in also) or (deadline is not None and time.monotonic() >= deadline):
                return None
        return self._waiting.popleft()

    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed. What was typed before it is forgotten, what comes after it is kept."""
        self._receive(self._select(0.0))
        if Key.INTERRUPT not in self._waiting:
            return False
        while self._waiting.popleft() is not Key.INTERRUPT:
            pass
        return True

    def forget_typed(self) -> None:
        """Drop what was typed ahead."""
        self._waiting.clear()

    @property
    def typed_ahead(self) -> bool:
        """Keys wait to be taken: somebody pastes, or types faster than we answer."""
        return bool(self._waiting)

    def _select(self, timeout_s: float | None, *also: int, writing: bool = False) -> list[int]:
        try:
            found = select.select([self.fd_in, *also], [self.fd_out] if writing else [], [], timeout_s)
        except OSError as error:
            raise HangupError(str(error)) from error
        return [*found[0]]

    def _receive(self, ready: list[int]) -> None:
        if self.fd_in not in ready:
            return
        try:
            data = os.read(self.fd_in, 4096)
        except BlockingIOError:
            return
        except OSError as error:
            raise HangupError(str(error)) from error
        if not data:
            raise HangupError("the line was closed")
        self.heard_at = time.monotonic()
        for key in self._keys.feed(data):
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(key)


@contextlib.contextmanager
def own_terminal() -> Iterator[Terminal]:
    """The terminal that this process was started on."""
    terminal = Terminal(0, 1, resizes=True)
    terminal.open()
    try:
        term = os.environ.get("TERM", "dumb")
        terminal.probe(allowed=term not in ("dumb", "unknown", ""))
        yield terminal
    finally:
        terminal.close()
