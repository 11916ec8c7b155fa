"""What a meter's driver does to numbers before it calls them a reading."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hal.values import Quality

ENERGY_DIGITS = 1
"""Energy is handed out to 0.1 Wh. That hides the noise of binary fractions (12.3 kWh is 12300.000190734863 Wh as
a 32-bit float) and loses nothing: no meter of this class counts finer."""
MAX_POWER_W = 100_000.0
"""Above what any AC outlet delivers (3 × 80 A × 277 V is 66 kW): energy that grows faster is not believed."""
JUMP_ALLOWANCE_WH = 20.0
"""Two steps of the coarsest register in the field (0.01 kWh): a meter updates its register when it likes."""
CONFIRMATIONS = 10
"""So many readings in a row that agree with each other make a new base (a meter was replaced or has rolled over)."""


def energy_wh(value_wh: float) -> float:
    """Round to what is worth handing out."""
    return round(value_wh, ENERGY_DIGITS)


def float32_step(value: float) -> float:
    """Distance between neighbouring 32-bit floats at ``value``: what such a register cannot resolve.

    At 20 000 kWh that is 1.95 Wh."""
    if value == 0 or not math.isfinite(value):
        return 0.0
    return 2.0 ** (math.frexp(abs(value))[1] - 24)


@dataclass(slots=True)
class EnergyCheck:
    """Judges an energy register over time.

    SUSPECT is a reading below zero, or one that, against the last GOOD one, runs backwards, or forwards faster than
    ``MAX_POWER_W`` allows; each by more than the register's own step. A single wild reading leaves the base alone.
    After ``CONFIRMATIONS`` suspect readings that agree among themselves the new level becomes the base and is GOOD
    again: by then the break stands in ten records that say so.
    """

    step_wh: float = 0.0
    """Added tolerance: one step of the register."""
    _good: tuple[float, float] | None = None
    _suspect: tuple[float, float] | None = None
    _agreeing: int = 0

    def judge(self, energy_wh: float, at: float) -> Quality:
        if energy_wh < 0:
            return Quality.SUSPECT
        if self._good is None or self._plausible(self._good, energy_wh, at):
            self._good, self._suspect, self._agreeing = (energy_wh, at), None, 0
            return Quality.GOOD
        agrees = self._suspect is not None and self._plausible(self._suspect, energy_wh, at)
        self._agreeing = self._agreeing + 1 if agrees else 0
        self._suspect = (energy_wh, at)
        if self._agreeing >= CONFIRMATIONS:
            self._good, self._suspect, self._agreeing = (energy_wh, at), None, 0
            return Quality.GOOD
        return Quality.SUSPECT

    def _plausible(self, base: tuple[float, float], energy_wh: float, at: float) -> bool:
        grown_wh = energy_wh - base[0]
        step_wh = max(self.step_wh, float32_step(energy_wh))
        most_wh = MAX_POWER_W * max(0.0, at - base[1]) / 3600 + JUMP_ALLOWANCE_WH
        return -step_wh <= grown_wh <= most_wh + step_wh
