"""A battery that fills: full power up to a bend, then less and less, then none."""

from __future__ import annotations

from dataclasses import dataclass

EFFICIENCY = 0.9
"""Share of the AC energy that reaches the cells (a typical on-board charger; own choice)."""
TAPER_FROM = 0.97
"""State of charge at which the battery begins to take less."""
TAPER_FLOOR = 0.1
"""Share of the charger's power that it still takes just before full."""
FULL = 1.0


@dataclass(slots=True)
class Battery:
    """``capacity_wh`` usable, ``stored_wh`` in it."""

    capacity_wh: float
    stored_wh: float

    @property
    def soc(self) -> float:
        """State of charge, 0 … 1."""
        return self.stored_wh / self.capacity_wh

    @property
    def full(self) -> bool:
        return self.stored_wh >= self.capacity_wh

    def acceptance(self) -> float:
        """Share of the charger's power that the battery takes now, 0 … 1."""
        if self.full:
            return 0.0
        if self.soc <= TAPER_FROM:
            return 1.0
        return max(TAPER_FLOOR, (FULL - self.soc) / (FULL - TAPER_FROM))

    def fill(self, ac_energy_wh: float) -> None:
        """Take in energy measured at the AC side. Never overfills."""
        self.stored_wh = min(self.capacity_wh, self.stored_wh + ac_energy_wh * EFFICIENCY)
