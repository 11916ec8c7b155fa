"""The contactor: a coil, contacts that take their time, and a mirror contact that tells of them."""

from __future__ import annotations

CLOSE_S = 0.025
OPEN_S = 0.012
LATE_FEEDBACK_S = 1.5


class Contactor:
    """``closed`` is what the main contacts do, ``feedback`` what the mirror contact says."""

    def __init__(self) -> None:
        self.coil = False
        self.closed = False
        self.feedback = False
        self.three_phases = True
        self.welded = False
        self.stuck_open = False
        self.late_feedback = False
        self._moved_at = 0.0
        self._told_at = 0.0
        self._wanted_three = True

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        rest = self.closed and self.three_phases
        return (self.closed, rest, rest)

    def energise(self, coil: bool, now: float) -> None:
        if coil != self.coil:
            self.coil = coil
            self._moved_at = now

    def select(self, three_phases: bool) -> None:
        """Choose the poles for the next close; never moves under load."""
        self._wanted_three = three_phases

    def step(self, now: float) -> bool:
        """Let the contacts move. True while anything still is to move."""
        delay_s = CLOSE_S if self.coil else OPEN_S
        if self.coil != self.closed and now - self._moved_at >= delay_s:
            blocked = self.stuck_open if self.coil else self.welded
            if not blocked:
                if self.coil:
                    self.three_phases = self._wanted_three
                self.closed = self.coil
                self._told_at = now + (LATE_FEEDBACK_S if self.late_feedback else 0.0)
        if self.feedback != self.closed and now >= self._told_at:
            self.feedback = self.closed
        return self.coil != self.closed or self.feedback != self.closed
