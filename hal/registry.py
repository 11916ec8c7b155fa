"""Which drivers there are. Ours and third parties' register through the entry point ``evse_agent.drivers``.

Only the drivers that the configuration names are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hal.ports import Device, PortKind

ENTRY_POINT_GROUP = "evse_agent.drivers"

BUILT_IN: Mapping[str, str] = {
    "gpio": "hal.drivers.gpio:DRIVER",
    "linux-pilot": "hal.drivers.linux_pilot:DRIVER",
    "can-board": "hal.drivers.can_board:DRIVER",
    "can-meter": "hal.drivers.can_meter:DRIVER",
    "canopen-io": "hal.drivers.canopen_io:DRIVER",
    "linux-temperature": "hal.drivers.linux_temperature:DRIVER",
    "mcu-board": "hal.drivers.mcu_board:DRIVER",
    "modbus-controller": "hal.drivers.modbus_controller:DRIVER",
    "modbus-meter": "hal.drivers.modbus_meter:DRIVER",
    "modbus-rcm": "hal.drivers.modbus_rcm:DRIVER",
    "hid-reader": "hal.drivers.hid_reader:DRIVER",
    "openevse": "hal.drivers.openevse:DRIVER",
    "serial-reader": "hal.drivers.serial_reader:DRIVER",
}
"""Found without reading package metadata, which would cost more than opening the contactor takes."""


class UnknownDriverError(LookupError):
    """No driver of that name is installed. The text lists those that are."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver as it registers itself.

    ``options`` is a dataclass of fields made by ``hal.options.option``. ``units`` tells from the options alone which
    units the device will have and which ports each implements, so that a configuration can be checked without
    hardware. ``create`` makes the device; nothing is opened before ``Device.start``.
    """

    name: str
    summary: str
    options: type
    units: Callable[[Any], Mapping[str, frozenset[PortKind]]]
    create: Callable[[str, Any], Device]
    opens_within_s: float = 0.1
    """Promise: from the command to open (contactor off, pilot steady) until it has left on the wire, or its pins have
    moved, with the device and its counterpart well. Held to by the conformance kit. Longer than 0.1 s only for a
    charge controller that opens by its own rules at once and hears from us by polling."""


def load(name: str) -> Driver:
    """Import and return the driver of that name. Raises UnknownDriverError."""
    target = BUILT_IN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        driver = getattr(import_module(module), attribute)
    else:
        from importlib.metadata import entry_points  # costs tens of ms; only third-party drivers pay for it

        found = entry_points(group=ENTRY_POINT_GROUP, name=name)
        if not found:
            raise UnknownDriverError(f"no driver named {name!r}; installed are: {', '.join(names())}")
        driver = next(iter(found)).load()
    if not isinstance(driver, Driver):
        raise UnknownDriverError(f"driver {name!r}: its entry point gives {type(driver).__name__}, not a hal Driver")
    return driver


def names() -> list[str]:
    """Names of all installed drivers, sorted."""
    from importlib.metadata import entry_points

    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})
