"""Looks after the monitors: compares values with what was told last, and says what is to be told now (N07, N08). Pure.

What is muted (graver ones only, by N05, or while the network is away, N07.FR.04) is not compared at all: what was told
stands, and the first comparison afterwards tells what is different then. So the network never hears that something is
over of which it was not told, nor misses what still lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.clock import Moment
from agent.device_model.events import KeepDocument, MonitorEvent, Trigger
from agent.device_model.model import DeviceModel
from agent.device_model.monitor_book import TABLE, MonitorBook
from agent.device_model.monitors import Kind, Monitor, MonitorType
from agent.device_model.variables import AttributeType, DataType, Entry, Mutability
from agent.station.metering import next_aligned

STATE = "state"
"""Document: what was told last, by name of the monitor."""

COUNTER = "events"
"""Document: numbers of events up to this one may have been used."""

NUMBERS = 1000
"""Numbers of events are kept this many at a time."""

SAVE_S = 30.0
"""What a difference of numbers was measured from is not kept more often."""

_OURS = (Kind.HARD_WIRED, Kind.NOTIFICATION)

_AFTERMATH = frozenset(("evse", "connector", "chargingstation", "powercontactor"))
"""Components on which a fault of another one at the same EVSE shows."""


@dataclass(slots=True)
class _Watched:
    monitor: Monitor
    entry: Entry
    exceeded: bool = False
    """As told."""
    recheck: bool = False
    """The threshold is new: tell where the value stands, told before or not (N07.FR.11)."""
    reference: str | None = None
    """What a difference is measured from; None before the first look."""
    due_at: float | None = None
    """Monotonic; of a periodic one."""
    due_utc_s: float | None = None
    """Of a clock-aligned one."""


class Watch:
    """``transaction(evse)`` gives the identity of the transaction open there (0: at any EVSE); empty for none.
    ``linked(evse)``: of the one that what happens there belongs to, also just after its end."""

    def __init__(
        self,
        model: DeviceModel,
        book: MonitorBook,
        transaction: Callable[[int], str],
        linked: Callable[[int], str],
        kept: Mapping[str, Any],
        keep: KeepDocument,
        last_event: int = 0,
    ) -> None:
        self._model = model
        self._book = book
        self._transaction = transaction
        self._linked = linked
        self._keep = keep
        counter = kept.get(COUNTER)
        self._next_event = max(counter + 1 if isinstance(counter, int) else 1, last_event + 1)
        self._reserved = self._next_event - 1
        self._writes: dict[str, int] = {}
        self._watched: dict[int, _Watched] = {}
        self._changed = False
        self._urgent = False
        self._saved_at = float("-inf")
        state = kept.get(STATE)
        told = state if isinstance(state, dict) else {}
        for monitor in book.watched():
            self._begin(monitor, told.get(monitor.name))
        book.on_change(self._book_changed)
        model.on_written(self._written)

    # ---- what is watched ----

    def _begin(self, monitor: Monitor, told: Any = None) -> None:
        entry = self._model.get(monitor.component, monitor.variable)
        if entry is None:
            return
        watched = _Watched(monitor, entry)
        if isinstance(told, bool):
            watched.exceeded = told
        elif isinstance(told, str) and monitor.type is MonitorType.DELTA:
            watched.reference = told
        elif monitor.kind in _OURS and entry.characteristics.data_type is DataType.BOOLEAN:
            watched.reference = "false"  # what is wrong at the very first look is news
        self._watched[monitor.id] = watched

    def _book_changed(self, before: Monitor | None, after: Monitor | None) -> None:
        former = None if before is None else self._watched.pop(before.id, None)
        self._note(urgent=True)
        if after is None:
            return  # N07.FR.12: nothing is told of its end
        self._begin(after)
        watched = self._watched.get(after.id)
        if watched is None:
            return
        if after.type is MonitorType.DELTA:
            watched.reference = self._compared(watched.entry)  # N07.FR.18, FR.19: since it was set
        if former is not None and former.monitor.type.threshold and after.type.threshold:
            watched.exceeded, watched.recheck = former.exceeded, True

    def _written(self, entry: Entry) -> None:
        self._writes[str(entry)] = self._writes.get(str(entry), 0) + 1

    # ---- looking ----

    def step(self, moment: Moment, *, online: bool, enabled: bool, offline_severity: int) -> list[MonitorEvent]:
        """Compare everything once. Return what is to be told, causes before what they led to."""
        found: list[MonitorEvent] = []
        now = moment.monotonic_s
        for watched in self._watched.values():
            monitor = watched.monitor
            muted = not enabled or monitor.severity > self._book.level  # N07.FR.15
            muted = muted or (not online and monitor.severity > offline_severity)
            if monitor.type.periodic and self._fell_due(watched, moment) and not muted and self._applies(watched):
                found.append(self._event(watched, Trigger.PERIODIC, self._text(watched.entry), moment))
            if monitor.type.periodic or muted:
                continue
            if not self._applies(watched):
                self._forget(watched)
                continue
            event = self._compare(watched, moment)
            if event is not None:
                found.append(event)
        if self._changed and (self._urgent or now >= self._saved_at + SAVE_S):
            self._save(now)
        return _with_causes(found)

    def next_wake(self, moment: Moment) -> float | None:
        """When ``step`` has something to do whatever happens, in monotonic seconds."""
        times: list[float] = []
        for watched in self._watched.values():
            if watched.monitor.type is MonitorType.PERIODIC:
                times.append(moment.monotonic_s if watched.due_at is None else watched.due_at)
            elif watched.monitor.type is MonitorType.PERIODIC_CLOCK_ALIGNED:
                wait = 0.0 if watched.due_utc_s is None else watched.due_utc_s - moment.utc_s
                times.append(moment.monotonic_s + max(0.0, min(wait, watched.monitor.value)))
        if self._changed:
            times.append(self._saved_at + SAVE_S)
        return min(times, default=None)

    def _applies(self, watched: _Watched) -> bool:
        monitor = watched.monitor
        return not monitor.transaction or bool(self._transaction(monitor.component.evse))

    def _forget(self, watched: _Watched) -> None:
        """Its transaction is over: the next one begins anew."""
        if watched.exceeded or watched.reference is not None:
            watched.exceeded, watched.reference = False, None
            self._note(urgent=True)

    def _compare(self, watched: _Watched, moment: Moment) -> MonitorEvent | None:
        if watched.monitor.type is MonitorType.DELTA:
            return self._compare_delta(watched, moment)
        over = self._over(watched)
        if over is None:
            return None
        recheck, watched.recheck = watched.recheck, False
        if over == watched.exceeded and not (recheck and over):
            return None
        watched.exceeded = over
        self._note(urgent=True)
        event = self._event(watched, Trigger.ALERTING, self._text(watched.entry), moment)
        return event if over else replace(event, cleared=True)  # N07.FR.02, FR.14

    @staticmethod
    def _over(watched: _Watched) -> bool | None:
        """Whether the value is beyond what the monitor allows; None while there is no value."""
        monitor, entry = watched.monitor, watched.entry
        value = entry.number()
        if value is None:
            return None
        if monitor.type is MonitorType.UPPER_THRESHOLD:
            return value > monitor.value  # N07.FR.16
        if monitor.type is MonitorType.LOWER_THRESHOLD:
            return value < monitor.value  # N07.FR.17
        target = entry.number(AttributeType.TARGET)
        if target is None:
            return None
        if monitor.type is MonitorType.TARGET_DELTA:
            return abs(value - target) > monitor.value  # N07.FR.22
        return abs(value - target) > monitor.value * abs(target)  # N07.FR.23

    def _compare_delta(self, watched: _Watched, moment: Moment) -> MonitorEvent | None:
        entry = watched.entry
        numeric = entry.characteristics.data_type.numeric
        text = self._compared(entry)
        if text is None or (numeric and not text):
            return None
        if watched.reference is None:
            watched.reference = text
            self._note(urgent=False)
            return None
        if numeric:
            different = abs(float(text) - float(watched.reference)) > watched.monitor.value  # N07.FR.18
        else:
            different = text != watched.reference  # N07.FR.19
        if not different:
            return None
        watched.reference = text
        self._note(urgent=not numeric)
        return self._event(watched, Trigger.DELTA, self._text(entry), moment)

    def _compared(self, entry: Entry) -> str | None:
        """The value; of what may only be written, how often it was."""
        if entry.actual.mutability is Mutability.WRITE_ONLY:
            return str(self._writes.get(str(entry), 0))
        return entry.actual.value()

    @staticmethod
    def _text(entry: Entry) -> str:
        """N07.FR.10: empty for what may only be written."""
        return entry.actual.value() or ""

    @staticmethod
    def _fell_due(watched: _Watched, moment: Moment) -> bool:
        """Tell whether a period is over, and begin the next one. Periods that nobody looked at are not made up for."""
        period_s, now = watched.monitor.value, moment.monotonic_s
        if watched.monitor.type is MonitorType.PERIODIC:  # N08.FR.06
            if watched.due_at is None:
                watched.due_at = now + period_s
                return False
            if now < watched.due_at:
                return False
            watched.due_at = max(watched.due_at + period_s, now + period_s / 2)
            return True
        # N08.FR.07. A clock that was set back begins anew.
        due = watched.due_utc_s
        if due is not None and due - period_s <= moment.utc_s < due:
            return False
        watched.due_utc_s = next_aligned(moment.utc_s, int(period_s))
        return due is not None and moment.utc_s >= due

    # ---- events ----

    def _event(self, watched: _Watched, trigger: Trigger, value: str, moment: Moment) -> MonitorEvent:
        monitor = watched.monitor
        code, info = watched.entry.note() if watched.entry.note is not None else ("", "")
        return MonitorEvent(
            self._number(),
            monitor.id,
            monitor.kind,
            monitor.severity,
            monitor.component,
            monitor.variable,
            trigger,
            value,
            moment.stamp(),
            transaction=self._linked(monitor.component.evse) if monitor.component.evse else "",
            tech_code=code,
            tech_info=info,
        )

    def _number(self) -> int:
        number, self._next_event = self._next_event, self._next_event + 1
        if number > self._reserved:
            self._reserved = number + NUMBERS - 1
            self._keep(TABLE, COUNTER, self._reserved)
        return number

    # ---- keeping ----

    def _note(self, *, urgent: bool) -> None:
        self._changed = True
        self._urgent = self._urgent or urgent

    def _save(self, now: float) -> None:
        self._changed = self._urgent = False
        self._saved_at = now
        self._keep(TABLE, STATE, dict(self._told()))

    def _told(self) -> Iterator[tuple[str, Any]]:
        for watched in self._watched.values():
            monitor = watched.monitor
            if monitor.type.threshold and watched.exceeded:
                yield monitor.name, True
            elif monitor.type is MonitorType.DELTA and watched.reference is not None:
                usual = "false" if monitor.kind in _OURS else None
                written_only = watched.entry.actual.mutability is Mutability.WRITE_ONLY
                if watched.reference != usual and not written_only:
                    yield monitor.name, watched.reference


def _with_causes(events: list[MonitorEvent]) -> list[MonitorEvent]:
    """N07.FR.05: what shows on an EVSE in the same look was caused by the fault of one of its components."""
    first: dict[int, int] = {}
    for event in events:
        if event.tech_code and not _aftermath(event):
            first.setdefault(event.component.evse, event.id)
    ordered = sorted(events, key=lambda event: (_aftermath(event), event.id))
    return [
        replace(event, cause=first[event.component.evse])
        if _aftermath(event) and event.component.evse in first and event.trigger is not Trigger.PERIODIC
        else event
        for event in ordered
    ]


def _aftermath(event: MonitorEvent) -> bool:
    return event.component.name.casefold() in _AFTERMATH and not event.tech_code
