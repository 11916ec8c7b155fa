"""Drivers made for these tests, so that the loader is tested apart from the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hal.options import option
from hal.ports import Device, PortKind
from hal.registry import Driver, UnknownDriverError

BOARD_PORTS = frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.CABLE_LOCK})


@dataclass(frozen=True, slots=True)
class BoardOptions:
    port: str = option(help="serial node", exclusive="serial port")
    baud: int = option(115200, help="speed", choices=(9600, 115200))
    name: str = option("", help="network name", exclusive="bus address")


@dataclass(frozen=True, slots=True)
class MeterOptions:
    address: int = option(help="address on the line", ge=1, le=247)
    map: str = option("plain", help="register map", choices=("plain", "other"))


@dataclass(frozen=True, slots=True)
class LineOptions:
    port: str = option(help="serial node", exclusive="serial port")
    meters: Mapping[str, MeterOptions] = option(help="meters on the line")
    retry_s: tuple[float, ...] = option((1.0, 2.0), help="waits", unit="s", ge=0.5)

    def __post_init__(self) -> None:
        addresses = [meter.address for meter in self.meters.values()]
        if len(set(addresses)) < len(addresses):
            raise ValueError("two meters share an address; give each its own")


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    port: str = option(help="serial node", exclusive="serial port")


def _never(name: str, options: Any) -> Device:
    raise AssertionError("checking a configuration must not make a device")


def _units_of_line(options: LineOptions) -> Mapping[str, frozenset[PortKind]]:
    if "broken" in options.port:
        raise ValueError("broken is no line; give a node under /dev")
    return {name: frozenset({PortKind.POWER_METER}) for name in options.meters}


CONTROLLER_PORTS = frozenset({PortKind.CONTROL_PILOT, PortKind.CONTACTOR, PortKind.BOARD, PortKind.CHARGE_CONTROLLER})
PINS = {
    "pilot": frozenset({PortKind.CONTROL_PILOT}),
    "relay": frozenset({PortKind.CONTACTOR}),
    "stop": frozenset({PortKind.EMERGENCY_STOP}),
    "warm": frozenset({PortKind.TEMPERATURE_SENSOR}),
}

DRIVERS = {
    "controller": Driver("controller", "a controller", BoardOptions, lambda options: {"": CONTROLLER_PORTS}, _never),
    "pins": Driver("pins", "inputs and outputs", BoardOptions, lambda options: PINS, _never),
    "board": Driver("board", "a board", BoardOptions, lambda options: {"": BOARD_PORTS}, _never),
    "line": Driver(
        "line",
        "a line of meters",
        LineOptions,
        _units_of_line,
        _never,
    ),
    "reader": Driver(
        "reader", "a card reader", ReaderOptions, lambda options: {"": frozenset({PortKind.TOKEN_READER})}, _never
    ),
}


def load(name: str) -> Driver:
    if name == "needs-more":
        raise ImportError("No module named 'missing_library'")
    if name not in DRIVERS:
        raise UnknownDriverError(f"no driver named {name!r}; installed are: {', '.join(sorted(DRIVERS))}")
    return DRIVERS[name]
