"""What a monitor has to tell, and the line in which it waits for the network (N07.FR.04, N08.FR.03)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from agent.device_model.monitors import Kind
from agent.device_model.variables import Component, Variable
from agent.journal.events import Stamp

log = logging.getLogger(__name__)

TABLE = "monitor_event"

MOST = 1000
"""Events that wait. When there are more, periodic values give way first, then differences, then the least grave."""

KeepDocument = Callable[[str, str, Any], None]


class Trigger(Enum):
    """EventTriggerEnumType."""

    ALERTING = "Alerting"
    DELTA = "Delta"
    PERIODIC = "Periodic"


_GIVES_WAY = {Trigger.PERIODIC: 0, Trigger.DELTA: 1, Trigger.ALERTING: 2}


@dataclass(frozen=True, slots=True)
class MonitorEvent:
    id: int
    monitor: int
    kind: Kind
    severity: int
    component: Component
    variable: Variable
    trigger: Trigger
    value: str
    stamp: Stamp
    cleared: bool = False
    cause: int | None = None
    """The event that led to this one."""
    transaction: str = ""
    tech_code: str = ""
    tech_info: str = ""


class EventLine:
    """``durable``: up to which severity an event outlives the process."""

    def __init__(
        self, kept: Mapping[str, Any], keep: KeepDocument, durable: Callable[[], int], most: int = MOST
    ) -> None:
        self._keep = keep
        self._durable = durable
        self._most = most
        self._waiting: dict[int, MonitorEvent] = {}
        self._kept: set[int] = set()
        for key in sorted(filter(str.isdigit, kept), key=int):
            event = _read(kept[key])
            if event is None:
                self._keep(TABLE, key, None)
            else:
                self._waiting[event.id] = event
                self._kept.add(event.id)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def last_id(self) -> int:
        return max(self._waiting, default=0)

    def put(self, events: Iterable[MonitorEvent]) -> None:
        for event in events:
            self._waiting[event.id] = event
            if event.severity <= self._durable():
                self._kept.add(event.id)
                self._keep(TABLE, str(event.id), _written(event))
        while len(self._waiting) > self._most:
            gone = min(self._waiting.values(), key=lambda each: (_GIVES_WAY[each.trigger], -each.severity, each.id))
            log.warning("%d events wait for the network; one of monitor %d is dropped", self._most, gone.monitor)
            self._forget(gone.id)

    def first(self, most: int) -> Sequence[MonitorEvent]:
        """The oldest."""
        return [event for event, _ in zip(self._waiting.values(), range(most), strict=False)]

    def told(self, ids: Iterable[int]) -> None:
        """The network has these events."""
        for number in ids:
            self._forget(number)

    def _forget(self, number: int) -> None:
        self._waiting.pop(number, None)
        if number in self._kept:
            self._kept.discard(number)
            self._keep(TABLE, str(number), None)


def _written(event: MonitorEvent) -> dict[str, Any]:
    component, variable, stamp = event.component, event.variable, event.stamp
    return {
        "id": event.id,
        "monitor": event.monitor,
        "kind": event.kind.value,
        "severity": event.severity,
        "component": [component.name, component.instance, component.evse, component.connector],
        "variable": [variable.name, variable.instance],
        "trigger": event.trigger.value,
        "value": event.value,
        "stamp": [stamp.boot, stamp.monotonic_s, stamp.utc_s, stamp.synced],
        "cleared": event.cleared,
        "cause": event.cause,
        "transaction": event.transaction,
        "tech": [event.tech_code, event.tech_info],
    }


def _read(document: Any) -> MonitorEvent | None:
    try:
        name, instance, evse, connector = document["component"]
        variable, variable_instance = document["variable"]
        boot, monotonic_s, utc_s, synced = document["stamp"]
        cause = document["cause"]
        return MonitorEvent(
            int(document["id"]),
            int(document["monitor"]),
            Kind(document["kind"]),
            int(document["severity"]),
            Component(str(name), str(instance), int(evse), int(connector)),
            Variable(str(variable), str(variable_instance)),
            Trigger(document["trigger"]),
            str(document["value"]),
            Stamp(str(boot), float(monotonic_s), float(utc_s), synced is True),
            document["cleared"] is True,
            None if cause is None else int(cause),
            str(document["transaction"]),
            str(document["tech"][0]),
            str(document["tech"][1]),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
