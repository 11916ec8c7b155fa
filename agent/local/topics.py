"""Live values: what a client subscribes to is pushed to it, never faster than it reads.

A *topic* is a name and a source. A polled topic is asked at the subscriber's own interval, and told only when its
value changed (or ``always``). A published topic passes on what happens, in order; a subscriber that falls behind
loses the oldest and is told how many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.local.rpc import RpcError

SHORTEST_S, LONGEST_S = 0.1, 3600.0
MAX_SUBSCRIPTIONS = 8
"""Of one connection."""
MAX_WAITING = 200
"""Events that wait for one subscriber."""


@dataclass(frozen=True, slots=True)
class Polled:
    """``read(evse)`` gives the value; ``evse`` is 0 where the subscriber names none."""

    read: Callable[[int], Any]
    help: str
    always: bool = False
    """Told at every interval, changed or not: for plots."""


@dataclass(frozen=True, slots=True)
class Published:
    help: str
    on_watch: Callable[[bool], None] | None = None
    """Called with True when the first subscriber comes, with False when the last one goes."""


@dataclass(slots=True)
class Subscription:
    number: int
    topic: str
    evse: int
    period_s: float
    due_at: float = 0.0
    told: Any = None
    first: bool = True
    waiting: deque[Any] = field(default_factory=deque)
    missed: int = 0


class Subscriber:
    """The subscriptions of one connection."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._subscriptions: dict[int, Subscription] = {}
        self._serial = 0
        self.stirred = asyncio.Event()

    def add(self, topic: str, period_s: float, evse: int, now: float) -> int:
        """Subscribe. Return the subscription's number. Raises RpcError."""
        if topic not in self._topics.table:
            raise RpcError(f"no topic {topic[:40]!r}; there are: {', '.join(sorted(self._topics.table))}")
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise RpcError(f"at most {MAX_SUBSCRIPTIONS} subscriptions at a time; unsubscribe one")
        if not SHORTEST_S <= period_s <= LONGEST_S:
            raise RpcError(f"period_s must be {SHORTEST_S:g} to {LONGEST_S:g}")
        source = self._topics.table[topic]
        if isinstance(source, Polled):
            source.read(evse)  # a wrong EVSE is told now
        self._serial += 1
        self._subscriptions[self._serial] = Subscription(self._serial, topic, evse, period_s, now)
        self._topics.joined(topic)
        self.stirred.set()
        return self._serial

    def remove(self, number: int) -> None:
        """Raises RpcError."""
        gone = self._subscriptions.pop(number, None)
        if gone is None:
            raise RpcError(f"no subscription {number}")
        self._topics.left(gone.topic)

    def clear(self) -> None:
        for number in tuple(self._subscriptions):
            self.remove(number)

    def publish(self, topic: str, value: Any) -> None:
        for each in self._subscriptions.values():
            if each.topic == topic:
                if len(each.waiting) >= MAX_WAITING:
                    each.waiting.popleft()
                    each.missed += 1
                each.waiting.append(value)
                self.stirred.set()

    def due(self, now: float) -> tuple[list[dict[str, Any]], float | None]:
        """Return what is to be sent now, and when to look again (None: when something stirs)."""
        told: list[dict[str, Any]] = []
        wake: float | None = None
        for each in tuple(self._subscriptions.values()):
            source = self._topics.table[each.topic]
            if isinstance(source, Polled):
                if now >= each.due_at:
                    value = source.read(each.evse)
                    if each.first or source.always or value != each.told:
                        told.append({"subscription": each.number, "topic": each.topic, "value": value})
                    each.told, each.first = value, False
                    each.due_at = max(each.due_at + each.period_s, now)
                wake = each.due_at if wake is None else min(wake, each.due_at)
            while each.waiting:
                event = {"subscription": each.number, "topic": each.topic, "value": each.waiting.popleft()}
                if each.missed:
                    event["missed"], each.missed = each.missed, 0
                told.append(event)
        return told, wake


class Topics:
    """All topics of an agent, and who listens."""

    def __init__(self, table: Mapping[str, Polled | Published]) -> None:
        self.table = dict(table)
        self._listeners: dict[str, int] = {}
        self._subscribers: set[Subscriber] = set()

    def subscriber(self) -> Subscriber:
        one = Subscriber(self)
        self._subscribers.add(one)
        return one

    def forget(self, one: Subscriber) -> None:
        one.clear()
        self._subscribers.discard(one)

    def publish(self, topic: str, value: Any) -> None:
        """Something happened. Costs nothing while nobody listens."""
        if self._listeners.get(topic):
            for one in self._subscribers:
                one.publish(topic, value)

    def joined(self, topic: str) -> None:
        self._count(topic, 1)

    def left(self, topic: str) -> None:
        self._count(topic, -1)

    def _count(self, topic: str, by: int) -> None:
        before = self._listeners.get(topic, 0)
        self._listeners[topic] = before + by
        source = self.table[topic]
        if isinstance(source, Published) and source.on_watch is not None and (before == 0) != (before + by == 0):
            source.on_watch(by > 0)
