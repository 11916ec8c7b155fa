"""The control pilot circuit: the EVSE's ±12 V source behind 1 kΩ, and what the vehicle hangs on it.

Figures: IEC 61851-1 Annex A as quoted by TI design guide JAJU858 (resistors) and Fluke FEV300 manual p. 11
(meaning of the duty cycle).
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE_V = 12.0
SOURCE_OHM = 1000.0
DIODE_DROP_V = 0.7
R_PRESENT_OHM = 2740.0
"""Always there: turns A into B."""
R_READY_OHM = 1300.0
"""Switched parallel by S2: turns B into C."""
R_VENTILATION_OHM = 270.3
"""Switched parallel by S2 instead, by a vehicle that needs ventilation: 246 Ω in total, turns B into D."""
R_SHORT_OHM = 80.0
"""The short circuit from CP to PE that IEC 61851-1 A.4.9 tests with."""


@dataclass(frozen=True, slots=True)
class Load:
    """What hangs between CP and PE.

    ``resistance_ohm`` stands behind the diode (None: nothing there). ``diode`` False: the diode is bridged and the
    resistance loads both half-waves. ``shunt_ohm`` lies directly from CP to PE, before the diode.
    """

    resistance_ohm: float | None = None
    diode: bool = True
    shunt_ohm: float | None = None


NOTHING = Load()


def parallel_ohm(first_ohm: float, second_ohm: float) -> float:
    return first_ohm * second_ohm / (first_ohm + second_ohm)


def cp_level_v(source_v: float, load: Load) -> float:
    """Voltage at CP in volts for a steady source of ``source_v``."""
    open_v, ohm = source_v, SOURCE_OHM
    if load.shunt_ohm is not None:
        # Thévenin equivalent of source and shunt.
        open_v = source_v * load.shunt_ohm / (SOURCE_OHM + load.shunt_ohm)
        ohm = parallel_ohm(SOURCE_OHM, load.shunt_ohm)
    if load.resistance_ohm is None:
        return open_v
    if not load.diode:
        return open_v * load.resistance_ohm / (ohm + load.resistance_ohm)
    if open_v <= DIODE_DROP_V:
        return open_v
    return DIODE_DROP_V + (open_v - DIODE_DROP_V) * load.resistance_ohm / (ohm + load.resistance_ohm)


def peaks_v(duty_pct: float, load: Load, powered: bool = True) -> tuple[float, float]:
    """Return (high, low) peak of the pilot in volts for the duty cycle the EVSE generates.

    0 is steady −12 V and 100 steady +12 V: both peaks are then the same. ``powered`` False: the generator is dead.
    """
    if not powered:
        return 0.0, 0.0
    high_v = cp_level_v(SOURCE_V, load)
    low_v = cp_level_v(-SOURCE_V, load)
    if duty_pct <= 0.0:
        return low_v, low_v
    if duty_pct >= 100.0:
        return high_v, high_v
    return high_v, low_v


def offered_current_a(duty_pct: float) -> float:
    """Current per phase in ampere that a duty cycle allows the vehicle; 0 where it must not charge by it.

    5 % (3 … 7 %) asks for digital communication and gives no analogue limit, so it is 0 here too.
    """
    if duty_pct < 8.0 or duty_pct > 97.0:
        return 0.0
    if duty_pct < 10.0:
        return 6.0
    if duty_pct <= 85.0:
        return duty_pct * 0.6
    if duty_pct <= 96.0:
        return (duty_pct - 64.0) * 2.5
    return 80.0
