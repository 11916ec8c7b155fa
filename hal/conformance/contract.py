"""The ports in words the kit can use: which method reads, which commands, and what is safe to say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hal.ports import PROTOCOLS, PortKind
from hal.values import PILOT_F_PCT, PILOT_X1_PCT, Indication

READS: Mapping[PortKind, str] = {
    PortKind.CONTROL_PILOT: "pilot",
    PortKind.CONTACTOR: "contactor",
    PortKind.PROXIMITY_PILOT: "proximity",
    PortKind.CABLE_LOCK: "lock",
    PortKind.RESIDUAL_CURRENT_MONITOR: "residual_current",
    PortKind.POWER_METER: "meter",
    PortKind.TEMPERATURE_SENSOR: "temperatures",
    PortKind.EMERGENCY_STOP: "emergency_stop",
    PortKind.ENCLOSURE: "enclosure",
    PortKind.BOARD: "board",
}
"""Ports that have a reading at any time."""
EVENTS: Mapping[PortKind, str] = {PortKind.TOKEN_READER: "take_tokens", PortKind.BUTTON: "take_presses"}
"""Ports that speak only when something happens."""
ENERGISING = frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.CHARGE_CONTROLLER})
OFFER_PCT = 26.66
"""The duty cycle of 16 A."""

Command = tuple[str, tuple[Any, ...]]

SAFE: Mapping[PortKind, tuple[Command, ...]] = {
    PortKind.CONTACTOR: (("set_contactor", (False,)),),
    PortKind.CONTROL_PILOT: (("set_pilot", (PILOT_X1_PCT,)),),
    PortKind.INDICATOR: (("set_indication", (Indication.AVAILABLE,)),),
}
UNAVAILABLE: Mapping[PortKind, tuple[Command, ...]] = {
    PortKind.CONTACTOR: (("set_contactor", (False,)),),
    PortKind.CONTROL_PILOT: (("set_pilot", (PILOT_F_PCT,)),),
}
CLOSING: Mapping[PortKind, tuple[Command, ...]] = {
    PortKind.CONTROL_PILOT: (("set_pilot", (OFFER_PCT,)),),
    PortKind.CONTACTOR: (("set_contactor", (True,)),),
}
ODD: Mapping[PortKind, tuple[Command, ...]] = {
    PortKind.CONTROL_PILOT: tuple(
        ("set_pilot", (duty_pct,)) for duty_pct in (math.nan, math.inf, -math.inf, -1.0, 100.1, 1e9, PILOT_F_PCT, 5.0)
    ),
    PortKind.CONTACTOR: (("set_phases", (3,)), ("set_phases", (1,))),
    PortKind.CABLE_LOCK: (("set_lock", (True,)), ("set_lock", (False,))),
    PortKind.RESIDUAL_CURRENT_MONITOR: (("start_self_test", ()), ("reset_residual_current", ())),
    PortKind.BOARD: (("reset_board", ()),),
    PortKind.INDICATOR: tuple(("set_indication", (indication,)) for indication in Indication),
}
"""What control may say at any moment, and what a slip of it might."""


def methods(kind: PortKind) -> dict[str, Callable[..., Any]]:
    """Return the methods of a port's protocol, those it inherits included."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(PROTOCOLS[kind].__mro__):
        if getattr(base, "_is_protocol", False):
            found |= {name: each for name, each in vars(base).items() if callable(each) and not name.startswith("_")}
    return found


def lesson(table: Mapping[PortKind, tuple[Command, ...]], kinds: frozenset[PortKind]) -> list[Command]:
    """Return the commands of a table for these ports, in the table's order."""
    wanted = kinds | (frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR}) if _controls(kinds) else frozenset())
    return [command for kind, commands in table.items() if kind in wanted for command in commands]


def _controls(kinds: frozenset[PortKind]) -> bool:
    return PortKind.CHARGE_CONTROLLER in kinds


def flat(reading: Any) -> tuple[Any, ...]:
    """Return the readings in what a port method gave: none, one, or several."""
    if reading is None:
        return ()
    return tuple(reading) if isinstance(reading, tuple | list) else (reading,)
