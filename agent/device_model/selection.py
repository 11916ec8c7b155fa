"""Which variables a report holds: base reports (B07), criteria and lists of components (B08, N02)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from agent.device_model.model import DeviceModel
from agent.device_model.variables import Component, Entry, Mutability, Variable


class ReportBase(Enum):
    CONFIGURATION = "ConfigurationInventory"
    FULL = "FullInventory"
    SUMMARY = "SummaryInventory"


class Criterion(Enum):
    ACTIVE = "Active"
    AVAILABLE = "Available"
    ENABLED = "Enabled"
    PROBLEM = "Problem"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One componentVariable of a request. A field that was left out is None and stands for every value."""

    name: str
    instance: str | None = None
    evse: int | None = None
    connector: int | None = None
    variable: str | None = None
    variable_instance: str | None = None

    def matches(self, component: Component, variable: Variable) -> bool:
        return (
            _same(self.name, component.name)
            # B08.FR.24/25, N02.FR.20/21
            and (not self.instance or _same(self.instance, component.instance))
            # B08.FR.23, N02.FR.19: no EVSE given means every place, the top level included.
            and (self.evse is None or self.evse == component.evse)
            # B08.FR.22, N02.FR.18
            and (self.connector is None or self.connector == component.connector)
            # B08.FR.20, N02.FR.16
            and (self.variable is None or _same(self.variable, variable.name))
            # B08.FR.21, N02.FR.17
            and (not self.variable_instance or _same(self.variable_instance, variable.instance))
        )


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


_STATES = frozenset(("availabilitystate",))
_TROUBLES = frozenset(("problem", "tripped", "overload", "fallback"))


def base_report(model: DeviceModel, base: ReportBase) -> list[Entry]:
    """B07.FR.07 to FR.09."""
    if base is ReportBase.FULL:
        return list(model)
    if base is ReportBase.CONFIGURATION:
        return [
            entry
            for entry in model
            if any(attribute.mutability is not Mutability.READ_ONLY for attribute in entry.attributes)
        ]
    return _summary(model)


def _summary(model: DeviceModel) -> list[Entry]:
    """How available everything is, and of each component in trouble what is the matter with it."""
    troubled = {entry.component.key for entry in model if entry.variable.name.casefold() in _TROUBLES and _true(entry)}
    return [
        entry
        for entry in model
        if entry.variable.name.casefold() in _STATES
        or (entry.component.key in troubled and entry.variable.name.casefold() in _TROUBLES | {"active", "count"})
    ]


def custom_report(
    model: DeviceModel, criteria: Iterable[Criterion] | None, wanted: Sequence[Wanted] | None
) -> list[Entry]:
    """B08: components that meet at least one criterion (FR.13), of these the variables asked for (FR.05, FR.11)."""
    rules = None if criteria is None else tuple(criteria)
    verdicts: dict[tuple[str, str, int, int], bool] = {}
    found = []
    for entry in model:
        if wanted is not None and not any(each.matches(entry.component, entry.variable) for each in wanted):
            continue
        if rules is not None:
            key = entry.component.key
            if key not in verdicts:
                verdicts[key] = any(_meets(model, entry.component, rule) for rule in rules)
            if not verdicts[key]:
                continue
        found.append(entry)
    return found


def _meets(model: DeviceModel, component: Component, criterion: Criterion) -> bool:
    entry = model.get(component, Variable(criterion.value))
    if entry is None:
        # B08.FR.07 to FR.09: a component without the variable counts as active, available, enabled; FR.10: as sound.
        return criterion is not Criterion.PROBLEM
    return _true(entry)


def _true(entry: Entry) -> bool:
    return entry.actual.value() == "true"
