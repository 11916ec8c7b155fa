"""The lines of a device: opened, read, lost with their chip, and opened again.

An output begins, and begins again after a loss, at its inactive level. What was commanded before must be commanded
afresh.
"""

from __future__ import annotations

import dataclasses
import math

from hal.gpio.address import parse_spec
from hal.gpio.lines import Edges, Line, LineError, LineEvent
from hal.gpio.seek import Seek, seek
from hal.gpio.sim_chip import MUTE, PATIENCE_S

REOPEN_S = 1.0
LOOK_AGAIN_S = 0.002
"""While the answer to a request is out."""


class Pin:
    """One line. ``text`` is how the configuration names it; ``trouble`` is empty while it is open."""

    def __init__(self, text: str, *, output: bool, consumer: str, edges: Edges = Edges.BOTH, buffer: int = 0) -> None:
        spec = parse_spec(text)
        self.address = spec.address
        self.consumer = consumer
        self.settings = dataclasses.replace(
            spec.settings,
            initial=False if output else None,
            edges=Edges.NONE if output else edges,
            buffer=0 if output else buffer,
        )
        self.trouble = f"{self.address}: not opened yet"
        self.level: bool | None = None
        """Last level that was read (input) or set (output); None while nothing is known."""
        self.at = -math.inf
        """When the line was last heard; the level was seen then."""
        self._line: Line | None = None
        self._next_open_at = -math.inf
        self._seek: Seek | None = None
        self._give_up_at = math.inf

    @property
    def is_open(self) -> bool:
        return self._line is not None

    def fileno(self) -> int | None:
        """To be watched: inputs only."""
        return None if self._line is None or self.settings.is_output else self._line.fileno()

    @property
    def seeking(self) -> bool:
        """The line was asked for; the answer is still out."""
        return self._seek is not None

    def open(self, now: float) -> bool:
        """Request the line if another try is due, or go on with the one that is out. Returns True when it has just
        been opened. Never waits."""
        if self._line is not None or now < self._next_open_at:
            return False
        try:
            self._line = self._go_on(now)
        except LineError as error:
            self._give_up()
            self._next_open_at = now + REOPEN_S
            self.trouble = str(error)
            return False
        if self._line is None:
            self._next_open_at = now + LOOK_AGAIN_S
            return False
        self._give_up()
        self._next_open_at = now + REOPEN_S
        self.trouble = ""
        if self.settings.is_output:
            self.level, self.at = False, now
        else:
            self.poll(now)
        return self.is_open

    def _go_on(self, now: float) -> Line | None:
        if self._seek is None:
            self._seek = seek(self.address, self.settings, self.consumer)
            self._give_up_at = now + PATIENCE_S
        line = self._seek.step()
        if line is None and now >= self._give_up_at:
            raise LineError(f"{self.address}: {MUTE}")
        return line

    def _give_up(self) -> None:
        """Also when the line is there: what was needed only to ask for it is let go."""
        attempt, self._seek = self._seek, None
        if attempt is not None:
            attempt.close()

    @property
    def next_open_at(self) -> float:
        return math.inf if self._line is not None else self._next_open_at

    def poll(self, now: float) -> None:
        """Look at the line: an input's level, an output's being there."""
        if self._line is None:
            return
        try:
            level = self._line.value()
        except LineError as error:
            self.lose(str(error))
            return
        if not self.settings.is_output:
            self.level = level
        self.at = max(self.at, now)

    def take(self, now: float) -> list[LineEvent]:
        """Return the edges since the last call. The level follows them."""
        if self._line is None:
            return []
        try:
            events = self._line.events()
        except LineError as error:
            self.lose(str(error))
            return []
        if events:
            self.level = events[-1].level
            self.at = max(self.at, now)
        return events

    def set(self, level: bool) -> bool:
        """Set an output. Repeats cost nothing. False when the line is not open."""
        if self._line is None:
            return False
        if level != self.level:
            try:
                self._line.set_value(level)
            except LineError as error:
                self.lose(str(error))
                return False
            self.level = level
        return True

    def lose(self, reason: str) -> None:
        line, self._line = self._line, None
        self.trouble = reason
        self._give_up()
        if self.settings.is_output:
            self.level = None  # an input's last level is left to age
        if line is not None:
            line.close()

    def close(self) -> None:
        if self._line is not None and self.settings.is_output:
            self.set(False)
        self.lose(f"{self.address}: closed")
