"""One or three phases: only while open, after a pause, not too often, and never L1 (iec61851.md §5).

Which contacts a number of phases means is the board's wiring: 1 is always L1 alone.
"""

from __future__ import annotations

from agent.control.timing import PHASE_SWITCH_INTERVAL_S, PHASE_SWITCH_PAUSE_S


class PhaseSwitch:
    """Chooses the phases for the next close."""

    __slots__ = ("_changed_at", "_fresh", "_steady_since", "_wired", "phases")

    def __init__(self, wired: int) -> None:
        self._wired = wired
        self._changed_at = float("-inf")
        self._fresh = True
        self._steady_since: float | None = None
        self.phases = wired

    def vehicle_left(self) -> None:
        self._fresh = True

    def offered(self) -> None:
        """PWM was switched on: the vehicle has seen these phases, from now on a change needs the pause."""
        self._fresh = False

    def update(self, permitted: int | None, steady: bool, fixed: bool, now: float) -> bool:
        """Return True while no offer may be made.

        ``permitted``: phases of the permit, None without one; ``steady``: contactor open for sure and no PWM;
        ``fixed``: the hardware cannot switch phases.
        """
        if not steady:
            self._steady_since = None
        elif self._steady_since is None:
            self._steady_since = now
        if permitted is None or self._wired == 1:
            return False
        wanted = self._wired if permitted >= self._wired else 1
        if wanted == self.phases:
            return False
        if fixed:
            return wanted < self.phases
        if self._fresh and steady:
            self._change(wanted, now)
            return False
        if not self._fresh and now - self._changed_at < PHASE_SWITCH_INTERVAL_S:
            return wanted < self.phases  # more phases can wait, fewer must be obeyed
        if self._steady_since is not None and now - self._steady_since >= PHASE_SWITCH_PAUSE_S:
            self._change(wanted, now)
            return False
        return True

    def _change(self, phases: int, now: float) -> None:
        self.phases = phases
        self._changed_at = now
