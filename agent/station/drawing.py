"""What an EVSE may still be drawing: a lowered offer is not a lowered current until the vehicle has followed it."""

from __future__ import annotations

from agent.station.evse import Evse

MARGIN_S = 1.0

FOLLOW_S = 5.0 + MARGIN_S
"""A vehicle follows a changed duty cycle within 5 s (IEC 61851-1 Table A.6, sequence 6)."""

OPEN_S = 6.0 + MARGIN_S
"""Control opens at the latest 6 s after it has taken the offer back (IEC 61851-1 Table A.6, sequence 10.1)."""

TOLERANCE_A = 0.5
"""Meters and vehicles are not exact; the feed's own protection is not either."""


class Drawing:
    """The most one EVSE may be drawing. Ampere per phase."""

    def __init__(self) -> None:
        self.most_a = 0.0
        self.until: float | None = None
        """When a lowered offer counts as followed, whatever the meter says (monotonic)."""
        self.guessed = False
        """``most_a`` is what the outlet could carry, because after our restart nobody has told yet what is drawn."""
        self._lower_a = 0.0
        self._since = 0.0

    def follow(self, evse: Evse, now: float) -> None:
        """Take the permit in force and the latest of control and meter."""
        lower_a, taken = _offered(evse)
        if lower_a >= self.most_a:
            self.most_a, self.until = lower_a, None
            self.guessed = evse.observation is None and evse.in_transaction
            return
        if not taken:
            return
        if self.until is None or lower_a < self._lower_a:
            self._since = now
            self.until = now + (FOLLOW_S if lower_a > 0 else OPEN_S)
        self._lower_a = lower_a
        if now >= self.until or self._followed(evse):
            self.most_a, self.until, self.guessed = lower_a, None, False

    def granted(self, current_a: float) -> None:
        """A permit for this goes out."""
        if current_a > self.most_a:
            self.most_a, self.until, self.guessed = current_a, None, False

    def has_a(self, evse: Evse) -> float:
        """Return what the vehicle has for sure: that much it may keep, whatever the others draw."""
        if not self.guessed:
            return self.most_a
        return 0.0 if evse.observation is None else min(evse.observation.offered_a, self.most_a)

    def _followed(self, evse: Evse) -> bool:
        if evse.observation is not None and evse.observation.contactor_closed is False:
            return True
        meter = evse.meter
        return (
            meter is not None
            and meter.at >= self._since
            and bool(meter.current_a)
            and max(meter.current_a) <= self._lower_a + TOLERANCE_A
        )


def _offered(evse: Evse) -> tuple[float, bool]:
    """Return what the vehicle is or will be offered, and whether control has taken up the latest word."""
    observation, permit = evse.observation, evse.permit
    permitted_a = permit.current_a if permit is not None else 0.0
    if observation is None:
        # Control goes on under a lease of before our restart; it tells within a second how much that is.
        return (evse.max_current_a if evse.in_transaction else permitted_a), False
    if permit is not None and observation.permit_serial == permit.serial and not observation.fail_safe:
        return permitted_a, True
    return max(permitted_a, observation.offered_a), permit is None and observation.offered_a <= 0
