"""How vehicles behave, good and bad. Data only: ``vehicle.py`` acts on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Character:
    """A vehicle's manners at the pilot and behind the contactor."""

    name: str
    summary: str
    honest: bool = True
    """Keeps every rule of IEC 61851-1 that is the vehicle's to keep."""
    s2_close_delay_s: float = 0.8
    """From a valid offer to S2 closing."""
    s2_open_delay_s: float = 0.4
    """From the wish to stop (and no more current) to S2 opening."""
    phases: int | None = None
    """Uses no more than that many phases, whatever the car has."""
    draw_factor: float = 1.0
    """Share of the offer that it draws."""
    has_s2: bool = True
    """False: simplified control pilot, one fixed resistor (IEC 61851-1 A.2.3)."""
    has_diode: bool = True
    short_cp: bool = False
    """CP lies on PE through 80 Ω."""
    ventilation: bool = False
    ignores_pwm_off: bool = False
    sleeps: bool = False
    """Sleeps through the first offer; wakes by state E or F, or by a step to x1 and back."""
    bcb_toggle: bool = False
    """Asks for digital communication by toggling B-C-B-C-B when the pilot starts, then charges as usual."""


_CHARACTERS = (
    Character("normal", "keeps every rule"),
    Character("sleepy", "sleeps through the first offer until state E/F or a step x1 → PWM wakes it", sleeps=True),
    Character(
        "ignores-pwm-off",
        "draws on when the offer is taken away, until the contactor opens",
        honest=False,
        ignores_pwm_off=True,
    ),
    Character("slow-s2", "closes S2 after 8 s and opens it after 2.8 s", s2_close_delay_s=8.0, s2_open_delay_s=2.8),
    Character("single-phase", "uses L1 only", phases=1),
    Character("simplified-pilot", "no S2: from A to C at once, keeps to 10 A", has_s2=False),
    Character("draws-a-tenth-too-much", "draws 1.1 × the offer", honest=False, draw_factor=1.1),
    Character("draws-half-too-much", "draws 1.5 × the offer", honest=False, draw_factor=1.5),
    Character("no-diode", "its diode is bridged: the negative half-wave follows", honest=False, has_diode=False),
    Character("short-cp", "CP lies on PE through 80 Ω", honest=False, short_cp=True),
    Character("ventilation", "asks for ventilation: state D", ventilation=True),
    Character("bcb-toggle", "toggles B-C-B-C-B before it charges", bcb_toggle=True),
)

CHARACTERS: dict[str, Character] = {character.name: character for character in _CHARACTERS}
NORMAL = CHARACTERS["normal"]
