"""Monitors, their events and streams, put together. Pure: time and connection come in, documents to keep go out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agent.clock import Moment
from agent.device_model import events, monitor_book
from agent.device_model.events import EventLine, KeepDocument
from agent.device_model.model import DeviceModel
from agent.device_model.monitor_book import MonitorBook
from agent.device_model.monitors import Kind, Monitor, MonitorType
from agent.device_model.protections import TROUBLES
from agent.device_model.streams import Streams
from agent.device_model.variables import Component, Variable
from agent.device_model.watch import Watch
from agent.station.settings import Settings

CONTROLLER_SEVERITY = 2
"""System failure: the control process, or the disk, does not do its part."""

HEAT_SEVERITY = 6
"""Warning: charging has become slower."""

TABLES = (monitor_book.TABLE, events.TABLE)
"""Documents that are kept."""


class Monitoring:
    """``kept``: table → key → document. ``transaction`` and ``linked``: as for ``Watch``."""

    def __init__(
        self,
        model: DeviceModel,
        settings: Settings,
        transaction: Callable[[int], str],
        linked: Callable[[int], str],
        derate_c: float,
        kept: Mapping[str, Mapping[str, Any]],
        keep: KeepDocument,
    ) -> None:
        self._settings = settings
        book_kept = kept.get(monitor_book.TABLE, {})
        self.book = MonitorBook(model, hard_wired(model), preconfigured(model, derate_c), book_kept, keep)
        self.line = EventLine(kept.get(events.TABLE, {}), keep, lambda: self._offline_severity)
        self.watch = Watch(model, self.book, transaction, linked, book_kept, keep, self.line.last_id)
        self.streams = Streams()
        for monitor in self.book:
            self.streams.monitor_changed(None, monitor)
        self.book.on_change(self.streams.monitor_changed)
        self.carried = False
        """A connection that has words for events stands: one of OCPP 2, registered."""
        self._listeners: list[Callable[[], None]] = []

    @property
    def _offline_severity(self) -> int:
        return self._settings.integer("MonitoringCtrlr.OfflineQueuingSeverity")

    def on_news(self, listener: Callable[[], None]) -> None:
        """Call this when there is something to tell the network."""
        self._listeners.append(listener)

    def look(self, moment: Moment) -> None:
        """Compare everything once; what is to be told goes into a stream or into the line."""
        online = self.carried
        enabled = self._settings.boolean("MonitoringCtrlr.Enabled")
        found = self.watch.step(moment, online=online, enabled=enabled, offline_severity=self._offline_severity)
        self.line.put(event for event in found if not (online and self.streams.take(event)))
        if found:
            for listener in self._listeners:
                listener()

    def next_wake(self, moment: Moment) -> float | None:
        """When ``look`` has something to do whatever happens."""
        return self.watch.next_wake(moment)


CONTROLLERS = ("Controller", "TariffCostCtrlr")
"""What has trouble of its own to tell: the processes, and tariffs that cannot be used (2.1 I08.FR.31, FR.36)."""


def hard_wired(model: DeviceModel) -> Iterator[Monitor]:
    """What nobody can switch off: faults of the hardware, tampering, and the processes' own trouble (G05, N07)."""
    troubles = {(each.component, each.variable, each.variable_instance): each for each in TROUBLES}
    for entry in model:
        component, variable = entry.component, entry.variable
        trouble = troubles.get((component.name, variable.name, variable.instance))
        if component.name in CONTROLLERS and component.evse == 0 and variable.name == "Problem":
            yield _delta(component, variable, CONTROLLER_SEVERITY, Kind.HARD_WIRED)
        elif trouble is not None:
            kind = Kind.NOTIFICATION if trouble.happening else Kind.HARD_WIRED
            yield _delta(component, variable, trouble.severity, kind)


def _delta(component: Component, variable: Variable, severity: int, kind: Kind) -> Monitor:
    return Monitor(0, component, variable, MonitorType.DELTA, 1, severity, kind=kind)


def preconfigured(model: DeviceModel, derate_c: float) -> Iterable[Monitor]:
    """What is of use to most, and may be changed: heat that slows charging down (``control.temperature.derate_c``)."""
    for entry in model:
        if (entry.component.name, entry.variable.name) == ("TemperatureSensor", "Temperature"):
            yield Monitor(
                0,
                entry.component,
                entry.variable,
                MonitorType.UPPER_THRESHOLD,
                derate_c,
                HEAT_SEVERITY,
                kind=Kind.PRECONFIGURED,
            )
