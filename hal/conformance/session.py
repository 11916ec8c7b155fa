"""One life of a device: created, started, turned as control's loop turns it, watched, and closed.

Time is real, or the kit's own: while time is ``skipped`` the driver is given later and later times at once, so that
a silence of a quarter of a minute passes in a moment. It is never given an earlier one.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable
from typing import Any

from hal.conformance import contract
from hal.conformance.contract import Command
from hal.conformance.subject import Subject
from hal.conformance.timing import LONGEST_S, Stopwatch
from hal.conformance.wires import Wire
from hal.ports import DeviceError, PortKind
from hal.values import Health

TICK_S = 0.01
"""Control's own, while a contactor is closed."""
STRIDE_S = 0.1
"""Longest step in time of our own making: control's tick while nothing happens."""
SHORTEST_WAIT_S = 0.001
"""As control's loop: a driver that always wants to be called at once is not."""
HAND_ON_S = 0.02
"""What a wire's own machinery may take from a driver's write to our read."""
ENTRY_LIMIT = 500
"""Readings kept per port; the latest count."""

Snapshot = dict[tuple[str, PortKind], tuple[Any, ...]]


class Session:
    """``hold`` is what control would command on every tick."""

    def __init__(self, subject: Subject, wire: Wire, stopwatch: Stopwatch, *, virtual: bool = False) -> None:
        self.subject = subject
        self.wire = wire
        self.refused: DeviceError | None = None
        """What ``start`` raised by right."""
        self.hold: list[Command] = []
        self.events: list[Any] = []
        """Cards and presses taken since the last look."""
        self.future: list[str] = []
        """Readings that bore a time later than that of their being handed out."""
        self._watch = stopwatch
        self._frozen: float | None = 0.0 if virtual else None
        self._ahead_s = 0.0
        self._wake = 0.0
        self._next_tick = 0.0
        self.ports: dict[str, frozenset[PortKind]] = dict(subject.driver.units(wire.options))
        self.device: Any = self._call("create", subject.driver.create, subject.name, wire.options)
        self.units = {name: self._call("unit", self.device.unit, name) for name in self.ports}

    # Time

    def now(self) -> float:
        return time.monotonic() + self._ahead_s if self._frozen is None else self._frozen

    def skip(self, seconds: float, each: Callable[[], None] | None = None) -> None:
        """Let that time pass for the driver, at once."""
        was_real = self._frozen is None
        self._frozen = now = self.now()
        end = now + seconds
        while now < end:
            now = min(max(self._wake, now + SHORTEST_WAIT_S), now + STRIDE_S, end)
            self._frozen = now
            self._turn(0.0)
            if each is not None:
                each()
        if was_real:
            self._ahead_s = now - time.monotonic()
            self._frozen = None

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Turn in real time until the condition holds (True) or the time is over (False)."""
        end = time.monotonic() + seconds
        while True:
            if until is not None and until():
                return True
            left_s = end - time.monotonic()
            if left_s <= 0.0:
                return False
            self._turn(min(left_s, TICK_S))

    def settle_wire(self) -> None:
        """Take from the wire what the driver has said by now, without turning it. A pty hands on a little late."""
        end = time.monotonic() + HAND_ON_S
        while (left_s := end - time.monotonic()) > 0.0:
            select.select(self.wire.filenos(), (), (), left_s)
            self.wire.pump()

    # Life

    def start(self) -> None:
        try:
            self._call("start", self._start, budget_s=LONGEST_S)
        finally:
            self._wake = self.now()
            self.wire.pump()

    def _start(self) -> None:
        try:
            self.device.start(self.now())
        except DeviceError as error:
            self.refused = error

    def close(self) -> None:
        """Close the device; it may be called again."""
        self._call("close", self.device.close, budget_s=LONGEST_S)
        self.wire.pump()

    def fileno(self) -> int | None:
        fd: int | None = self._call("fileno", self.device.fileno)
        return fd

    def health(self) -> Health:
        health = self._call("health", self.device.health, self.now())
        return health if isinstance(health, Health) else Health(False, "health gives no Health")

    def on_readable(self) -> None:
        self._call("on_readable", self.device.on_readable, self.now())

    def on_timer(self) -> float:
        now = self.now()
        wake = self._call("on_timer", self.device.on_timer, now)
        self._wake = max(wake if wake is not None else now + STRIDE_S, now + SHORTEST_WAIT_S)
        return self._wake if wake is None else wake

    def _turn(self, wait_s: float) -> None:
        """Wait for the wire, the device or its wake time, and do what is due."""
        wait_s = max(0.0, min(wait_s, self._wake - self.now()))
        fd = self.fileno()
        own = [] if fd is None or fd < 0 else [fd]
        try:
            readable = select.select([*own, *self.wire.filenos()], (), (), wait_s)[0]
            self.wire.pump()
            if own and fd not in readable:
                readable = [*readable, *select.select(own, (), (), 0)[0]]
        except (OSError, ValueError):  # a node vanished in between; the device finds out by its timer
            readable, self._wake = [], self.now()
        if fd in readable:
            self.on_readable()
            self.on_timer()
        elif self._wake <= self.now():
            self.on_timer()
        if self.now() >= self._next_tick:
            self._next_tick = self.now() + TICK_S
            self.command(self.hold)
            self.read()
        self.wire.pump()

    # Ports

    def kinds(self) -> frozenset[PortKind]:
        return frozenset[PortKind]().union(*self.ports.values())

    def command(self, commands: Iterable[Command]) -> None:
        """Give each command to every unit that has the method and claims its port."""
        for name, arguments in commands:
            for unit, kinds in self.ports.items():
                method = getattr(self.units[unit], name, None)
                if method is not None and any(name in contract.methods(kind) for kind in kinds):
                    self._call(name, method, *arguments, self.now())

    def read(self) -> Snapshot:
        """Read every claimed port, and take the events."""
        found: Snapshot = {}
        for unit, kinds in self.ports.items():
            for kind in kinds:
                name = contract.READS.get(kind) or contract.EVENTS.get(kind)
                method = None if name is None else getattr(self.units[unit], name, None)
                if name is None or method is None:
                    continue
                readings = contract.flat(self._call(name, method))
                late = [reading for reading in readings if reading.at > self.now() + SHORTEST_WAIT_S]
                self.future += [f"{name}() of unit {unit!r}" for _ in late]
                if kind in contract.EVENTS:
                    self.events = [*self.events, *readings][-ENTRY_LIMIT:]
                else:
                    found[unit, kind] = readings
        return found

    def missing(self) -> list[str]:
        """Return the ports that have given no reading yet, in words."""
        return [f"{contract.READS[kind]}() of unit {unit!r}" for (unit, kind), got in self.read().items() if not got]

    def well(self) -> bool:
        """Health is good and every port that has readings has given one."""
        return self.health().ok and not self.missing()

    def fresh_since(self, at: float) -> bool:
        """Well, and every port's latest reading is newer than that (a device without readings: it is well)."""
        if not self.health().ok:
            return False
        return all(got and max(reading.at for reading in got) > at for got in self.read().values())

    def says_closed(self) -> bool:
        """Whether any unit reports its main contacts closed."""
        return any(
            reading.closed
            for (_, kind), readings in self.read().items()
            if kind is PortKind.CONTACTOR
            for reading in readings
        )

    def _call(self, name: str, function: Callable[..., Any], *arguments: object, budget_s: float = 0.0) -> Any:
        if budget_s:
            return self._watch.call(name, function, *arguments, budget_s=budget_s)
        return self._watch.call(name, function, *arguments)
