"""The pin device: named units on lines of any GPIO chips, in control's own loop.

The lines' file descriptors hang on one epoll descriptor, which is what the loop watches. Levels are also read anew
every ``poll_interval_s``: that is what keeps a reading fresh, and what notices a chip that is gone.
"""

from __future__ import annotations

import contextlib
import math
import select
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from hal.drivers.gpio.contactor import ContactorOptions, ContactorUnit
from hal.drivers.gpio.lights import LedOptions, LedUnit, RingOptions, RingUnit
from hal.drivers.gpio.lock import LockOptions, LockUnit
from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.residual_current import ResidualCurrentOptions, ResidualCurrentUnit
from hal.drivers.gpio.s0_meter import S0MeterOptions, S0MeterUnit
from hal.drivers.gpio.switches import (
    ButtonOptions,
    ButtonUnit,
    EmergencyStopOptions,
    EmergencyStopUnit,
    EnclosureOptions,
    EnclosureUnit,
)
from hal.drivers.gpio.unit import Unit
from hal.drivers.gpio.watchdog import WatchdogOptions, WatchdogUnit
from hal.drivers.gpio.wiegand import WiegandOptions, WiegandUnit
from hal.gpio.address import parse_address
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import Health

CLOSED_WAKE_S = 60.0


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


def _section(what: str) -> Any:
    return option(default_factory=_none, help=f"{what}, by the name of its unit")


@dataclass(frozen=True, slots=True)
class GpioOptions:
    """A section per kind; in it a name per unit. A unit is used as ``device.name``."""

    contactors: Mapping[str, ContactorOptions] = _section("contactor: coil and mirror contact")
    locks: Mapping[str, LockOptions] = _section("cable lock: motor and switch")
    residual_current_monitors: Mapping[str, ResidualCurrentOptions] = _section("residual-current monitor")
    emergency_stops: Mapping[str, EmergencyStopOptions] = _section("emergency stop: loop of break contacts")
    enclosures: Mapping[str, EnclosureOptions] = _section("cover and tilt contacts")
    buttons: Mapping[str, ButtonOptions] = _section("start/stop button")
    leds: Mapping[str, LedOptions] = _section("indicator of LEDs")
    rings: Mapping[str, RingOptions] = _section("indicator of WS2812 LEDs behind SPI")
    wiegand_readers: Mapping[str, WiegandOptions] = _section("card reader on D0 and D1")
    s0_meters: Mapping[str, S0MeterOptions] = _section("pulse meter")
    watchdogs: Mapping[str, WatchdogOptions] = _section("heartbeat for an external watchdog (no port)")
    poll_interval_s: float = option(
        0.1, help="how often every level is read anew, beside its edges", unit="s", ge=0.02, le=1
    )

    def __post_init__(self) -> None:
        _check(self)


_PORTS: Mapping[str, PortKind | None] = {
    "contactors": PortKind.CONTACTOR,
    "locks": PortKind.CABLE_LOCK,
    "residual_current_monitors": PortKind.RESIDUAL_CURRENT_MONITOR,
    "emergency_stops": PortKind.EMERGENCY_STOP,
    "enclosures": PortKind.ENCLOSURE,
    "buttons": PortKind.BUTTON,
    "leds": PortKind.INDICATOR,
    "rings": PortKind.INDICATOR,
    "wiegand_readers": PortKind.TOKEN_READER,
    "s0_meters": PortKind.POWER_METER,
    "watchdogs": None,
}


def _check(options: GpioOptions) -> None:
    """Raise ValueError for a rule across units that is broken."""
    owners: dict[str, str] = {}
    lines: dict[str, str] = {}
    for kind in _PORTS:
        for name, unit in getattr(options, kind).items():
            if name in owners:
                raise ValueError(f"{kind}.{name}: the name is taken by {owners[name]}; give each unit its own")
            owners[name] = kind
            for entry in fields(unit):
                rule = entry.metadata["rule"]
                text = getattr(unit, entry.name)
                if rule.exclusive != "GPIO line" or not text:
                    continue
                where, place = f"{kind}.{name}.{entry.name}", text.split()[0]
                if place in lines:
                    raise ValueError(f"{where}: {place} is used by {lines[place]} already; give each its own line")
                lines[place] = where
    if not owners:
        raise ValueError("names no unit; add a section like contactors")


def _build(options: GpioOptions, consumer: str) -> dict[str, Unit]:
    makers: Mapping[str, Any] = {
        "contactors": ContactorUnit,
        "locks": LockUnit,
        "residual_current_monitors": ResidualCurrentUnit,
        "emergency_stops": EmergencyStopUnit,
        "enclosures": EnclosureUnit,
        "buttons": ButtonUnit,
        "leds": LedUnit,
        "rings": lambda ring, _: RingUnit(ring),
        "wiegand_readers": WiegandUnit,
        "s0_meters": S0MeterUnit,
        "watchdogs": WatchdogUnit,
    }
    return {
        name: make(unit, consumer) for kind, make in makers.items() for name, unit in getattr(options, kind).items()
    }


