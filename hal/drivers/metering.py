"""What a meter's driver does to numbers before it calls them a reading. Pure: times are given."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hal.values import Quality

ENERGY_DIGITS = 1
"""Energy is handed out to 0.1 Wh. That hides the noise of binary fractions (12.3 kWh is 12300.000190734863 Wh as
a 32-bit float) and loses nothing: no meter of this class counts finer."""
MAX_POWER_W = 100_000.0
"""Above what any AC outlet delivers (3 × 80 A × 277 V is 66 kW): energy that grows faster is not believed."""
MAX_PHASE_V = 277.0
"""Highest phase voltage of the supplies that chargers hang on (480 V three-phase)."""
RATED_MARGIN = 1.25
"""Meters measure somewhat beyond their rating, and breakers carry somewhat beyond theirs."""
JUMP_ALLOWANCE_WH = 20.0
"""Two steps of the coarsest float register in the field (0.01 kWh): a meter updates its register when it likes."""
CONFIRMATIONS = 10
"""So many readings in a row that agree with each other make a new base (a meter was replaced)."""
ROLL_OVER_CONFIRMATIONS = 3
"""So many readings in a row that fit a roll-over make it one."""
FROZEN_WH = 100.0
FROZEN_STEPS = 3
"""Energy that must have flowed, by the meter's own power, while its register stood still (the larger of the two)."""
LONGEST_GAP_S = 60.0
"""Power is not assumed to have lasted longer than this between two readings."""
SMALL_POWER_VA = 1000.0
"""Below this, and below a tenth of what volts and amperes make, a power register is not taken for its word."""
APPARENT_SHARE = 0.5

LIMITS = {
    "voltage_v": 1000.0,
    "power_w": 1_000_000.0,
    "frequency_hz": 1000.0,
    "power_factor": 2.0,
    "current_a": 1000.0,
}
"""Largest amount of each that any meter of this class shows. Beyond: wrong map or word order, or a damaged meter."""
IMPOSSIBLE_TIMES_RATED = 10.0


def energy_wh(value_wh: float) -> float:
    """Round to what is worth handing out."""
    return round(value_wh, ENERGY_DIGITS)


def float32_step(value: float) -> float:
    """Distance between neighbouring 32-bit floats at ``value``: what such a register cannot resolve.

    At 20 000 kWh that is 1.95 Wh."""
    if value == 0 or not math.isfinite(value):
        return 0.0
    return 2.0 ** (math.frexp(abs(value))[1] - 24)


def most_power_w(max_current_a: float, phases: int) -> float:
    """Return the power above which energy is not believed, from the rating in ampere (0: not known)."""
    return max_current_a * phases * MAX_PHASE_V * RATED_MARGIN if max_current_a else MAX_POWER_W


def impossible(key: str, value: float, max_current_a: float = 0.0) -> bool:
    """Tell whether a meter can show ``value`` under ``key`` (names as in a register map) at all."""
    limit = LIMITS.get(key, math.inf)
    if key == "current_a" and max_current_a:
        limit = IMPOSSIBLE_TIMES_RATED * max_current_a
    return not abs(value) <= limit


def active_power_w(power_w: float | None, voltage_v: tuple[float, ...], current_a: tuple[float, ...]) -> float:
    """Return the power that certainly flows into the load by the meter's own values; never negative.

    A power register that shows (nearly) nothing while volts and amperes show much is not believed: half of the apparent
    power is taken, since no vehicle has a power factor below that."""
    apparent_va = sum(abs(v * a) for v, a in zip(voltage_v, current_a, strict=False))
    if apparent_va > SMALL_POWER_VA and (power_w is None or abs(power_w) < apparent_va / 10):
        return apparent_va * APPARENT_SHARE
    return max(0.0, power_w or 0.0)


