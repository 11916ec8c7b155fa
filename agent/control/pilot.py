"""From pilot readings to what the vehicle says: bands, hysteresis, debounce, diode and BCB toggle."""

from __future__ import annotations

from agent.control.timing import BCB_STABLE_S, BCB_WHOLE_S, DIODE_SETTLE_S, PILOT_STALE_S
from hal.values import PilotReading, PilotState

A, B, C, D, E, F = (PilotState(letter) for letter in "ABCDEF")
INVALID = PilotState.INVALID

F_BAND_V = (-13.0, -11.0)
"""Band of the negative peak, and of state F."""


def classify(high_v: float, previous: PilotState | None) -> PilotState:
    """Return the state of a positive peak in volts. ``previous`` decides between two bands (iec61851.md §1.1)."""
    if high_v > 13.0:
        return INVALID
    if high_v >= 11.0:
        return A
    if high_v > 10.0:
        return A if previous is A else B
    if high_v >= 8.0:
        return B
    if high_v > 7.0:
        return B if previous is B else C
    if high_v >= 5.0:
        return C
    if high_v > 4.0:
        return C if previous is C else D
    if high_v >= 2.0:
        return D
    if high_v >= -2.0:  # −2 … −1 V counts as E too: chargebyte's choice, ours as well
        return E
    if F_BAND_V[0] <= high_v <= F_BAND_V[1]:
        return F
    return INVALID  # also for NaN, which fails every comparison


class PilotClassifier:
    """Debounced state of the pilot. ``state`` is None while nothing fresh is known."""

    __slots__ = ("_candidate", "_last_at", "_previous", "measured", "state")

    def __init__(self) -> None:
        self.state: PilotState | None = None
        self.measured = False
        """The state is our own, from volts; False: a board classified it."""
        self._candidate: PilotState | None = None
        self._previous: PilotState | None = None
        self._last_at = float("-inf")

    def update(self, reading: PilotReading | None, now: float) -> bool:
        """Take a reading. Returns True when a measured pilot has become stale.

        A board that classifies tells changes only; whether it lives is judged by its life sign, not here.
        """
        if reading is None:
            self.state = None
            return False
        if reading.state is not None:
            self.measured = False
            self.state = self._previous = reading.state
            return False
        self.measured = True
        if now - reading.at > PILOT_STALE_S or reading.high_v is None:
            self.state = self._candidate = None
            return True
        if reading.at == self._last_at:
            return False
        self._last_at = reading.at
        raw = classify(reading.high_v, self._previous)
        if raw is not self.state:
            leaves_c = self.state in (C, D)  # opening is never debounced
            twice = raw is self._candidate
            if twice or (leaves_c and raw is not C):
                self.state = self._previous = raw
        self._candidate = raw
        return False


class DiodeCheck:
    """The negative peak must stay at −12 V while PWM runs (iec61851.md §1.2). For measured pilots only."""

    __slots__ = ("_bad", "_last_at", "ok")

    def __init__(self) -> None:
        self.ok = False
        """Passed since PWM was last switched on."""
        self._bad = 0
        self._last_at = float("-inf")

    def update(self, reading: PilotReading | None, pwm_since: float | None) -> bool:
        """Take a reading; ``pwm_since`` is when PWM started, None while steady. Returns True on a diode fault."""
        if pwm_since is None:
            self.ok = False
            self._bad = 0
            return False
        if reading is None or reading.low_v is None or reading.at < pwm_since + DIODE_SETTLE_S:
            return False
        if reading.at != self._last_at:
            self._last_at = reading.at
            if F_BAND_V[0] <= reading.low_v <= F_BAND_V[1]:
                self._bad = 0
                self.ok = True
            else:
                self._bad += 1
                self.ok = False
        return self._bad >= 2


class ToggleGuard:
    """Keeps the contactor open during a BCB toggle (iec61851.md §3.1).

    A toggle may be running for ``BCB_WHOLE_S`` after the pilot started, and after each C that was too short to mean
    it. In that time a C that came from B counts only once it is stable. A vehicle that goes from A to C at once does
    not toggle.
    """

    __slots__ = ("_c_since", "_from_b", "_possible_until", "_previous", "_pwm_since")

    def __init__(self) -> None:
        self._previous: PilotState | None = None
        self._c_since: float | None = None
        self._from_b = False
        self._possible_until = float("-inf")
        self._pwm_since: float | None = None

    def update(self, state: PilotState | None, pwm_since: float | None, now: float) -> bool:
        """Return True when a C (or D) may be acted upon."""
        if pwm_since != self._pwm_since:
            self._pwm_since = pwm_since
            if pwm_since is not None and self._c_since is None:
                self._possible_until = now + BCB_WHOLE_S
        ready = state in (C, D)
        if ready and self._c_since is None:
            self._c_since = now
            self._from_b = self._previous is B
            if not self._from_b:
                self._possible_until = float("-inf")
        elif not ready and self._c_since is not None:
            if self._from_b and state is B and now - self._c_since < BCB_STABLE_S:
                self._possible_until = max(self._possible_until, self._c_since + BCB_WHOLE_S)
            self._c_since = None
        if state is not None:
            self._previous = state
        if self._c_since is None:
            return False
        guarded = self._from_b and self._c_since <= self._possible_until
        return not guarded or now - self._c_since >= BCB_STABLE_S
