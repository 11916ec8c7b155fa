"""Resistors behind a divider: the plug's coding and temperature sensors. Pure."""

from __future__ import annotations

import math
from enum import Enum

from hal.values import Cable

MIN_C, MAX_C = -50.0, 200.0
"""Outside, a sensor is broken or missing."""
KELVIN = 273.15

# Type 2 coding resistors with the ranges that are accepted (iec61851.md §6.1, Tinkerforge).
_CABLES = (
    (75.0, Cable.FAULT),
    (150.0, Cable.A63),
    (330.0, Cable.A32),
    (1000.0, Cable.A20),
    (2200.0, Cable.A13),
)


class Sensor(Enum):
    NTC = "ntc"
    PT1000 = "pt1000"


def resistance_ohm(share: float, pull_up_ohm: float) -> float:
    """Return the resistor to ground under a pull-up, from the share of the supply that it shows (0 … 1)."""
    if share >= 1.0:
        return math.inf
    return max(0.0, pull_up_ohm * share / (1.0 - share))


def cable_of(ohm: float) -> Cable:
    """Return the rating that a coding resistor stands for; a short is a fault, nothing is no plug."""
    return next((cable for below_ohm, cable in _CABLES if ohm < below_ohm), Cable.NONE)


def temperature_c(ohm: float, sensor: Sensor, nominal_ohm: float, beta: float) -> float | None:
    """Return the temperature of an NTC (``nominal_ohm`` at 25 °C, ``beta``) or PT1000; None for a broken one."""
    if not 0.0 < ohm < math.inf:
        return None
    if sensor is Sensor.NTC:
        value_c = 1.0 / (1.0 / (25.0 + KELVIN) + math.log(ohm / nominal_ohm) / beta) - KELVIN
    else:
        # IEC 60751: R = R0 (1 + A t + B t²); below 0 °C the missing third term is under 0.1 K at −50 °C.
        a, b = 3.9083e-3, -5.775e-7
        root = a * a - 4.0 * b * (1.0 - ohm / 1000.0)
        if root < 0.0:
            return None
        value_c = (-a + math.sqrt(root)) / (2.0 * b)
    return round(value_c, 1) if MIN_C <= value_c <= MAX_C else None
