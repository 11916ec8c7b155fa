"""Reading YAML data with a message for every broken rule. Shared by the kinds of register maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


class MapError(ValueError):
    """A register map breaks a rule. The text names the file, the place and the remedy."""


def read_yaml(text: str) -> Any:
    """Raises yaml.YAMLError."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_file(path: Path, missing: Callable[[], str]) -> Any:
    """Return the content of a YAML file. ``missing`` gives the words for one that is not there. Raises MapError."""
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MapError(missing()) from None
    except (OSError, UnicodeDecodeError) as error:
        raise MapError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise MapError(f"{path}: is not YAML: {error}") from None


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
