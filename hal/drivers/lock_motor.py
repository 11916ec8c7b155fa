"""The motor or bolt that locks a plug, whatever its outputs hang on: timed drive, a rest before it turns. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

MAX_PULSE_MS = 4000.0
"""Motors are driven 600 ms as a rule and never longer than this (chargebyte)."""
DEAD_TIME_S = 0.1
"""Both halves of the bridge rest so long before the motor turns the other way. Own."""


class LockMotor:
    """Only a new command drives the motor: repeats do not.

    ``drive(towards_locked, on)`` sets one output and returns whether it holds that now. ``bolt``: there is one output
    only, which holds a bolt locked while it is on. ``settle_s``: after that the switch is believed.
    """

    def __init__(self, drive: Callable[[bool, bool], bool], pulse_s: float, settle_s: float, *, bolt: bool) -> None:
        self._drive = drive
        self._pulse_s = pulse_s
        self._settle_s = settle_s
        self._bolt = bolt
        self._wanted: bool | None = None
        self._begins_at: float | None = None
        """A drive that waits for the bridge to rest."""
        self._driven_since: float | None = None
        self._rests_until = -math.inf
        self._settled_at = -math.inf

    def set(self, locked: bool, now: float) -> None:
        if locked is self._wanted:
            return
        self._wanted = locked
        if self._bolt:
            self._drive(True, locked)
            self._settled_at = now + self._settle_s
            return
        if self._driven_since is not None:
            self._rest(now)
        self._begins_at = max(now, self._rests_until)
        self.on_timer(now)

    def moving(self, at: float) -> bool:
        """Whether what the switch showed at that time is not its last word: the motor turned, or had just turned."""
        return self._begins_at is not None or self._driven_since is not None or at < self._settled_at

    def on_timer(self, now: float) -> float:
        """Do what is due; return when to come again, infinity for no need."""
        if self._driven_since is not None and now - self._driven_since >= self._pulse_s:
            self._rest(now)
        if self._begins_at is not None and now >= self._begins_at:
            self._begins_at = None
            if self._drive(bool(self._wanted), True):
                self._driven_since = now
        if self._driven_since is not None:
            return self._driven_since + self._pulse_s
        if self._begins_at is not None:
            return self._begins_at
        return self._settled_at if now < self._settled_at else math.inf

    def stop(self, now: float) -> None:
        """Motor off. A bolt stays as it is."""
        self._begins_at = None
        if self._driven_since is not None:
            self._rest(now)

    def forget(self, now: float) -> None:
        """The outputs were lost: motor off, and the next command drives it whatever was wanted before."""
        self._wanted = None
        self.stop(now)

    def _rest(self, now: float) -> None:
        for half in (True, False):
            self._drive(half, False)
        self._driven_since = None
        self._rests_until = now + DEAD_TIME_S
        self._settled_at = now + self._settle_s
