"""What a monitor is, and which ones a variable takes (OCPP 2.0.1 block N; 2.1 adds the two by target)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from agent.device_model.variables import AttributeType, Component, Entry, Variable

LONGEST_PERIOD_S = 86_400.0
"""A day. A monitor that speaks less often is better asked for."""

SHORTEST_PERIOD_S = 1.0

SEVERITIES = range(10)
"""0 (danger) to 9 (debug)."""


class MonitorType(Enum):
    UPPER_THRESHOLD = "UpperThreshold"
    LOWER_THRESHOLD = "LowerThreshold"
    DELTA = "Delta"
    PERIODIC = "Periodic"
    PERIODIC_CLOCK_ALIGNED = "PeriodicClockAligned"
    TARGET_DELTA = "TargetDelta"
    TARGET_DELTA_RELATIVE = "TargetDeltaRelative"

    @property
    def threshold(self) -> bool:
        """It has two sides: what is told on crossing is cleared on coming back."""
        return self in _THRESHOLDS

    @property
    def periodic(self) -> bool:
        return self in (MonitorType.PERIODIC, MonitorType.PERIODIC_CLOCK_ALIGNED)


_THRESHOLDS = frozenset(
    (
        MonitorType.UPPER_THRESHOLD,
        MonitorType.LOWER_THRESHOLD,
        MonitorType.TARGET_DELTA,
        MonitorType.TARGET_DELTA_RELATIVE,
    )
)


class Kind(Enum):
    """EventNotificationEnumType."""

    NOTIFICATION = "HardWiredNotification"
    """Told whenever it happens: no monitor that could be reported, changed or cleared."""
    HARD_WIRED = "HardWiredMonitor"
    PRECONFIGURED = "PreconfiguredMonitor"
    CUSTOM = "CustomMonitor"


class Base(Enum):
    ALL = "All"
    FACTORY_DEFAULT = "FactoryDefault"
    HARD_WIRED_ONLY = "HardWiredOnly"


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """When the values that a stream has gathered are sent (2.1): after so many s, after so many; 0: not by this."""

    interval_s: int = 0
    values: int = 0


@dataclass(frozen=True, slots=True)
class Monitor:
    id: int
    component: Component
    variable: Variable
    type: MonitorType
    value: float
    """A threshold, a difference, or a period in seconds."""
    severity: int
    transaction: bool = False
    """Only while a transaction is open at the component's EVSE (any one, for a component of the charge point)."""
    kind: Kind = Kind.CUSTOM
    stream: StreamParameters | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """There is at most one of each (N04.FR.10)."""
        return (*self.component.key, *self.variable.key, self.type, self.severity)

    @property
    def name(self) -> str:
        """Survives a change of the numbers."""
        return f"{self.component}.{self.variable} {self.type.value} {self.severity}".casefold()


class SetStatus(Enum):
    """SetMonitoringStatusEnumType."""

    ACCEPTED = "Accepted"
    UNKNOWN_COMPONENT = "UnknownComponent"
    UNKNOWN_VARIABLE = "UnknownVariable"
    UNSUPPORTED_TYPE = "UnsupportedMonitorType"
    REJECTED = "Rejected"
    DUPLICATE = "Duplicate"


@dataclass(frozen=True, slots=True)
class SetResult:
    status: SetStatus
    id: int | None = None
    reason: str = ""
    detail: str = ""


class ClearStatus(Enum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    NOT_FOUND = "NotFound"


def objection(entry: Entry, monitor: Monitor) -> SetResult | None:
    """Say why a variable does not take a monitor; None when it does."""
    type_, value, what = monitor.type, monitor.value, entry.characteristics
    unsupported = not what.monitored or (type_.threshold and not what.data_type.numeric)
    by_target = type_ in (MonitorType.TARGET_DELTA, MonitorType.TARGET_DELTA_RELATIVE)
    if unsupported or (by_target and entry.attribute(AttributeType.TARGET) is None):
        return SetResult(SetStatus.UNSUPPORTED_TYPE)  # N04.FR.05
    if type_ in (MonitorType.UPPER_THRESHOLD, MonitorType.LOWER_THRESHOLD):
        low = what.minimum is not None and value < what.minimum
        high = what.maximum is not None and value > what.maximum
        if low or high:  # N04.FR.06
            bound = what.minimum if low else what.maximum
            words = f"{value:g} is {'below' if low else 'above'} {bound:g}, the bound of {entry}"
            return SetResult(SetStatus.REJECTED, reason="ValueOutOfRange", detail=words)
    elif type_.periodic:
        if not SHORTEST_PERIOD_S <= value <= LONGEST_PERIOD_S:
            words = f"a period of {value:g} s is not within {SHORTEST_PERIOD_S:g} and {LONGEST_PERIOD_S:g}"
            return SetResult(SetStatus.REJECTED, reason="ValueOutOfRange", detail=words)
    elif value < 0:  # N04.FR.14
        return SetResult(SetStatus.REJECTED, reason="ValuePositiveOnly", detail="a difference cannot be below 0")
    if monitor.severity not in SEVERITIES:
        return SetResult(SetStatus.REJECTED, reason="ValueOutOfRange", detail="severities are 0 to 9")
    return None


def to_document(monitor: Monitor) -> dict[str, Any]:
    """As it is kept."""
    component, variable, stream = monitor.component, monitor.variable, monitor.stream
    return {
        "id": monitor.id,
        "component": [component.name, component.instance, component.evse, component.connector],
        "variable": [variable.name, variable.instance],
        "type": monitor.type.value,
        "value": monitor.value,
        "severity": monitor.severity,
        "transaction": monitor.transaction,
        "stream": None if stream is None else [stream.interval_s, stream.values],
    }


def from_document(document: Any) -> Monitor | None:
    """Return a kept custom monitor; None when it cannot be read."""
    try:
        name, instance, evse, connector = document["component"]
        variable, variable_instance = document["variable"]
        stream = document.get("stream")
        return Monitor(
            int(document["id"]),
            Component(str(name), str(instance), int(evse), int(connector)),
            Variable(str(variable), str(variable_instance)),
            MonitorType(document["type"]),
            float(document["value"]),
            int(document["severity"]),
            document["transaction"] is True,
            stream=None if stream is None else StreamParameters(int(stream[0]), int(stream[1])),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