@dataclass(slots=True)
class EnergyCheck:
    """Judges an energy register over time.

    SUSPECT is a reading below zero, or one that, against the last GOOD one, runs backwards, or forwards faster than
    ``max_power_w`` allows; each by more than the register's own step. A single wild reading leaves the base alone.
    After ``CONFIRMATIONS`` suspect readings that agree among themselves the new level becomes the base and is GOOD
    again: by then the break stands in ten records that say so.
    """

    step_wh: float = 0.0
    """Added tolerance: one step of the register."""
    max_power_w: float = MAX_POWER_W
    rebased: bool = False
    """The last reading became a new base after a break."""
    _good: tuple[float, float] | None = None
    _suspect: tuple[float, float] | None = None
    _agreeing: int = 0

    def judge(self, energy_wh: float, at: float) -> Quality:
        self.rebased = False
        if energy_wh < 0:
            return Quality.SUSPECT
        if self.fits(energy_wh, at):
            self.restart(energy_wh, at)
            return Quality.GOOD
        agrees = self._suspect is not None and self._plausible(self._suspect, energy_wh, at)
        self._agreeing = self._agreeing + 1 if agrees else 0
        self._suspect = (energy_wh, at)
        if self._agreeing >= CONFIRMATIONS:
            self.restart(energy_wh, at)
            self.rebased = True
            return Quality.GOOD
        return Quality.SUSPECT

    def fits(self, energy_wh: float, at: float) -> bool:
        """Tell whether ``energy_wh`` continues the last good reading. The first of all does."""
        return self._good is None or self._plausible(self._good, energy_wh, at)

    def restart(self, energy_wh: float, at: float) -> None:
        """Take this reading for the base."""
        self._good, self._suspect, self._agreeing = (energy_wh, at), None, 0

    def why(self, energy_wh: float) -> str:
        """Say what is wrong with a reading that was just found suspect."""
        if energy_wh < 0 or self._good is None:
            return f"shows {energy_wh:.0f} Wh, less than nothing"
        return f"went from {self._good[0]:.0f} to {energy_wh:.0f} Wh"

    def _plausible(self, base: tuple[float, float], energy_wh: float, at: float) -> bool:
        grown_wh = energy_wh - base[0]
        step_wh = max(self.step_wh, float32_step(energy_wh))
        most_wh = self.max_power_w * max(0.0, at - base[1]) / 3600 + JUMP_ALLOWANCE_WH
        return -step_wh <= grown_wh <= most_wh + step_wh


@dataclass(slots=True)
class FrozenWatch:
    """Notices a register that stands still while the meter itself shows that energy flows.

    Without power, no one can tell a frozen meter from an idle one."""

    step_wh: float = 0.0
    _last: tuple[float, float] | None = None
    _unseen_wh: float = 0.0

    def update(self, energy_wh: float, at: float, active_w: float) -> bool:
        """Return True while the register is taken for frozen. ``active_w``: what flows by the meter's own values."""
        last, self._last = self._last, (energy_wh, at)
        if last is None or last[0] != energy_wh:
            self._unseen_wh = 0.0
            return False
        self._unseen_wh += active_w * min(max(0.0, at - last[1]), LONGEST_GAP_S) / 3600
        return self.is_frozen

    @property
    def is_frozen(self) -> bool:
        return self._unseen_wh > max(FROZEN_WH, FROZEN_STEPS * self.step_wh)


@dataclass(frozen=True, slots=True)
class Judged:
    """``energy_wh`` to hand out, its quality, and what is to be said of it: ``doubt`` is empty when it is good."""

    energy_wh: float
    quality: Quality
    doubt: str = ""


@dataclass(slots=True)
class EnergyRegister:
    """One meter's energy register as it is to be billed from: checked, and continued over a roll-over.

    A register whose size is known (``rollover_wh``) and that falls to where it would be had it passed its end is
    continued beyond it, so that a bill never sees it jump. The first readings after it are SUSPECT, until
    ``ROLL_OVER_CONFIRMATIONS`` in a row fit. What was added is forgotten with this object (a restart of the process),
    and when another meter is put in its place.
    """

    step_wh: float = 0.0
    max_power_w: float = MAX_POWER_W
    rollover_wh: float = 0.0
    """Where it starts from nothing again; 0: not known."""
    turns: int = 0
    """How often it has rolled over since this object was made."""
    _check: EnergyCheck = field(init=False)
    _frozen: FrozenWatch = field(init=False)
    _turning: int = 0

    def __post_init__(self) -> None:
        self._check = EnergyCheck(self.step_wh, self.max_power_w)
        self._frozen = FrozenWatch(self.step_wh)

    def take(self, raw_wh: float, at: float, active_w: float = 0.0) -> Judged:
        """Judge what the register shows at ``at``; ``active_w`` flows into the load by the meter's own values."""
        frozen = self._frozen.update(raw_wh, at, active_w)
        shown_wh = raw_wh + self.turns * self.rollover_wh
        if self._has_turned(raw_wh, shown_wh, at):
            self._turning += 1
            if self._turning < ROLL_OVER_CONFIRMATIONS:
                return Judged(energy_wh(shown_wh), Quality.SUSPECT, "the energy register may have rolled over")
            self.turns += 1
            shown_wh += self.rollover_wh
        self._turning = 0
        if frozen:
            return Judged(
                energy_wh(shown_wh), Quality.SUSPECT, "the energy register stands still though the meter shows power"
            )
        why = self._check.why(shown_wh)
        quality = self._check.judge(energy_wh(shown_wh), at)
        if self._check.rebased and self.turns:
            self.turns, shown_wh = 0, raw_wh
            self._check.restart(energy_wh(raw_wh), at)
        doubt = f"the energy register {why}; if it lasts, another meter answers" if quality is Quality.SUSPECT else ""
        return Judged(energy_wh(shown_wh), quality, doubt)

    def _has_turned(self, raw_wh: float, shown_wh: float, at: float) -> bool:
        if not 0 <= raw_wh < self.rollover_wh or self._check.fits(shown_wh, at):
            return False
        return self._check.fits(shown_wh + self.rollover_wh, at)
