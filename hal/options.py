"""How configuration declares itself: dataclass fields that carry their own rules.

A section of the configuration (a driver's options, an EVSE, …) is a frozen dataclass whose fields are made with
``option``. The loader in ``agent.config`` reads a YAML node into it and reports every broken rule with file and
line. Declaring the rules beside the field keeps documentation, check and code in one place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

REQUIRED: Any = dataclasses.MISSING
"""Default of an option that must be given."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one option may hold. Kept in the dataclass field's metadata under ``"rule"``."""

    help: str
    unit: str = ""
    ge: float | None = None
    le: float | None = None
    choices: tuple[Any, ...] = ()
    exclusive: str = ""
    """Not empty: no two devices may give the same value; the text names what is claimed ("serial port")."""
    secret: bool = False
    """Masked wherever the configuration is shown."""
    check: Callable[[Any], str] | None = None
    """Returns the broken rule and its remedy, or an empty text."""


@runtime_checkable
class Troubled(Protocol):
    """A section whose options can contradict each other. The loader asks it once each of them is good by itself."""

    def trouble(self) -> str:
        """Return what in the combination can never work, with the remedy; empty when all is well. An option that it
        names in single quotes, and that stands in the file, gives the finding its line."""


def option(
    default: Any = REQUIRED,
    *,
    help: str,  # noqa: A002 (the field's natural name)
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    choices: Sequence[Any] = (),
    exclusive: str = "",
    secret: bool = False,
    check: Callable[[Any], str] | None = None,
    default_factory: Callable[[], Any] | None = None,
) -> Any:
    """Declare one option. Use as the default of a dataclass field.

    ``default_factory`` takes the place of ``default`` for mutable or computed defaults.
    """
    rule = Rule(help, unit, ge, le, tuple(choices), exclusive, secret, check)
    metadata = {"rule": rule}
    if default_factory is not None:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
