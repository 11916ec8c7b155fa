"""The control pilot over the last minute, drawn with letters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEVELS = ((12.0, "A"), (9.0, "B"), (6.0, "C"), (3.0, "D"), (0.0, "E"), (-12.0, "F"))
"""Volts of each state (IEC 61851-1 Table A.2), highest first."""
SPAN_S = 60.0
_VOLTS = {letter: volts for volts, letter in LEVELS}


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    volts: float
    pwm: bool


def sample(live: dict[str, object]) -> Sample | None:
    """Return the pilot's level of a live document: as measured, else of the state the board tells. None: unknown."""
    state, high, at_s, duty = str(live["state"]), live["pilot_high_v"], live["at_s"], live["duty_pct"]
    assert isinstance(at_s, int | float)
    assert isinstance(duty, int | float)
    volts = high if isinstance(high, int | float) else _VOLTS.get(state[:1])
    return None if volts is None else Sample(at_s, float(volts), 0.0 < duty < 100.0)


def plot(samples: Sequence[Sample], now_s: float, columns: int, unicode: bool) -> list[str]:
    """Return one line per level, oldest at the left. A full mark is PWM, a light one a steady level."""
    width = max(10, columns - 8)
    step_s = SPAN_S / width
    cells: list[dict[int, str]] = [{} for _ in LEVELS]
    full, light = ("\u2588", "\u2591") if unicode else ("#", ".")
    for each in samples:
        column = width - 1 - int((now_s - each.at_s) / step_s)
        if 0 <= column < width:
            row = min(range(len(LEVELS)), key=lambda index: abs(LEVELS[index][0] - each.volts))
            cells[row][column] = full if each.pwm else light
    return [
        f"{volts:+4.0f} {letter} |" + "".join(cells[row].get(column, " ") for column in range(width)).rstrip()
        for row, (volts, letter) in enumerate(LEVELS)
    ]
