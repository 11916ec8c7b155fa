"""How a variable that shows a live value is declared, once, as data; and what becomes of it at each place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from agent.clock import Moment
from agent.device_model.variables import (
    Attribute,
    AttributeType,
    Characteristics,
    Component,
    DataType,
    Entry,
    Variable,
)
from agent.link.messages import FaultCode
from agent.station.facts import Facts
from agent.station.statuses import CHARGEX_CODES

CONNECTOR = 1
"""Each EVSE of ours has one connector."""

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Look:
    """What readers look at."""

    facts: Facts
    moment: Callable[[], Moment]


class Place(Enum):
    STATION = "the charge point"
    EVSE = "each EVSE"
    CONNECTOR = "each connector"


Reader = Callable[[Look, int], Value | None]
"""(look, number of the EVSE or 0) → the value; None while there is none that stands for now."""


@dataclass(frozen=True, slots=True)
class Declaration:
    place: Place
    component: str
    variable: str
    data_type: DataType
    read: Reader
    help: str
    instance: str = ""
    """Of the component."""
    variable_instance: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: Callable[[Look, int], float] | float | None = None
    choices: tuple[str, ...] = ()
    monitored: bool = True
    constant: bool = False
    target: Reader | None = None
    """What it is meant to be (attribute Target)."""
    faults: tuple[FaultCode, ...] = ()
    """Of what an event on it tells the technical code and words."""
    note: Callable[[Look], tuple[str, str]] | None = None
    """(code, words) that an event on it tells, where it is about no faults of control; empty while all is well."""
    there: Callable[[Look, int], bool] = lambda _look, _evse: True
    """Whether this place has it."""

    def entries(self, look: Look) -> Iterator[Entry]:
        """One for each place that has it."""
        places = [0] if self.place is Place.STATION else sorted(look.facts.evses)
        for evse in places:
            if self.there(look, evse):
                yield self._entry(look, evse)

    def _entry(self, look: Look, evse: int) -> Entry:
        connector = CONNECTOR if self.place is Place.CONNECTOR else 0
        attributes = [Attribute(_reader(self.read, look, evse), constant=self.constant)]
        if self.target is not None:
            attributes.append(Attribute(_reader(self.target, look, evse), type=AttributeType.TARGET))
        maximum = self.maximum(look, evse) if callable(self.maximum) else self.maximum
        return Entry(
            Component(self.component, self.instance, evse, connector),
            Variable(self.variable, self.variable_instance),
            Characteristics(self.data_type, self.unit, self.minimum, maximum, self.choices, self.monitored),
            tuple(attributes),
            self._note(look, evse),
            self.help,
        )

    def _note(self, look: Look, evse: int) -> Callable[[], tuple[str, str]] | None:
        note = self.note
        if note is not None:
            return lambda: note(look)
        return _note(look, evse, self.faults) if self.faults else None


def _reader(read: Reader, look: Look, evse: int) -> Callable[[], str | None]:
    def text() -> str | None:
        value = read(look, evse)
        return None if value is None else shown(value)

    return text


def shown(value: Value) -> str:
    """Return a value as OCPP writes it (part 2 §3, data types of variables)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{round(value, 3):g}" if math.isfinite(value) and abs(value) < 1e6 else f"{value:.3f}"
    return str(value)


def _note(look: Look, evse: int, codes: tuple[FaultCode, ...]) -> Callable[[], tuple[str, str]]:
    """ChargeX code and the words of the oldest of these faults that is present; empty when none is."""

    def note() -> tuple[str, str]:
        present = [report for code, report in look.facts.faults(evse).items() if code in codes]
        if not present:
            return "", ""
        fault = min(present, key=lambda each: (not each.latched, each.at))
        code, name = CHARGEX_CODES.get(fault.code, (fault.code.value, ""))
        return code, ": ".join(part for part in (name, fault.detail) if part)

    return note


def build(declarations: Iterable[Declaration], look: Look) -> Iterator[Entry]:
    for declaration in declarations:
        yield from declaration.entries(look)
