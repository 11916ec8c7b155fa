"""Reading YAML data with a message for every broken rule. Shared by the kinds of register maps."""

from __future__ import annotations

from typing import Any


class MapError(ValueError):
    """A register map breaks a rule. The text names the file, the place and the remedy."""


def read_mapping(content: Any, allowed: set[str], where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise MapError(f"{where}: give keys and values")
    unknown = [str(key) for key in content if key not in allowed]
    if unknown:
        raise MapError(f"{where}: unknown: {', '.join(unknown)}; allowed are: {', '.join(sorted(allowed))}")
    return content


def read_choice(content: dict[str, Any], key: str, choices: tuple[Any, ...], where: str, default: Any) -> Any:
    value = content.get(key, default)
    if value not in choices:
        raise MapError(f"{where}: {key}: {value!r} is none of {', '.join(str(choice) for choice in choices)}")
    return value


def read_integer(content: dict[str, Any], key: str, low: int, high: int, where: str, default: int | None) -> int:
    value = content.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise MapError(f"{where}: {key}: {value!r} is not a whole number from {low} to {high}")
    return value
