"""Rules that hold between sections: who uses which device, what must be unique, what must fit together.

They work on whatever could be read, so an error in one section does not hide those in another.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config.document import joined
from agent.config.findings import listed, nearest, shown
from agent.config.reader import Reader
from agent.config.schema import EVSE_PORTS

if TYPE_CHECKING:
    from hal.registry import Driver

_DEVICE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z", re.ASCII)
# OCPP 2.0.1 Part 4 §3.1.1: identifierString, at most 48; a colon would end the user name of RFC 7617 too early.
_IDENTITY = re.compile(r"[A-Za-z0-9*_=+|@.-]{1,48}\Z", re.ASCII)
# unix(7): sun_path holds 108 bytes with the closing NUL.
_SOCKET_PATH_BYTES = 107
_SOCKETS = ("control.sock", "api.sock")

# Names of ``hal.ports.PortKind``; text, so that a process that loads no driver loads no port either.
_NEEDS: Mapping[str, str] = {**EVSE_PORTS, "meter": "power_meter", "reader": "token_reader"}
_ESSENTIAL = ("pilot", "contactor")
"""Ports without which there is no EVSE: the board must offer those for which nothing else is named."""
_SHARED = frozenset({"emergency_stop", "enclosure", "temperatures"})
"""Only looked at, so that one may serve several EVSEs."""
_CONTROLLER = "charge_controller"


def check_across(
    reader: Reader,
    drivers: Mapping[str, Driver | None],
    check_settings: Callable[[str, str], str] | None,
) -> None:
    """Add a finding to the reader's report for every rule between sections that is broken.

    ``drivers`` has an entry for each device that was read; None where its driver is not loaded.
    """
    _check_evse_numbers(reader)
    _check_phases(reader)
    _check_grid(reader)
    _check_temperature(reader)
    _check_identity(reader)
    _check_socket_paths(reader)
    _check_device_names(reader)
    _check_exclusive(reader)
    _References(reader, drivers).check()
    if check_settings is not None:
        for name, value in reader.values.get("ocpp", {}).get("settings", {}).items():
            key = joined("ocpp.settings", name)
            broken = check_settings(name, value)
            if broken:
                reader.report.add(reader.line(key), key, broken)


def _evses(reader: Reader) -> Iterator[tuple[str, dict[str, Any]]]:
    index = 0
    while f"evses[{index}]" in reader.lines:
        key = f"evses[{index}]"
        yield key, reader.values.get(key, {})
        index += 1


def _check_evse_numbers(reader: Reader) -> None:
    evses = list(_evses(reader))
    if not evses:
        if reader.values.get("", {}).get("evses") == ():
            reader.report.add(reader.line("evses"), "evses", "names no outlet; give at least one")
        return
    seen: dict[int, int] = {}
    for key, values in evses:
        number = values.get("id")
        if number is None:
            continue
        line = reader.line(f"{key}.id")
        if number in seen:
            broken = f"{number} is taken on line {seen[number]}; number the EVSEs 1, 2, 3 …"
            reader.report.add(line, f"{key}.id", broken)
        elif number > len(evses):
            broken = f"{number} leaves a gap; number the {len(evses)} EVSEs from 1 without gaps"
            reader.report.add(line, f"{key}.id", broken)
        seen.setdefault(number, line)


def _check_phases(reader: Reader) -> None:
    feed = reader.values.get("installation", {}).get("phases")
    for key, values in _evses(reader):
        if feed is not None and values.get("phases", 0) > feed:
            reader.report.add(
                reader.line(f"{key}.phases"),
                f"{key}.phases",
                f"{values['phases']} phases do not fit installation.phases {feed}; write 'phases: {feed}' here",
            )


def _check_grid(reader: Reader) -> None:
    feed = reader.values.get("installation", {})
    if not {"grid_meter", "grid_max_current_a", "grid_fallback_current_a"} <= set(feed):
        return
    most_a, key = feed["grid_max_current_a"], "installation.grid_max_current_a"
    if feed["grid_meter"] and not most_a:
        broken = "is missing beside grid_meter; give what the building's supply may carry, per phase"
        reader.report.add(reader.line("installation.grid_meter"), key, broken)
    elif most_a and not feed["grid_meter"]:
        reader.report.add(reader.line(key), key, "has no grid_meter that measures; name it, or remove this line")
    elif feed["grid_fallback_current_a"] > most_a:
        key = "installation.grid_fallback_current_a"
        broken = f"{feed['grid_fallback_current_a']:g} A is above grid_max_current_a {most_a:g} A; give less"
        reader.report.add(reader.line(key), key, broken)


def _check_temperature(reader: Reader) -> None:
    section = "control.temperature"
    values = reader.values.get(section, {})
    for low, high in (("derate_c", "pause_c"), ("pause_c", "open_c")):
        if low in values and high in values and values[low] >= values[high]:
            key = f"{section}.{high}" if f"{section}.{high}" in reader.lines else f"{section}.{low}"
            reader.report.add(
                reader.line(key),
                key,
                f"{low} {values[low]:g} °C must be below {high} {values[high]:g} °C; derating comes first, then the "
                "pause, then opening",
            )


def _check_identity(reader: Reader) -> None:
    ocpp = reader.values.get("ocpp", {})
    rule = "letters, digits and * - _ = + | @ . only, at most 48 of them"
    for index, network in enumerate(ocpp.get("networks", ())):
        if network.identity and not _IDENTITY.match(network.identity):
            key = f"ocpp.networks[{index}].identity"
            reader.report.add(reader.line(key), key, f"{shown(network.identity)} cannot be an identity; use {rule}")
    if ocpp.get("networks") and not ocpp.get("url"):
        broken = "has entries, but ocpp.url is empty; give the first one there"
        reader.report.add(reader.line("ocpp.networks"), "ocpp.networks", broken)
    identity = ocpp.get("identity", "")
    if identity:
        if not _IDENTITY.match(identity):
            reader.report.add(
                reader.line("ocpp.identity"), "ocpp.identity", f"{shown(identity)} cannot be an identity; use {rule}"
            )
        return
    serial = reader.values.get("station", {}).get("serial_number")
    if ocpp.get("url") and serial is not None and not _IDENTITY.match(serial):
        reader.report.add(
            reader.line("station.serial_number"),
            "station.serial_number",
            f"{shown(serial)} cannot serve as the identity; give ocpp.identity ({rule})",
        )


def _check_socket_paths(reader: Reader) -> None:
    folder = reader.values.get("paths", {}).get("runtime_dir")
    if folder is None:
        return
    longest = max(len(os.fsencode(folder / name)) for name in _SOCKETS)
    if longest > _SOCKET_PATH_BYTES:
        reader.report.add(
            reader.line("paths.runtime_dir"),
            "paths.runtime_dir",
            f"is {longest - _SOCKET_PATH_BYTES} bytes too long for a socket in it; choose a shorter path",
        )


def _check_device_names(reader: Reader) -> None:
    for name in reader.values.get("devices", {}):
        if not _DEVICE_NAME.match(name):
            key = joined("devices", name)
            reader.report.add(
                reader.line(key), key, "is no name for a device; use up to 40 letters, digits, '-' and '_'"
            )


def _check_exclusive(reader: Reader) -> None:
    """No two devices may claim one thing. Paths are also compared by what they lead to, so links are seen through."""
    claims: dict[tuple[str, str], tuple[str, int, str]] = {}
    for name, device in reader.values.get("devices", {}).items():
        key = joined("devices", name)
        for option_key, value, what in _exclusive(device.options, key):
            text = os.fspath(value) if isinstance(value, Path) else str(value)
            if not text:
                continue
            claimed = ("path", os.path.realpath(text)) if text.startswith("/") else (what, text)
            line = reader.line(option_key)
            first = claims.setdefault(claimed, (name, line, text))
            if first[0] != name:
                alias = "" if first[2] == text else f" as {first[2]}"
                reader.report.add(
                    line,
                    option_key,
                    f"two devices claim one {what}: {text} belongs to {first[0]!r} already{alias} (line {first[1]}); "
                    "give each device its own",
                )


def _exclusive(options: Any, key: str) -> Iterator[tuple[str, Any, str]]:
    if isinstance(options, tuple):
        for index, item in enumerate(options):
            yield from _exclusive(item, f"{key}[{index}]")
    elif isinstance(options, Mapping):
        for name, item in options.items():
            yield from _exclusive(item, joined(key, name))
    elif dataclasses.is_dataclass(options):
        for field in dataclasses.fields(options):
            value = getattr(options, field.name)
            rule = field.metadata.get("rule")
            if rule is not None and rule.exclusive:
                if value is not None:
                    yield f"{key}.{field.name}", value, rule.exclusive
            else:
                yield from _exclusive(value, f"{key}.{field.name}")


class _References:
    """Follows the names of devices in ``evses`` and ``readers``."""

    def __init__(self, reader: Reader, drivers: Mapping[str, Driver | None]) -> None:
        self._reader = reader
        self._drivers = drivers
        self._devices: Mapping[str, Any] = reader.values.get("devices", {})
        self._units: dict[str, Mapping[str, frozenset[str]] | None] = {}
        self._claimed: dict[str, tuple[str, str, int]] = {}
        self._used: set[str] = set()

    def check(self) -> None:
        for name in self._devices:
            self._units[name] = self._units_of(name)
        whole = True
        for key, values in _evses(self._reader):
            for option, needs in _NEEDS.items():
                if option not in values:
                    whole = False
                elif values[option]:
                    owner = "" if option in _SHARED else key
                    self._follow(values[option], f"{key}.{option}", frozenset({needs}), owner)
            if "board" not in values:
                whole = False
            elif values["board"]:
                lacking = frozenset(_NEEDS[option] for option in _ESSENTIAL if not values.get(option))
                self._follow(values["board"], f"{key}.board", lacking, key)
            if "temperatures" not in values:
                whole = False
            for index, reference in enumerate(values.get("temperatures", ())):
                self._follow(reference, f"{key}.temperatures[{index}]", frozenset({"temperature_sensor"}), "")
            self._check_controller(key, values)
        if "evses" not in self._reader.lines:
            whole = False
        grid = self._reader.values.get("installation", {}).get("grid_meter", "")
        if grid:
            self._follow(grid, "installation.grid_meter", frozenset({"power_meter"}), "installation.grid_meter")
        for index, name in enumerate(self._reader.values.get("", {}).get("readers", ())):
            self._follow(name, f"readers[{index}]", frozenset({_NEEDS["reader"]}), f"readers[{index}]")
        if "readers" not in self._reader.values.get("", {}) or not whole:
            return
        for name in self._devices:
            if name not in self._used and _DEVICE_NAME.match(name):
                key = joined("devices", name)
                self._reader.report.add(
                    self._reader.line(key), key, "is used by no EVSE and no reader; name it there, or remove it"
                )

    def _units_of(self, name: str) -> Mapping[str, frozenset[str]] | None:
        driver = self._drivers.get(name)
        if driver is None:
            return None
        try:
            units = driver.units(self._devices[name].options)
            return {unit: frozenset(kind.value for kind in kinds) for unit, kinds in units.items()}
        except (ValueError, OSError) as error:
            key = joined("devices", name)
            self._reader.report.add(self._reader.line(key), key, str(error))
            return None

    def _check_controller(self, key: str, values: Mapping[str, Any]) -> None:
        """A controller that closes its own contacts cannot have others beside it, nor switch for another pilot."""
        board = values.get("board", "")
        pilot, contactor = (values.get(option, "") or board for option in _ESSENTIAL)
        for option, reference, other in (("contactor", contactor, pilot), ("pilot", pilot, contactor)):
            if _CONTROLLER in self._kinds_of(other) and reference and reference != other:
                named = option if values.get(option) else "board"
                self._reader.report.add(
                    self._reader.line(f"{key}.{named}"),
                    f"{key}.{named}",
                    f"{other!r} runs pilot and contactor by itself; leave {option} to it",
                )
                return

    def _kinds_of(self, reference: str) -> frozenset[str]:
        name, _, unit = reference.partition(".")
        return (self._units.get(name) or {}).get(unit, frozenset())

    def _follow(self, reference: str, key: str, needs: frozenset[str], owner: str) -> None:
        """Note that ``key`` uses a unit, and whether it may. ``owner`` '': it only looks, and may share."""
        line = self._reader.line(key)
        add = self._reader.report.add
        name, dot, unit = reference.partition(".")
        self._used.add(name)
        if name not in self._devices:
            if self._known_by_name(name):
                return  # it is there, but broken; that has its own finding
            near = nearest(name, self._devices)
            add(line, key, f"no device is named {shown(name)}{near or '; there are: ' + listed(self._devices)}")
            return
        units = self._units[name]
        if units is not None:
            fitting = [u for u, kinds in units.items() if needs <= kinds]
            named = listed(f"{name}.{u}" if u else name for u in fitting)
            if unit not in units or (bool(dot) and not unit):
                has = f"its units are {listed(units)}" if any(units) else "it has no units to choose from"
                count = ("no units", "a unit with a name")[len(units)] if len(units) < 2 else "several units"
                reason = f"{name!r} has no unit {shown(unit)}, {has}" if dot else f"{name!r} has {count}"
                add(line, key, f"{reason}; write {named if fitting else 'another device'}")
                return
            if unit not in fitting:
                missing = listed(sorted(kind.replace("_", " ") for kind in needs - units[unit]))
                add(line, key, f"{reference!r} has no {missing}; {self._offers(needs)}")
                return
        if not owner:
            return
        first = self._claimed.setdefault(reference, (owner, key, line))
        if first[0] != owner:
            add(line, key, f"{reference!r} serves {first[1]} already (line {first[2]}); one unit serves one EVSE")

    def _known_by_name(self, name: str) -> bool:
        return f"devices.{name}" in self._reader.lines

    def _offers(self, needs: frozenset[str]) -> str:
        fitting = [
            f"{name}.{unit}" if unit else name
            for name, units in self._units.items()
            for unit, kinds in (units or {}).items()
            if needs <= kinds
        ]
        return f"these have: {listed(fitting)}" if fitting else "no device here has"
