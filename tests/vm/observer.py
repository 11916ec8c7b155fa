"""What somebody outside of the charger saw and when, against how far the disk's write log had come by then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from simulators.csms.frames import Direction, Frame

LOOK_S = 0.005
RECORDS = ("StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent")


class LogWatch:
    """Looks at the write log's size again and again. ``seen_until(size)``: the last moment at which the log was known
    to be no longer than that; whatever was seen outside by then must be on a disk that stops there."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.steps: list[tuple[float, int]] = []
        """Last moment at which the log had this size (Unix seconds, bytes)."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LogWatch:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        now = time.time()
        # The moment before the look: what was seen by then had been written by then.
        size = self._log.stat().st_size if self._log.exists() else 0
        if self.steps and self.steps[-1][1] == size:
            self.steps[-1] = (now, size)
        else:
            self.steps.append((now, size))

    def seen_until(self, size: int) -> float:
        return max((at for at, length in self.steps if length <= size), default=0.0)

    def beyond(self, size: int) -> float:
        """The first look at which the log was longer; inf when it never was."""
        return min((at for at, length in self.steps if length > size), default=math.inf)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a transaction as the network heard it. Unix seconds; ``answered_s`` inf when it never was."""

    message_id: str
    action: str
    payload: dict[str, Any]
    told_s: float
    """When the charge point says it happened."""
    heard_s: float
    answered_s: float

    def answered_by(self, at_s: float) -> bool:
        """True when it may have left the charge point's line by then. Never for one without an answer."""
        return math.isfinite(self.answered_s) and self.answered_s <= at_s


def records(frames: Sequence[Frame]) -> list[Record]:
    """Every record that reached the network, once, with its first hearing and its first good answer."""
    heard: dict[str, tuple[str, dict[str, Any], float]] = {}
    answered: dict[str, float] = {}
    for frame in frames:
        if frame.binary or frame.direction not in (Direction.RECEIVED, Direction.SENT):
            continue
        with contextlib.suppress(ValueError):
            message = json.loads(frame.text)
            at = datetime.fromisoformat(frame.wall_time).timestamp()
            if frame.direction is Direction.RECEIVED and message[0] == 2 and message[2] in RECORDS:
                heard.setdefault(message[1], (message[2], message[3], at))
            elif frame.direction is Direction.SENT and message[0] == 3 and message[1] in heard:
                answered.setdefault(message[1], at)
    return [
        Record(name, action, payload, _told(payload), at, answered.get(name, math.inf))
        for name, (action, payload, at) in heard.items()
        if action != "MeterValues" or "transactionId" in payload
    ]


def _told(payload: dict[str, Any]) -> float:
    text = payload["timestamp"] if "timestamp" in payload else payload["meterValue"][-1]["timestamp"]
    return datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True, slots=True)
class Order:
    """Something that the operator changed. ``done_s`` is inf when no acceptance came back."""

    kind: str
    """``setting``, ``list``, ``profile``, ``slot`` or ``file``."""
    key: str
    value: Any
    sent_s: float
    done_s: float = math.inf


@dataclass(slots=True)
class Orders:
    """The operator's own notes."""

    noted: list[Order] = field(default_factory=list)

    def may_hold(self, kind: str, key: str, seen_s: float, beyond_s: float) -> list[Any]:
        """What may stand there on a disk: the last value accepted by ``seen_s``, or one sent since."""
        own = [order for order in self.noted if (order.kind, order.key) == (kind, key)]
        accepted = [index for index, order in enumerate(own) if order.done_s <= seen_s]
        first = accepted[-1] if accepted else -1
        values = [order.value for order in own[max(first, 0) :] if order.sent_s <= beyond_s]
        return values if first >= 0 else [None, *values]

    def keys(self) -> set[tuple[str, str]]:
        return {(order.kind, order.key) for order in self.noted}
