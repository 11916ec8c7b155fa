"""Temperature in three tiers: less current, pause, open (iec61851.md §10)."""

from __future__ import annotations

import math

from agent.config.schema import Temperature
from agent.control.faults import Condition, FaultPilot
from agent.control.timing import TEMPERATURE_STALE_S
from hal.duty import MIN_CURRENT_A
from hal.values import TemperatureReading


class TemperatureWatch:
    """Hottest sensor decides. ``celsius`` is None while no sensor has told a number."""

    __slots__ = ("_hot", "_rule", "celsius")

    def __init__(self, rule: Temperature) -> None:
        self._rule = rule
        self._hot = False
        self.celsius: float | None = None

    def update(self, readings: tuple[TemperatureReading, ...], now: float) -> Condition | None:
        values = [r.value_c for r in readings if r.value_c is not None and now - r.at <= TEMPERATURE_STALE_S]
        self.celsius = max(values, default=None)
        if len(values) < len(readings) or any(not math.isfinite(v) for v in values):
            self._hot = True
            self.celsius = None if not values or not math.isfinite(max(values)) else max(values)
            return Condition("a temperature sensor is broken or silent, which counts as too hot")
        if self.celsius is None:
            return None
        rule = self._rule
        if self.celsius >= rule.open_c:
            self._hot = True
            return Condition(f"{self.celsius:.0f} °C", open_after_s=0.0, pilot=FaultPilot.F)
        if self.celsius >= rule.pause_c or (self._hot and self.celsius > rule.pause_c - rule.hysteresis_c):
            self._hot = True
            return Condition(f"{self.celsius:.0f} °C")
        self._hot = False
        return None

    def limit_a(self, full_a: float) -> float:
        """Return the current allowed at this temperature: ``full_a`` up to T1, falling in a line to 6 A at T2."""
        rule, celsius = self._rule, self.celsius
        if celsius is None or celsius <= rule.derate_c:
            return full_a
        if celsius >= rule.pause_c:
            return MIN_CURRENT_A  # the pause itself is the fault's doing
        share = (rule.pause_c - celsius) / (rule.pause_c - rule.derate_c)
        return MIN_CURRENT_A + (full_a - MIN_CURRENT_A) * share
