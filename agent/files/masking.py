"""The configuration as it may be shown to others: every secret is masked."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

MASK = "•••"

_SECRET_NAME = re.compile(r"password|secret|token$|authorizationkey|private|credential|api_?key", re.IGNORECASE)
_USER_PART = re.compile(r"(?<=://)[^/@\s]+@")


def is_secret(name: str) -> bool:
    """Whether an option of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def masked(value: Any, name: str = "") -> Any:
    """Return a configuration (dataclasses, mappings, sequences) as JSON can carry it, without its secrets."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {}
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            rule = field.metadata.get("rule")
            secret = bool(getattr(rule, "secret", False))
            found[field.name] = MASK if secret and inner else masked(inner, field.name)
        return found
    if isinstance(value, Mapping):
        return {str(key): masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [masked(inner, name) for inner in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        if value and _SECRET_NAME.search(name):
            return MASK
        return _USER_PART.sub(f"{MASK}@", value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
