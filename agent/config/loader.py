"""Read ``config.yaml``: every broken rule at once, each with file, line and key.

``load`` is what the processes use; ``check`` is for tools. Neither opens a device.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent.config.across import check_across
from agent.config.document import Node, Scalar, Table, joined, read
from agent.config.findings import ConfigError, Finding, Report, shown
from agent.config.reader import UNREAD, Reader, Unread
from agent.config.schema import Config, Device

if TYPE_CHECKING:
    from hal.registry import Driver

SettingsCheck = Callable[[str, str], str]
"""Given an OCPP key and its value, returns the broken rule and its remedy, or an empty text."""


def load(
    path: str | os.PathLike[str],
    check_settings: SettingsCheck | None = None,
    *,
    drivers: bool = True,
) -> Config:
    """Return the configuration in the file. Raises ConfigError with every finding.

    ``check_settings`` is asked about each entry of ``ocpp.settings``. With ``drivers=False`` no driver is imported:
    each ``Device.options`` is None and what only the driver can judge goes unchecked (for the agent process, which
    opens no device; control and ``check-config`` have read the same file in full).
    """
    report = Report(os.fspath(path))
    config = _read(Path(path), report, check_settings, drivers)
    if len(report) or config is None:
        raise ConfigError(report.sorted())
    return config


def check(path: str | os.PathLike[str], check_settings: SettingsCheck | None = None) -> list[Finding]:
    """Return everything that is wrong with the file, in the order of its lines; empty for a good one."""
    report = Report(os.fspath(path))
    _read(Path(path), report, check_settings, drivers=True)
    return report.sorted()


def _read(path: Path, report: Report, check_settings: SettingsCheck | None, drivers: bool) -> Config | None:
    table = read(path, report)
    if table is None:
        return None
    devices = _Devices(drivers)
    reader = Reader(report, Path(os.path.abspath(path)).parent, {Device: devices.read})  # noqa: PTH100 (keeps links)
    devices.reader = reader
    config = reader.section(table, Config, "", 1)
    check_across(reader, devices.drivers, check_settings)
    return None if config is UNREAD else config


class _Devices:
    """Reads each entry of ``devices`` with its own driver's options."""

    reader: Reader

    def __init__(self, load_drivers: bool) -> None:
        self.drivers: dict[str, Driver | None] = {}
        """Driver of each device that was read in full, by the device's name; None when drivers are not loaded."""
        self._load = load_drivers

    def read(self, node: Node, key: str, line: int) -> Any:
        report = self.reader.report
        if not isinstance(node, Table):
            report.add(line, key, "must be a section with 'driver:' and that driver's options")
            return UNREAD
        entry = node.entries.get("driver")
        driver_key = joined(key, "driver")
        if entry is None:
            report.add(line, driver_key, f"is missing; give one of {_installed()}")
            return UNREAD
        if not isinstance(entry.value, Scalar) or entry.value.empty:
            report.add(entry.line, driver_key, f"must be the name of a driver: {_installed()}")
            return UNREAD
        self.reader.lines[driver_key] = entry.line
        name, options = entry.value.text, None
        driver = self._driver(name, driver_key) if self._load else None
        if driver is UNREAD:
            return UNREAD
        if driver is not None:
            options = self.reader.section(node, driver.options, key, line, ignore=("driver",))
            if options is UNREAD:
                return UNREAD
        self.drivers[key.removeprefix("devices.")] = driver
        return Device(name, options, line)

    def _driver(self, name: str, key: str) -> Driver | Literal[Unread.UNREAD]:
        from hal import registry  # brings every port; a process that opens no device does without

        try:
            return registry.load(name)
        except registry.UnknownDriverError as error:
            broken = str(error)
        except (ImportError, AttributeError) as error:
            broken = f"driver {shown(name)} cannot be imported: {error}; install what it needs"
        self.reader.report.add(self.reader.line(key), key, broken)
        return UNREAD


def _installed() -> str:
    from hal import registry

    return ", ".join(registry.names())


__all__ = ["ConfigError", "Finding", "SettingsCheck", "check", "load"]
