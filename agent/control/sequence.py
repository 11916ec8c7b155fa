"""Pilot and contactor in the order of IEC 61851-1 Table A.6. The only place that commands the contactor.

The contactor closes in ``_open`` and nowhere else, and there only in C2 (or D2 where ventilated) with no hold left.
Where a charge controller closes by itself, ``_follow`` takes that place.
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
    follows: bool = False
    """A charge controller closes and opens by itself; what would keep it from closing must keep it from the offer."""
    contacts: bool | None = None
    """Its contacts as read; None where it does not tell."""


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
        "steady_since",
        "stop_since",
        "switched_at",
    )

    def __init__(self, now: float) -> None:
        self.closed = False
        self.pilot = Pilot.X1
        self.pilot_since = now
        self.steady_since: float | None = now
        """Since when there is no PWM, be it x1 or F; None while there is."""
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
        if it.follows:
            self._follow(it, now)
            return
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
            self._close_contactor(now)

    def _follow(self, it: Situation, now: float) -> None:
        """A charge controller: what it has closed while we offer counts as closed by us. The open command and a steady
        pilot always go together, so every reason against the offer opens at once; the controller gives the vehicle the
        time of sequence 10 by itself."""
        if it.offer_hold or not it.vehicle_there:
            if self.closed:
                self._open_contactor(it.offer_hold or "the vehicle left", now)
            self._set_pilot(it.steady, now)
            return
        if self.closed and not it.keeps_energy:
            self._open_contactor("the vehicle left state C", now)
        elif self.closed and it.contacts is False:
            self._open_contactor("the controller opened", now)
        if self.pilot is not Pilot.PWM:
            if it.start_hold or it.steady is Pilot.F or now < self._may_offer_at:
                self._set_pilot(it.steady, now)
                return
            self._set_pilot(Pilot.PWM, now)
            return  # contacts read now are from before the offer
        if not self.closed and it.energy and it.contacts is not False:
            self._close_contactor(now)

    def _close_contactor(self, now: float) -> None:
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
            self.steady_since = now
        elif self.pilot is Pilot.F:
            self._may_offer_at = max(self._may_offer_at, now + X1_AFTER_F_S)
        if pilot is Pilot.PWM:
            self.steady_since = None
        self.pilot = pilot
        self.pilot_since = now
