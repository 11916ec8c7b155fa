"""The station's settings: one typed truth that every OCPP version shows in its own words.

Named ``Component.Variable`` as in OCPP 2.0.1's device model, with ``[Instance]`` behind it where that has one: a
setting that is declared here is a variable there by itself (``agent.device_model``). OCPP 1.6 keys are views on these
(``agent.ocpp.v16.configuration``). A setting that nothing reads does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.station.settings import (
    authorisation,
    communication,
    display,
    hardware,
    metering,
    monitoring,
    security,
    smart_charging,
    transactions,
)
from agent.station.settings.setting import MEASURANDS, Kind, Setting, SettingError, Value, parse, show

__all__ = ["MEASURANDS", "SETTINGS", "Kind", "Setting", "SettingError", "Settings", "Value", "parse", "show"]

SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for part in (
        authorisation,
        transactions,
        communication,
        metering,
        monitoring,
        security,
        display,
        hardware,
        smart_charging,
    )
    for setting in part.SETTINGS
}


class Settings:
    """The values in force: defaults, then the configuration file's, then what was set since (and survives)."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {name: setting.default for name, setting in SETTINGS.items()}
        self._listeners: list[Callable[[str], None]] = []

    def set(self, name: str, text: str) -> None:
        """Take a value as text. Raises SettingError or KeyError; unchanged then."""
        self._values[name] = parse(SETTINGS[name], text)
        for listener in self._listeners:
            listener(name)

    def value(self, name: str) -> Value:
        return self._values[name]

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call ``listener(name)`` after each change."""
        self._listeners.append(listener)

    def boolean(self, name: str) -> bool:
        value = self._values[name]
        assert isinstance(value, bool)
        return value

    def integer(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        """A whole or a decimal number."""
        value = self._values[name]
        assert isinstance(value, int | float)
        return value

    def members(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple)
        return value

    def string(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str)
        return value
