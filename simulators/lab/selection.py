"""Which kinds a lab was asked for: ``KIND[:name=value,…]``, several with a comma between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulators.lab.kinds import KindError, load


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind's name and the settings given with it."""

    kind: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        settings = ",".join(f"{name}={value}" for name, value in self.options)
        return f"{self.kind}:{settings}" if settings else self.kind


def parse(what: str, text: str) -> list[Choice]:
    """Read ``KIND[:name=value,…][,KIND…]``. ``what`` names it in errors. Raises KindError."""
    choices: list[Choice] = []
    for piece in text.split(","):
        head, equals, _ = piece.partition("=")
        if equals and ":" not in head:
            if not choices:
                raise KindError(f"{what}: {piece!r} is a setting without a kind; write KIND:{piece}")
            last = choices[-1]
            choices[-1] = Choice(last.kind, (*last.options, _setting(what, piece)))
            continue
        kind, colon, rest = piece.partition(":")
        if not kind:
            raise KindError(f"{what}: {text!r} leaves out a kind; write KIND[:name=value,…]")
        choices.append(Choice(kind, (_setting(what, rest),) if colon else ()))
    return choices


def _setting(what: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise KindError(f"{what}: {text!r} is no setting; write name=value")
    return name, value


def spread(what: str, choices: list[Choice], places: int) -> list[Choice]:
    """One for each place: as many as there are, or one for all. Raises KindError."""
    if len(choices) == 1:
        return choices * places
    if len(choices) != places:
        raise KindError(f"{what}: {len(choices)} kinds for {places} place(s); give one for all or one for each")
    return choices


def kind_of(what: str, table: Mapping[str, str], choice: Choice, extra: tuple[str, ...] = ()) -> Any:
    """The kind a choice names. Raises KindError with the list of those there are."""
    if choice.kind not in table:
        raise KindError(f"{what}: {choice.kind!r} is none of {', '.join((*table, *extra))}")
    return load(table, choice.kind)