@dataclass(slots=True)
class _Watch:
    """The descriptors of the inputs, under one."""

    poll: select.epoll = field(default_factory=select.epoll)
    pins: dict[int, tuple[Pin, Unit]] = field(default_factory=dict)


class GpioDevice:
    """The device; its units by name."""

    def __init__(self, name: str, options: GpioOptions) -> None:
        self.name = name
        self._options = options
        self._units = _build(options, f"evse {name}")
        self._watch: _Watch | None = None
        self._next_poll = -math.inf
        self._heard_at: float | None = None
        self._closed = False

    def start(self, now: float) -> None:
        for unit in self._units.values():
            for pin in unit.pins:
                parse_address(str(pin.address))
        self._watch = _Watch()
        try:
            for unit in self._units.values():
                unit.begin(now)
        except DeviceError as error:
            self.close()
            raise DeviceError(f"{self.name}: {error}") from None
        self._open(now, start=True)

    def fileno(self) -> int | None:
        return None if self._watch is None or not self._watch.pins else self._watch.poll.fileno()

    def on_readable(self, now: float) -> None:
        if self._watch is None:
            return
        for fd, _ in self._watch.poll.poll(0):
            found = self._watch.pins.get(fd)
            if found is None:
                continue
            pin, unit = found
            self._take(pin, unit, now)
            if pin.fileno() != fd:
                self._unwatch(fd)

    def on_timer(self, now: float) -> float:
        if self._closed or self._watch is None:
            return now + CLOSED_WAKE_S
        self._open(now)
        if now >= self._next_poll:
            self._next_poll = now + self._options.poll_interval_s
            self._poll(now)
        due = min(unit.on_timer(now) for unit in self._units.values())
        reopen = min((pin.next_open_at for _, pin in self._pins()), default=math.inf)
        return min(due, self._next_poll, reopen)

    def close(self) -> None:
        self._closed = True
        for unit in self._units.values():
            unit.make_safe(self._heard_at or 0.0)
        for _, pin in self._pins():
            pin.close()
        for unit in self._units.values():
            unit.close()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.poll.close()

    def health(self, now: float) -> Health:  # noqa: ARG002 (part of the contract)
        troubles = [pin.trouble for _, pin in self._pins() if pin.trouble]
        troubles += [trouble for unit in self._units.values() if (trouble := unit.trouble())]
        return Health(not troubles, "; ".join(dict.fromkeys(troubles)), self._heard_at)

    def unit(self, name: str) -> Any:
        if name not in self._units:
            raise KeyError(f"{self.name}: no unit named {name!r}; there are: {', '.join(self._units)}")
        return self._units[name]

    def _pins(self) -> list[tuple[Unit, Pin]]:
        return [(unit, pin) for unit in self._units.values() for pin in unit.pins]

    def _open(self, now: float, *, start: bool = False) -> None:
        assert self._watch is not None
        for unit, pin in self._pins():
            due = now >= pin.next_open_at
            if not pin.open(now):
                if due and not start and not pin.seeking:
                    return  # looking for what is not there takes time: one line per call
                continue
            self._heard_at = now
            fd = pin.fileno()
            if fd is not None:
                self._watch.pins[fd] = (pin, unit)
                self._watch.poll.register(fd, select.EPOLLIN)

    def _poll(self, now: float) -> None:
        for unit, pin in self._pins():
            if not pin.is_open:
                continue
            fd = pin.fileno()
            if fd is not None:
                self._take(pin, unit, now)  # edges first: they tell more than the level
            pin.poll(now)
            if fd is not None and pin.fileno() != fd:
                self._unwatch(fd)
            self._heard_at = max(pin.at, self._heard_at or pin.at)

    def _take(self, pin: Pin, unit: Unit, now: float) -> None:
        events = pin.take(now)
        if events:
            unit.on_edges(pin, events, now)

    def _unwatch(self, fd: int) -> None:
        """Its line is closed, and with it the kernel's entry; only ours is left."""
        if self._watch is not None and self._watch.pins.pop(fd, None) is not None:
            with contextlib.suppress(OSError, ValueError):
                self._watch.poll.unregister(fd)


def _units(options: GpioOptions) -> Mapping[str, frozenset[PortKind]]:
    return {
        name: frozenset({port}) for kind, port in _PORTS.items() if port is not None for name in getattr(options, kind)
    }


DRIVER = Driver(
    name="gpio",
    summary="contactor, lock, monitors, switches, lights, Wiegand reader and S0 meter on lines of any GPIO chip",
    options=GpioOptions,
    units=_units,
    create=GpioDevice,
)
