"""The agent's configuration that fits a lab."""

from __future__ import annotations

from typing import Any

import yaml

from simulators.lab.assembly import Assembly
from simulators.lab.settings import LabSettings, SettingsError


def configuration(assembly: Assembly) -> dict[str, Any]:
    """The agent's configuration as plain data. Raises SettingsError for an override that fits nowhere."""
    settings = assembly.settings
    directory = settings.directory
    installation: dict[str, Any] = {
        "max_current_a": settings.max_current_a * settings.evses,
        "phases": settings.phases,
        "nominal_voltage_v": 230,
        "residual_current_profile": "iec",
        "ventilation": settings.ventilation,
    }
    evses: list[dict[str, Any]] = []
    for number, place in assembly.places.items():
        references = place.board.references()
        installation.update(references.pop("installation", {}))
        references.pop("meter", None)
        meter = place.meter.reference(number)
        evse: dict[str, Any] = {
            "id": number,
            "connector": place.connector,
            **({"meter": meter} if meter else {}),
            "max_current_a": settings.max_current_a,
            "phases": settings.phases,
            **references,
        }
        for post in assembly.readers:
            if post.evse == number:
                evse["reader"] = post.peer.reference()
        evses.append(evse)
    data: dict[str, Any] = {
        "station": {"vendor": "EvseAgent", "model": "Lab", "serial_number": settings.identity},
        "installation": installation,
        "devices": _devices(assembly),
        "evses": evses,
        "readers": [post.peer.reference() for post in assembly.readers if post.evse == 0],
        "ocpp": {
            "url": settings.csms_url,
            "identity": settings.identity,
            "settings": {"HeartbeatInterval": "300"},
        },
        "paths": {"state_dir": str(directory / "state"), "runtime_dir": str(directory / "run")},
    }
    for path, value in settings.overrides.items():
        _put(data, path, value)
    return data


class _WrittenOut(yaml.SafeDumper):
    """Writes out again what two devices have in common: the agent takes no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (whatever it is)
        return True


def write_configuration(settings: LabSettings, data: dict[str, Any]) -> None:
    """Write ``config.yaml`` for the agent."""
    head = "# Written by evse-sim lab: the agent's configuration for this simulated hardware.\n"
    text = yaml.dump(data, Dumper=_WrittenOut, sort_keys=False, allow_unicode=True, width=110)
    settings.config_path.write_text(head + text, encoding="utf-8")


def _devices(assembly: Assembly) -> dict[str, Any]:
    """Each device once. Raises SettingsError where two peers mean different things by one name."""
    devices: dict[str, Any] = {}
    for peer in assembly.peers():
        for name, entry in peer.devices().items():
            if devices.setdefault(name, entry) != entry:
                raise SettingsError(f"devices: two kinds of this lab both bring a device {name!r}; choose other kinds")
    return devices


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
