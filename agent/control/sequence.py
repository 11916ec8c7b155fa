"""Pilot and contactor in the order of IEC 61851-1 Table A.6. The only place that commands the contactor.

The contactor closes in ``_open`` and nowhere else, and there only in C2 (or D2 where ventilated) with no hold left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.control.timing import STOP_S, T_STEP_X1_S, X1_AFTER_F_S


class Pilot(Enum):
    """Kind of pilot that is commanded."""

    F = "F"
    X1 = "x1"
    PWM = "pwm"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the sequence decides by. ``*_hold`` name the first reason against it, empty for none."""

    energy: bool
    """The vehicle is in C, or in D where ventilated, stable where a toggle may run."""
    keeps_energy: bool
    """The same without the stability rule: false opens a closed contactor at once."""
    vehicle_there: bool
    """State B, C or D; False: A or unknown."""
    offer_hold: str
    """Why there may be no PWM."""
    start_hold: str
    """Why PWM may not be switched on, though it may stay."""
    close_hold: str
    """Why the contactor may not close in C2."""
    open_by: float | None
    """When a fault wants the contactor open at the latest."""
    steady: Pilot
    """Pilot to show without PWM: x1 or F."""


class Sequence:
    """State of pilot and contactor of one EVSE, as commanded."""

    __slots__ = (
        "_may_offer_at",
        "closed",
        "closed_at",
        "opened_at",
        "opened_because",
        "pilot",
        "pilot_since",
        "stop_since",
        "switched_at",
    )

    def __init__(self, now: float) -> None:
        self.closed = False
        self.pilot = Pilot.X1
        self.pilot_since = now
        self.switched_at = now
        """Last change of the contactor command, or the start."""
        self.closed_at = self.opened_at = float("-inf")
        self.stop_since: float | None = None
        """PWM was taken away from a closed contactor; it opens in B or after 6 s."""
        self.opened_because = ""
        self._may_offer_at = now

    @property
    def pwm_since(self) -> float | None:
        return self.pilot_since if self.pilot is Pilot.PWM else None

    def step(self, it: Situation, now: float) -> None:
        self.opened_because = ""
        if self.closed:
            self._closed(it, now)
        if not self.closed:
            self._open(it, now)

    def _closed(self, it: Situation, now: float) -> None:
        if not it.keeps_energy:  # Table A.6 sequences 2.1, 2.2, 8.1, 8.2: within 100 ms
            self._open_contactor("the vehicle left state C", now)
            return
        if it.offer_hold and self.stop_since is None:  # sequences 9, 10.1: PWM away first
            self.stop_since = now
        if it.open_by is not None and now >= it.open_by:  # sequences 11, 12, and every protection
            self._open_contactor(it.offer_hold or "fault", now)
            return
        if self.stop_since is None:
            return
        if now - self.stop_since >= STOP_S:  # sequence 10.2: the vehicle ignores it
            self._open_contactor(f"{it.offer_hold or 'stop'}; the vehicle did not leave state C", now)
            return
        self._set_pilot(Pilot.X1, now)

    def _open(self, it: Situation, now: float) -> None:
        if it.offer_hold or not it.vehicle_there:
            self._set_pilot(it.steady, now)
            return
        if self.pilot is not Pilot.PWM:
            if it.start_hold or it.steady is Pilot.F or now < self._may_offer_at:
                self._set_pilot(it.steady, now)
                return
            self._set_pilot(Pilot.PWM, now)  # sequences 3.1, 3.2
        if it.energy and not it.close_hold:  # sequence 4
            self.closed = True
            self.switched_at = self.closed_at = now

    def _open_contactor(self, why: str, now: float) -> None:
        self.closed = False
        self.switched_at = self.opened_at = now
        self.stop_since = None
        self.opened_because = why

    def _set_pilot(self, pilot: Pilot, now: float) -> None:
        if pilot is self.pilot:
            return
        if self.pilot is Pilot.PWM:
            self._may_offer_at = now + T_STEP_X1_S
        elif self.pilot is Pilot.F:
            self._may_offer_at = max(self._may_offer_at, now + X1_AFTER_F_S)
        self.pilot = pilot
        self.pilot_since = now
