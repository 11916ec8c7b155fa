"""What a lab is made of, and the agent configuration that fits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from simulators.meters.eastron import MAPS

BOARDS = ("yeti", "tida")
READERS = ("pn532", "rdm6300")
CONNECTORS = ("socket", "cable")
METER_BAUD = 9600
FIRST_REGISTER_WH = 12_000
"""Meters do not begin at zero."""


class SettingsError(ValueError):
    """A lab of that kind cannot be built. The text names the setting, the rule and the remedy."""


@dataclass(frozen=True, slots=True)
class LabSettings:
    """``overrides`` are dotted paths into the agent's configuration with the values to put there."""

    directory: Path
    evses: int = 1
    board: str = "yeti"
    connector: str = "socket"
    phases: int = 3
    max_current_a: float = 32.0
    meter_map: str = "sdm630"
    reader: str = "pn532"
    readers_per_evse: bool = False
    ventilation: bool = False
    csms_url: str = ""
    identity: str = "LAB-0001"
    energy_factor: float = 1.0
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise SettingsError for the first rule that is broken."""
        if not 1 <= self.evses <= 16:
            raise SettingsError(f"evses: {self.evses} is outside 1 … 16")
        for name, value, choices in (
            ("board", self.board, BOARDS),
            ("connector", self.connector, CONNECTORS),
            ("phases", self.phases, (1, 3)),
            ("meter map", self.meter_map, tuple(MAPS)),
            ("reader", self.reader, READERS),
        ):
            if value not in choices:
                raise SettingsError(f"{name}: {value!r} is none of {', '.join(str(choice) for choice in choices)}")
        if not 6 <= self.max_current_a <= 80:
            raise SettingsError(f"max current: {self.max_current_a:g} A is outside 6 … 80")
        if not 0 < self.energy_factor <= 10_000:
            raise SettingsError(f"energy factor: {self.energy_factor:g} is outside 0 … 10000")
        if self.csms_url and not self.csms_url.startswith(("ws://", "wss://")):
            raise SettingsError(f"csms: {self.csms_url!r} must begin with ws:// or wss://")

    @property
    def socket_path(self) -> Path:
        return self.directory / "ctl.sock"

    @property
    def config_path(self) -> Path:
        return self.directory / "config.yaml"

    def board_port(self, evse: int) -> Path:
        return self.directory / f"board{evse}"

    @property
    def meter_port(self) -> Path:
        return self.directory / "meters"

    def reader_names(self) -> list[str]:
        return [f"reader{n}" for n in range(1, self.evses + 1)] if self.readers_per_evse else ["reader"]

    def config(self) -> dict[str, Any]:
        """The agent's configuration as plain data."""
        directory = self.directory
        numbers = range(1, self.evses + 1)
        devices: dict[str, Any] = {
            f"board{n}": {"driver": "mcu-board", "port": str(self.board_port(n)), "variant": self.board}
            for n in numbers
        }
        devices["meters"] = {
            "driver": "modbus-meter",
            "port": str(self.meter_port),
            "baud": METER_BAUD,
            "parity": "N",
            "meters": [{"name": f"m{n}", "address": n, "map": self.meter_map} for n in numbers],
        }
        for name in self.reader_names():
            devices[name] = {"driver": "serial-reader", "port": str(directory / name), "protocol": self.reader}
        evses: list[dict[str, Any]] = []
        for n in numbers:
            evse: dict[str, Any] = {
                "id": n,
                "connector": self.connector,
                "board": f"board{n}",
                "meter": f"meters.m{n}",
                "max_current_a": self.max_current_a,
                "phases": self.phases,
            }
            if self.readers_per_evse:
                evse["reader"] = f"reader{n}"
            evses.append(evse)
        data: dict[str, Any] = {
            "station": {"vendor": "EvseAgent", "model": "Lab", "serial_number": self.identity},
            "installation": {
                "max_current_a": self.max_current_a * self.evses,
                "phases": self.phases,
                "nominal_voltage_v": 230,
                "residual_current_profile": "iec",
                "ventilation": self.ventilation,
            },
            "devices": devices,
            "evses": evses,
            "readers": [] if self.readers_per_evse else ["reader"],
            "ocpp": {"url": self.csms_url, "identity": self.identity, "settings": {"HeartbeatInterval": "300"}},
            "paths": {"state_dir": str(directory / "state"), "runtime_dir": str(directory / "run")},
        }
        for path, value in self.overrides.items():
            _put(data, path, value)
        return data

    def write_config(self) -> None:
        """Write ``config.yaml`` for the agent."""
        head = "# Written by evse-sim lab: the agent's configuration for this simulated hardware.\n"
        text = yaml.safe_dump(self.config(), sort_keys=False, allow_unicode=True, width=110)
        self.config_path.write_text(head + text, encoding="utf-8")


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set ``a.b.c``; a number steps into a list (``evses.0.max_current_a``)."""
    *parents, last = path.split(".")
    place: Any = data
    for key in parents:
        if isinstance(place, list):
            place = place[_index(place, key, path)]
        elif isinstance(place, dict):
            place = place.setdefault(key, {})
        else:
            raise SettingsError(f"set {path}: {key!r} lies under a plain value; name a section")
    if isinstance(place, list):
        place[_index(place, last, path)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise SettingsError(f"set {path}: {last!r} lies under a plain value; name a section")


def _index(place: list[Any], key: str, path: str) -> int:
    if not key.isdecimal() or int(key) >= len(place):
        raise SettingsError(f"set {path}: {key!r} is no place in a list of {len(place)}; use 0 … {len(place) - 1}")
    return int(key)
