"""What a setting is, and how its value is read and shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_NUMBERS = {"integer": re.compile(r"[+-]?[0-9]{1,18}"), "decimal": re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")}
"""Shorter than what Python reads: no underscores, no exponents, no infinity, no digits of other scripts."""


class Kind(Enum):
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    STRING = "string"
    MEMBERS = "members"
    """Comma-separated words out of ``choices``, each at most once."""
    SEQUENCE = "sequence"
    """The same, where the order counts."""


Value = bool | int | float | str | tuple[str, ...]

MEASURANDS = (
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Frequency",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Temperature",
    "Voltage",
)
"""What we can measure. Asking for another is refused."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    kind: Kind
    default: Value
    help: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()
    writable: bool = True
    least: int = 0
    """Words that a list has at least."""


class SettingError(ValueError):
    """A value that a setting does not take. The text names the setting, the rule and the remedy."""


def parse(setting: Setting, text: str) -> Value:
    """Read a value from the network's or the file's text. Raises SettingError."""
    text = text.strip()
    if setting.kind is Kind.BOOLEAN:
        if text.lower() not in ("true", "false"):
            raise SettingError(f"{setting.name}: {text!r} is neither true nor false")
        return text.lower() == "true"
    if setting.kind in (Kind.INTEGER, Kind.DECIMAL):
        return _number(setting, text)
    if setting.kind in (Kind.MEMBERS, Kind.SEQUENCE):
        words = tuple(word.strip() for word in text.split(",") if word.strip())
        for word in words:
            if setting.choices and word not in setting.choices:
                raise SettingError(f"{setting.name}: {word!r} is not offered; choose from {', '.join(setting.choices)}")
        if len(set(words)) != len(words):
            raise SettingError(f"{setting.name}: a word stands twice in {text!r}")
        if len(words) < setting.least:
            raise SettingError(f"{setting.name}: give at least {setting.least} of {', '.join(setting.choices)}")
        return words
    if setting.choices and text not in setting.choices:
        raise SettingError(f"{setting.name}: {text[:40]!r} is none of {', '.join(setting.choices)}")
    return text


def _number(setting: Setting, text: str) -> int | float:
    if not _NUMBERS[setting.kind.value].fullmatch(text):
        raise SettingError(f"{setting.name}: {text[:40]!r} is not a number")
    number = int(text) if setting.kind is Kind.INTEGER else float(text)
    if setting.ge is not None and not number >= setting.ge:
        raise SettingError(f"{setting.name}: {text} is below {setting.ge:g} {setting.unit}".rstrip())
    if setting.le is not None and not number <= setting.le:
        raise SettingError(f"{setting.name}: {text} is above {setting.le:g} {setting.unit}".rstrip())
    return number


def show(value: Value) -> str:
    """Return the text that ``parse`` reads back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)
