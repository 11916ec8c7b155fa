"""``evse-agent meter read``: what the meters show now, without evse-control.

Opens the devices itself, those that are meters and nothing else, and refuses while another program has them.
"""

from __future__ import annotations

import json
import select
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from agent.tools.meter_tool import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    HELD_REMEDY,
    ToolError,
    as_data,
    in_words,
    line_formats,
)
from hal.ports import Device, DeviceError, PortKind
from hal.registry import Driver
from hal.values import MeterReading

SHOW_EVERY_S = 1.0
PATIENCE_S = 10.0
"""How long it waits for the first reading of every meter."""
LONGEST_WAIT_S = 0.2


def run_read(options: Namespace) -> int:
    """``evse-agent meter read``."""
    try:
        devices = _devices(options)
        return _watch(devices, options)
    except (ToolError, DeviceError, ValueError) as error:
        print(f"evse-agent meter read: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, ValueError) else EXIT_FAILED


def _devices(options: Namespace) -> dict[str, tuple[Device, Driver, Any]]:
    """The meters' devices, by name; not started."""
    from hal.drivers.modbus_meter import MeterOptions, ModbusMeterOptions
    from hal.registry import load

    if options.port is not None:
        if not options.map:
            raise ValueError("say which meter it is with --map, or find out with 'evse-agent meter probe'")
        problem = MeterOptions.__dataclass_fields__["map"].metadata["rule"].check(options.map)
        if problem:
            raise ValueError(problem)
        driver = load("modbus-meter")
        ((parity, stop_bits),) = line_formats(options.format)
        meter = MeterOptions(options.address, options.map)
        chosen = ModbusMeterOptions(options.port, (meter,), options.baud, parity, stop_bits)
        return {"": (driver.create("meter", chosen), driver, chosen)}
    return _configured(options.config)


def _configured(path: str) -> dict[str, tuple[Device, Driver, Any]]:
    """The devices of a configuration that are meters and nothing else: whoever opens those moves no contact."""
    from agent import config
    from hal.registry import load

    if not Path(path).is_file():
        raise ToolError(f"{path}: is not there; name the configuration with --config, or a serial port")
    try:
        devices = config.load(path).devices
    except config.ConfigError as error:
        raise ToolError(str(error)) from None
    found: dict[str, tuple[Device, Driver, Any]] = {}
    for name, entry in devices.items():
        driver = load(entry.driver)
        kinds = driver.units(entry.options).values()
        if kinds and all(kind == {PortKind.POWER_METER} for kind in kinds):
            found[name] = (driver.create(name, entry.options), driver, entry.options)
    if not found:
        raise ToolError(f"{path}: names no device that is a meter and nothing else; a board's own shows in 'status'")
    return found


def _watch(devices: dict[str, tuple[Device, Driver, Any]], options: Namespace) -> int:
    started = time.monotonic()
    wake = dict.fromkeys(devices, 0.0)
    shown: dict[str, float] = {}
    next_show = started
    try:
        for device, _, _ in devices.values():
            device.start(time.monotonic())
            detail = device.health(time.monotonic()).detail
            if "in use by another program" in detail:
                raise ToolError(detail + HELD_REMEDY)
        while True:
            _turn(devices, wake)
            now = time.monotonic()
            readings = _readings(devices)
            missing = [name for name, reading in readings.items() if reading is None]
            if options.watch:
                if now >= next_show:
                    next_show = now + SHOW_EVERY_S
                    fresh = {n: r for n, r in readings.items() if r is not None and r.at != shown.get(n)}
                    shown.update({name: reading.at for name, reading in fresh.items()})
                    _show(fresh, options.json)
                    if now - started > PATIENCE_S and not fresh:
                        _complain(devices, now)
            elif not missing or now - started > PATIENCE_S:
                _show({name: reading for name, reading in readings.items() if reading is not None}, options.json)
                if missing:
                    _complain(devices, now)
                return EXIT_FAILED if missing else EXIT_OK
    finally:
        for device, _, _ in devices.values():
            device.close()


def _turn(devices: dict[str, tuple[Device, Driver, Any]], wake: dict[str, float]) -> None:
    by_fd = {fd: name for name, (device, _, _) in devices.items() if (fd := device.fileno()) is not None}
    now = time.monotonic()
    timeout_s = max(0.0, min(min(wake.values()) - now, LONGEST_WAIT_S))
    readable = select.select(list(by_fd), [], [], timeout_s)[0]
    now = time.monotonic()
    for fd in readable:
        name = by_fd[fd]
        devices[name][0].on_readable(now)
        wake[name] = now
    for name, (device, _, _) in devices.items():
        if wake[name] <= now:
            wake[name] = device.on_timer(now)


def _readings(devices: dict[str, tuple[Device, Driver, Any]]) -> dict[str, MeterReading | None]:
    readings: dict[str, MeterReading | None] = {}
    for name, (device, driver, options) in devices.items():
        for unit in driver.units(options):
            meter: Any = device.unit(unit)
            readings[".".join(part for part in (name, unit) if part) or "meter"] = meter.meter()
    return readings


def _show(readings: dict[str, MeterReading], as_json: bool) -> None:
    for name, reading in readings.items():
        if as_json:
            print(json.dumps({"meter": name, **as_data(reading)}), flush=True)
        else:
            print(f"{name}: {in_words(reading)}", flush=True)


def _complain(devices: dict[str, tuple[Device, Driver, Any]], now: float) -> None:
    for device, _, _ in devices.values():
        detail = device.health(now).detail
        if detail:
            print(f"evse-agent meter read: {detail}", file=sys.stderr, flush=True)
