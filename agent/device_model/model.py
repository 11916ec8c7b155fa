"""All variables of a charge point, in one order, found by component and variable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from agent.device_model.variables import Component, Entry, Variable


class Missing(Enum):
    COMPONENT = "component"
    VARIABLE = "variable"


class DeviceModel:
    """Rooms add what they know (``add``); adding a variable again replaces it where it stands."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._components: dict[tuple[str, str, int, int], dict[tuple[str, str], Entry]] = {}
        self._listeners: list[Callable[[Entry], None]] = []
        self.add(entries)

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._components.setdefault(entry.component.key, {})[entry.variable.key] = entry

    def remove(self, entries: Iterable[Entry]) -> None:
        """What is not there is not there."""
        for entry in entries:
            variables = self._components.get(entry.component.key, {})
            variables.pop(entry.variable.key, None)
            if not variables:
                self._components.pop(entry.component.key, None)

    def find(self, component: Component, variable: Variable) -> Entry | Missing:
        """Say which of the two is not known (B05.FR.04/05, B06.FR.06/07/15)."""
        variables = self._components.get(component.key)
        if variables is None:
            return Missing.COMPONENT
        return variables.get(variable.key, Missing.VARIABLE)

    def get(self, component: Component, variable: Variable) -> Entry | None:
        found = self.find(component, variable)
        return None if isinstance(found, Missing) else found

    def __iter__(self) -> Iterator[Entry]:
        """Each component's variables together."""
        for variables in self._components.values():
            yield from variables.values()

    def __len__(self) -> int:
        return sum(len(variables) for variables in self._components.values())

    def on_written(self, listener: Callable[[Entry], None]) -> None:
        """Call ``listener(entry)`` when somebody has changed a variable through the model."""
        self._listeners.append(listener)

    def written(self, entry: Entry) -> None:
        """A change of this variable was accepted."""
        for listener in self._listeners:
            listener(entry)
