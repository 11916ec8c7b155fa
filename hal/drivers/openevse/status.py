"""What an OpenEVSE controller tells: its states, flags and figures. Pure.

Source: OpenEVSE/open_evse, J1772EvseController.h and rapi_proc.h (hardware sheet §A.2, §A.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hal.values import BoardError, PilotState

UNKNOWN, A, B, C, D = range(5)
DIODE, GFCI, NO_GROUND, STUCK_RELAY, GFI_TEST, OVER_TEMPERATURE, OVER_CURRENT = range(5, 12)
RELAY_CLOSURE, PP_SHORT, PP_MISSING, EEPROM = 0x0E, 0x0F, 0x10, 0x11
SLEEPING, DISABLED = 0xFE, 0xFF

RELAY_ON, EV_CONNECTED, BOOT_LOCK = 0x0040, 0x0100, 0x4000

CHECKS: Mapping[str, int] = {
    "diode": 0x0002,
    "ventilation": 0x0004,
    "ground": 0x0008,
    "relay": 0x0010,
    "gfi_test": 0x0200,
    "temperature": 0x0400,
}
"""Checks of the controller that somebody may have switched off (``$FF``), and the settings flag that says so."""
BUTTON_OFF = 0x8000

ABSENT = -2560
"""Temperature in 0.1 °C of a sensor that is not fitted."""
MIN_TEMPERATURE_C, MAX_TEMPERATURE_C = -50.0, 150.0

_LETTERS = {A: PilotState.A, B: PilotState.B, C: PilotState.C, D: PilotState.D}
_ERRORS = {
    D: BoardError.VENTILATION,
    DIODE: BoardError.DIODE,
    GFCI: BoardError.RESIDUAL_CURRENT,
    NO_GROUND: BoardError.GROUND,
    STUCK_RELAY: BoardError.CONTACTOR_WELDED,
    GFI_TEST: BoardError.RESIDUAL_SELF_TEST,
    OVER_TEMPERATURE: BoardError.TEMPERATURE,
    OVER_CURRENT: BoardError.OVER_CURRENT,
    RELAY_CLOSURE: BoardError.CONTACTOR_STUCK_OPEN,
    PP_SHORT: BoardError.CABLE,
    PP_MISSING: BoardError.CABLE,
    EEPROM: BoardError.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Status:
    """``state`` of the controller, ``pilot`` state it measured last, ``flags`` (vflags)."""

    state: int
    pilot: int
    flags: int

    @property
    def asleep(self) -> bool:
        """It offers nothing and stays so until it is told otherwise."""
        return self.state in (SLEEPING, DISABLED)

    @property
    def faulted(self) -> bool:
        """It has stopped by itself and offers nothing until the cause is gone."""
        return D <= self.state < SLEEPING

    @property
    def relay_on(self) -> bool:
        return bool(self.flags & RELAY_ON)

    @property
    def closed(self) -> bool:
        """Its main contacts, by the relay's command and its own test for a stuck one."""
        return self.relay_on or self.state == STUCK_RELAY

    @property
    def pilot_state(self) -> PilotState | None:
        """None while it makes up its mind.

        Disabled it holds −12 V and sees nothing. Asleep or in a fault it looks only whether a vehicle is there, and
        what it calls the pilot state is that of before.
        """
        if self.state == DISABLED:
            return PilotState.F
        if self.state == UNKNOWN:
            return None
        if self.state in _LETTERS and self.pilot in _LETTERS:
            return _LETTERS[self.pilot]
        if self.relay_on and self.state == SLEEPING:
            return PilotState.C  # it still waits for the vehicle to stop drawing
        return PilotState.B if self.flags & EV_CONNECTED else PilotState.A

    @property
    def errors(self) -> frozenset[BoardError]:
        if not self.faulted:
            return frozenset()
        return frozenset({_ERRORS.get(self.state, BoardError.INTERNAL)})


def _hex(text: str, digits: int) -> int | None:
    return int(text, 16) if re.fullmatch(f"[0-9A-Fa-f]{{1,{digits}}}", text) else None


def whole(text: str) -> int | None:
    """Return a decimal number of the wire; None for anything else."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,12}", text) else None


def parse_status(state: str, pilot: str, flags: str) -> Status | None:
    found = _hex(state, 2), _hex(pilot, 2), _hex(flags, 4)
    if found[0] is None or found[1] is None or found[2] is None:
        return None
    return Status(found[0], found[1], found[2])


def parse_numbers(args: Sequence[str], count: int) -> tuple[int, ...] | None:
    """Return the first ``count`` decimal numbers; None where one is missing."""
    numbers = [whole(text) for text in args[:count]]
    return tuple(n for n in numbers if n is not None) if None not in numbers and len(numbers) == count else None


def parse_settings(args: Sequence[str]) -> int | None:
    """Return the settings flags of ``GE``; None for a reply of another form."""
    return _hex(args[1], 4) if len(args) == 2 and whole(args[0]) is not None else None


def switched_off(flags: int) -> tuple[str, ...]:
    """Names of the checks that are switched off."""
    return tuple(name for name, bit in CHECKS.items() if flags & bit)


def temperatures(args: Sequence[str]) -> tuple[float | None, ...] | None:
    """Return °C of each sensor that is fitted, None for a broken one; None for a reply of another form."""
    numbers = parse_numbers(args, 3)
    if numbers is None:
        return None
    values = [number / 10 for number in numbers if number != ABSENT]
    return tuple(value if MIN_TEMPERATURE_C <= value <= MAX_TEMPERATURE_C else None for value in values)
