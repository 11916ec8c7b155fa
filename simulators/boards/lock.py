"""The socket's lock: a motor that takes time and a switch that tells where the bolt is."""

from __future__ import annotations

TRAVEL_S = 0.4
STUCK_S = 0.8
"""After so long without arriving the motor is switched off and the failure reported."""


class LockMotor:
    """``locked`` is what the switch tells: None while the bolt moves. ``feedback_lost``: the switch has come off."""

    def __init__(self) -> None:
        self._switch: bool | None = False
        self.failed = False
        self.stuck = False
        self.feedback_lost = False
        self._bolt = False
        self._target = False
        self._since: float | None = None

    @property
    def locked(self) -> bool | None:
        return None if self.feedback_lost else self._switch

    def drive(self, locked: bool, now: float) -> None:
        if locked == self._target and (self._since is not None or self._bolt == locked):
            return
        self._target = locked
        self._since = now
        self._switch = None

    def step(self, now: float) -> bool:
        """Let the bolt move. True while it does."""
        if self._since is None:
            return False
        elapsed_s = now - self._since
        if not self.stuck and elapsed_s >= TRAVEL_S:
            self._bolt = self._target
            self._switch = self._bolt
            self.failed = False
            self._since = None
        elif self.stuck and elapsed_s >= STUCK_S:
            self._switch = self._bolt
            self.failed = True
            self._since = None
        return self._since is not None
