"""All monitors of a charge point: which are in force, and how the network sets, clears and resets them (N02 to N06).

Hard-wired ones and preconfigured ones come with the software and the configuration; their numbers are given afresh at
each start (N04.FR.19 allows it). Custom ones are kept. A preconfigured one that the network has changed counts as
custom and keeps its number until a base is set (N04.FR.15).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.device_model.model import DeviceModel, Missing
from agent.device_model.monitors import (
    SEVERITIES,
    Base,
    ClearStatus,
    Kind,
    Monitor,
    SetResult,
    SetStatus,
    from_document,
    objection,
    to_document,
)

log = logging.getLogger(__name__)

TABLE = "monitor"
"""Documents: one of each custom monitor by its number, one of "settings" (base, level, what was cleared of the
preconfigured ones), and those of ``agent.device_model.watch``."""

SETTINGS = "settings"

FIRST_NOTIFICATION = 4_000
"""These numbers are never told."""

FIRST_PRECONFIGURED = 5_000
FIRST_CUSTOM = 10_000

MOST = 500
"""Custom monitors. More would cost more to look after than anybody gains."""

KeepDocument = Callable[[str, str, Any], None]
"""(table, key, document or None)"""


class MonitorBook:
    def __init__(
        self,
        model: DeviceModel,
        hard_wired: Iterable[Monitor],
        preconfigured: Iterable[Monitor],
        kept: Mapping[str, Any],
        keep: KeepDocument,
    ) -> None:
        """``hard_wired`` and ``preconfigured`` are given numbers here. A kept monitor of a variable that is gone, or
        that takes it no more, is forgotten."""
        self._model = model
        self._keep = keep
        self.base = Base.ALL
        self.level = SEVERITIES[-1]
        self._monitors: dict[int, Monitor] = {}
        wired = list(hard_wired)
        monitors = [each for each in wired if each.kind is not Kind.NOTIFICATION]
        for number, monitor in enumerate(monitors, start=1):
            self._monitors[number] = replace(monitor, id=number, kind=Kind.HARD_WIRED)
        happenings = [each for each in wired if each.kind is Kind.NOTIFICATION]
        self._notifications = [
            replace(each, id=number) for number, each in enumerate(happenings, start=FIRST_NOTIFICATION)
        ]
        self._preconfigured = {
            number: replace(monitor, id=number, kind=Kind.PRECONFIGURED)
            for number, monitor in enumerate(preconfigured, start=FIRST_PRECONFIGURED)
        }
        self._cleared: set[str] = set()
        """Names of preconfigured monitors that the network has cleared."""
        self._listeners: list[Callable[[Monitor | None, Monitor | None], None]] = []
        self._load(kept)
        self._next = max(FIRST_CUSTOM - 1, *self._monitors, 0) + 1

    def _load(self, kept: Mapping[str, Any]) -> None:
        settings = kept.get(SETTINGS)
        if isinstance(settings, dict):
            self.base = next((base for base in Base if base.value == settings.get("base")), self.base)
            level = settings.get("level")
            self.level = level if isinstance(level, int) and level in SEVERITIES else self.level
            self._cleared = {str(name) for name in settings.get("cleared", [])}
        if self.base is not Base.HARD_WIRED_ONLY:
            standing = {n: each for n, each in self._preconfigured.items() if each.name not in self._cleared}
            self._monitors.update(standing)
        for key in sorted(filter(str.isdigit, kept), key=int):
            monitor = from_document(kept[key])
            entry = None if monitor is None else self._model.get(monitor.component, monitor.variable)
            if monitor is None or entry is None or objection(entry, monitor) is not None:
                log.warning("a kept monitor (%s) has nothing to watch any more and is forgotten", key)
                self._keep(TABLE, key, None)
                continue
            self._take(monitor, key)

    def _take(self, monitor: Monitor, key: str) -> None:
        """Take a kept monitor under its number, unless by now another configuration has given that to another one."""
        replaced = self._preconfigured.get(monitor.id)
        if monitor.id < FIRST_CUSTOM and (replaced is None or _watched(replaced) != _watched(monitor)):
            self._keep(TABLE, key, None)
            monitor = replace(monitor, id=max(FIRST_CUSTOM - 1, *self._monitors, 0) + 1)
            self._keep(TABLE, str(monitor.id), to_document(monitor))
        for other in [each for each in self._monitors.values() if each.identity == monitor.identity]:
            if other.kind is Kind.HARD_WIRED:
                self._keep(TABLE, str(monitor.id), None)
                return
            del self._monitors[other.id]
        self._monitors[monitor.id] = monitor

    # ---- what there is ----

    def watched(self) -> Sequence[Monitor]:
        """Return everything that is looked after: the monitors, and what is told without being one."""
        return [*self, *self._notifications]

    def __iter__(self) -> Iterator[Monitor]:
        return iter(sorted(self._monitors.values(), key=lambda monitor: monitor.id))

    def get(self, number: int) -> Monitor | None:
        return self._monitors.get(number)

    def on_change(self, listener: Callable[[Monitor | None, Monitor | None], None]) -> None:
        """Call ``listener(before, after)`` for each monitor that was set, replaced or removed."""
        self._listeners.append(listener)

    # ---- what the network asks ----

    def set(self, wanted: Monitor, replaces: int | None) -> SetResult:
        """Install a monitor (its number is given here), or replace the one of this number (N04)."""
        before = None if replaces is None else self._monitors.get(replaces)
        if replaces is not None and before is None:
            return _rejected("NotFound", f"there is no monitor {replaces}")  # N04.FR.13
        if before is not None:
            if _watched(before) != _watched(wanted):
                return _rejected("InvalidValue", f"monitor {replaces} watches another variable")  # N04.FR.16
            if before.kind is Kind.HARD_WIRED:
                return _rejected("UnsupportedRequest", f"monitor {replaces} is hard-wired")  # N04.FR.18
        found = self._model.find(wanted.component, wanted.variable)
        if found is Missing.COMPONENT:
            return SetResult(SetStatus.UNKNOWN_COMPONENT)  # N04.FR.03
        if isinstance(found, Missing):
            return SetResult(SetStatus.UNKNOWN_VARIABLE)  # N04.FR.04
        problem = objection(found, wanted)
        if problem is not None:
            return problem
        number = self._next if before is None else before.id
        monitor = replace(wanted, id=number, component=found.component, variable=found.variable, kind=Kind.CUSTOM)
        if any(each.identity == monitor.identity and each.id != number for each in self._monitors.values()):
            return SetResult(SetStatus.DUPLICATE)  # N04.FR.10
        if before is None:
            if sum(each.kind is Kind.CUSTOM for each in self._monitors.values()) >= MOST:
                return _rejected("OutOfStorage", f"{MOST} monitors are set; clear one first")
            self._next += 1
        self._put(before, monitor)
        return SetResult(SetStatus.ACCEPTED, number)  # N04.FR.11, FR.12

    def clear(self, number: int) -> ClearStatus:
        """N06"""
        monitor = self._monitors.get(number)
        if monitor is None:
            return ClearStatus.NOT_FOUND
        if monitor.kind is Kind.HARD_WIRED:
            return ClearStatus.REJECTED  # N06.FR.03
        self._remove(monitor)
        if number in self._preconfigured:
            self._cleared.add(self._preconfigured[number].name)
            self._keep_settings()
        return ClearStatus.ACCEPTED

    def set_base(self, base: Base) -> None:
        """N03.FR.03 to FR.05. A preconfigured monitor that was cleared comes back with All and FactoryDefault."""
        if base is not Base.ALL:
            for monitor in [each for each in self if each.kind is Kind.CUSTOM]:
                self._remove(monitor)
        for number, monitor in self._preconfigured.items():
            present = self._monitors.get(number)
            if base is Base.HARD_WIRED_ONLY and present is not None:
                self._remove(present)
            elif base is not Base.HARD_WIRED_ONLY and present is None:
                self._put(None, monitor)
        self.base = base
        self._cleared.clear()
        self._keep_settings()

    def set_level(self, severity: int) -> bool:
        """False for a severity that there is not (N05.FR.02)."""
        if severity not in SEVERITIES:
            return False
        self.level = severity
        self._keep_settings()
        return True

    # ---- keeping ----

    def _put(self, before: Monitor | None, monitor: Monitor) -> None:
        self._monitors[monitor.id] = monitor
        if monitor.kind is Kind.CUSTOM:
            self._keep(TABLE, str(monitor.id), to_document(monitor))
        self._tell(before, monitor)

    def _remove(self, monitor: Monitor) -> None:
        del self._monitors[monitor.id]
        if monitor.kind is Kind.CUSTOM:
            self._keep(TABLE, str(monitor.id), None)
        self._tell(monitor, None)

    def _tell(self, before: Monitor | None, after: Monitor | None) -> None:
        for listener in self._listeners:
            listener(before, after)

    def _keep_settings(self) -> None:
        self._keep(TABLE, SETTINGS, {"base": self.base.value, "level": self.level, "cleared": sorted(self._cleared)})


def _watched(monitor: Monitor) -> tuple[object, ...]:
    return (*monitor.component.key, *monitor.variable.key)


def _rejected(reason: str, detail: str) -> SetResult:
    return SetResult(SetStatus.REJECTED, reason=reason, detail=detail)
