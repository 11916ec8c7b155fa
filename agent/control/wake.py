"""The one wake-up of a vehicle that sleeps in B2 (IEC 61851-1 A.5.3)."""

from __future__ import annotations

from agent.control.timing import STATE_F_S, WAKE_UP_AFTER_S, WAKE_UP_PATIENCE_S
from hal.values import PILOT_F_PCT, PILOT_X1_PCT


class WakeUp:
    """Once per offer: after 30 s in B2 without C, state F for 4 s, x1, then the offer again."""

    __slots__ = ("_b2_since", "_f_until", "_served", "_used_at")

    def __init__(self) -> None:
        self._b2_since: float | None = None
        self._f_until: float | None = None
        self._used_at: float | None = None
        self._served = False

    def reset(self) -> None:
        """The offer ended, or the vehicle left: the next offer may wake it once."""
        self._b2_since = self._f_until = self._used_at = None
        self._served = False

    def served(self) -> None:
        """The vehicle asked for energy: it has understood the offer, and may rest in B2 as long as it likes."""
        self.reset()
        self._served = True

    def steady_pct(self, now: float) -> float | None:
        """Return the steady pilot of a wake-up that runs, None when none does."""
        if self._f_until is None:
            return None
        return PILOT_F_PCT if now < self._f_until else PILOT_X1_PCT

    @property
    def running(self) -> bool:
        return self._f_until is not None

    def update(self, in_b2: bool, now: float) -> None:
        """``in_b2``: PWM is on and the vehicle is in B."""
        if not in_b2 or self._served:
            return
        self._f_until = None
        if self._b2_since is None:
            self._b2_since = now
        elif self._used_at is None and now - self._b2_since >= WAKE_UP_AFTER_S:
            self._used_at = now + STATE_F_S
            self._f_until = self._used_at

    def asleep(self, now: float) -> bool:
        """The wake-up did not help."""
        return self._used_at is not None and now - self._used_at >= WAKE_UP_PATIENCE_S
