"""Frames as they pass, for whoever looks on; and how long the network takes to answer.

Nothing but two time stamps is taken while nobody looks.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.ocpp.frames import masked

LOGGER = logging.getLogger("agent.ocpp.tunnel")

REMEMBERED = 20
_OPEN = 8

_HEAD = re.compile(r'\s*\[\s*([234])\s*,\s*"([^"\\]{1,64})"(?:\s*,\s*"([A-Za-z]{1,40})")?')
"""OCPP-J 1.6 §4.2: type, message id, and of a CALL its action."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call of ours and how it was answered."""

    action: str
    took_s: float
    refused: bool


class Trace:
    """``now`` gives monotonic seconds. ``listener(out, frame)`` gets each frame, masked; None: nobody looks."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.listener: Callable[[bool, str], None] | None = None
        self.answered: deque[Answered] = deque(maxlen=REMEMBERED)
        self._open: dict[str, tuple[str, float]] = {}

    def sent(self, frame: str) -> None:
        self._seen(True, frame)
        head = _HEAD.match(frame)
        if head is not None and head[1] == "2" and head[3]:
            while len(self._open) >= _OPEN:
                del self._open[next(iter(self._open))]
            self._open[head[2]] = head[3], self._now()

    def received(self, frame: str | bytes) -> None:
        self._seen(False, frame)
        head = _HEAD.match(frame) if isinstance(frame, str) else None
        if head is not None and head[1] != "2" and (asked := self._open.pop(head[2], None)) is not None:
            self.answered.append(Answered(asked[0], self._now() - asked[1], head[1] == "4"))

    def _seen(self, out: bool, frame: str | bytes) -> None:
        if self.listener is not None:
            self.listener(out, masked(frame))
        if LOGGER.isEnabledFor(logging.DEBUG):
            LOGGER.debug("%s %s", ">" if out else "<", masked(frame))
