"""Duty cycle of the control pilot and the current it stands for (IEC 61851-1 Table A.8, SAE J1772)."""

from __future__ import annotations

MIN_CURRENT_A = 6.0
"""No pilot exists below 6 A."""
MAX_CURRENT_A = 80.0


def current_of(duty_pct: float) -> float:
    """Return the current in ampere that a vehicle may draw at this duty cycle in percent; 0.0 when it may not.

    8 … 10 % is 6 A, to 85 % it is duty × 0.6, to 96 % (duty − 64) × 2.5, to 97 % 80 A. Steady pilots (0 and 100),
    the digital 5 % and everything between the bands give 0.0, as does NaN.
    """
    if 8.0 <= duty_pct < 10.0:
        return MIN_CURRENT_A
    if 10.0 <= duty_pct <= 85.0:
        return duty_pct * 0.6
    if 85.0 < duty_pct <= 96.0:
        return (duty_pct - 64.0) * 2.5
    if 96.0 < duty_pct <= 97.0:
        return MAX_CURRENT_A
    return 0.0
