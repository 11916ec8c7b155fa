"""One Modbus transaction at a time on a line that never blocks.

Whoever owns the master asks when it is ``free``, and calls ``take`` after each event of the loop for what became of
it. The master keeps the pauses of the wire: the gap between frames, what a device wants between requests, and the
silence after a request that went unanswered, so that a late answer is not taken for the next one's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from hal.drivers.modbus.framing import Framing
from hal.drivers.modbus.pdu import Answer, Request

STEP_S = 0.01
"""How soon to be called again while a request is under way."""
LATE_ANSWER_S = 0.1
BUSY_LINE_S = 0.25
"""Longest wait for a line on which others talk before a request is sent all the same."""
FOREIGN_S = 10.0
"""So long after bytes that nobody here asked for, another master is taken to be on the line."""


class Line(Protocol):
    """What ``SerialLine`` and ``TcpLine`` have in common."""

    trouble: str
    next_open_at: float

    @property
    def is_open(self) -> bool: ...
    @property
    def has_pending(self) -> bool: ...
    def fileno(self) -> int | None: ...
    def check(self) -> None: ...
    def open(self, now: float) -> bool: ...
    def reopen(self, now: float) -> bool: ...
    def read(self) -> bytes: ...
    def send(self, data: bytes, key: str = "", *, urgent: bool = False) -> None: ...
    def flush(self) -> None: ...
    def discard_input(self) -> None: ...
    def close(self) -> None: ...


LATE_FOR_S = 5.0
"""So long an answer that did not come in time is still reckoned with."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing that answers the request came in time."""

    garbled: bool
    """Something came, but no sound answer."""
    out_of_step: bool = False
    """Nothing that follows can be read: open the line anew."""


Outcome = Answer | Unanswered


class Master:
    def __init__(
        self, line: Line, framing: Framing, *, gap_s: float, response_timeout_s: float, character_s: float = 0.0
    ) -> None:
        self.line = line
        self._framing = framing
        self._gap_s = gap_s
        self._timeout_s = response_timeout_s
        self._character_s = character_s
        self._asked: tuple[int, Request] | None = None
        self._received = bytearray()
        self._sent_at = 0.0
        self._owed: deque[tuple[float, int, Request]] = deque()
        """Requests whose answers did not come in time, oldest first."""
        self.sampled_at = 0.0
        """Of the last answer: what it tells was true then or later. On a serial line nothing tells the answer to a
        request from a late one to an earlier request of the same words: this is when the first of them went out."""
        self._deadline = 0.0
        self._ready_at = 0.0
        self._wait_until: float | None = None
        """While others talk: when their talk is waited for no longer."""
        self._settled_at = 0.0
        """Late answers to our own requests may arrive until then."""
        self.foreign_at: float | None = None
        """When bytes came last that nobody here had asked for."""

    @property
    def busy(self) -> bool:
        return self._asked is not None

    def free(self, now: float) -> bool:
        """A request may be sent now."""
        return self.line.is_open and self._asked is None and now >= self._ready_at

    def wake_at(self, now: float) -> float:
        """When to look again, something being under way or waiting."""
        return now + STEP_S if self._asked is not None else max(self._ready_at, now + 0.001)

    def reset(self, now: float) -> None:
        """The line is fresh: nothing is under way."""
        self._asked = None
        self._received.clear()
        self._owed.clear()
        self._ready_at = now + self._gap_s
        self._settled_at = self._ready_at
        self._wait_until = None
        self.foreign_at = None

    def ask(self, unit: int, request: Request, now: float, timeout_s: float | None = None) -> None:
        """Send. Only when ``free``."""
        self._asked = (unit, request)
        self._received = bytearray(self._framing.rest(bytes(self._received)))
        self._sent_at = now
        self._wait_until = None
        self.line.discard_input()
        wire_s = self._framing.characters(request) * self._character_s
        self._deadline = now + wire_s + (self._timeout_s if timeout_s is None else timeout_s)
        self.line.send(self._framing.frame(unit, request))

    def on_readable(self, now: float) -> None:
        data = self.line.read()
        if not data:
            return
        if self._asked is not None or self._framing.stream:
            self._received += data
            del self._received[: -self._framing.limit]
            return
        if now > self._settled_at:
            self.foreign_at = now
        # Others talk: wait until they have done, but not for ever.
        if self._wait_until is None:
            self._wait_until = now + BUSY_LINE_S
        self._ready_at = max(self._ready_at, min(now + self._gap_s, self._wait_until))

    def take(self, now: float) -> Outcome | None:
        """Return what became of the request under way, once; None while it is open (or there is none)."""
        if self._asked is None:
            return None
        answer = self._framing.find(*self._asked, bytes(self._received)) if self._received else None
        if answer is not None:
            self.sampled_at = self._sampled_at(*self._asked, now)
            self._asked = None
            self._ready_at = now + self._gap_s
            self._settled_at = now + self._gap_s
            return answer
        if now < self._deadline:
            return None
        if not self._framing.stream:
            self._owed.append((self._sent_at, *self._asked))
        self._asked = None
        self._ready_at = now + max(LATE_ANSWER_S, self._gap_s)
        self._settled_at = self._ready_at + self._timeout_s
        received = bytes(self._received)
        return Unanswered(bool(received), self._framing.out_of_step(received))

    def _sampled_at(self, unit: int, request: Request, now: float) -> float:
        while self._owed and now - self._owed[0][0] > LATE_FOR_S:
            self._owed.popleft()
        first = next((owed for owed in self._owed if owed[1:] == (unit, request)), None)
        if first is None:
            return self._sent_at
        # This may be the first one's answer; then that to the present request is still to come.
        self._owed.remove(first)
        self._owed.append((self._sent_at, unit, request))
        return first[0]

    def abandon(self, now: float) -> None:
        """Wait no longer for the answer under way: what is to be said next cannot wait."""
        self._asked = None
        self._ready_at = now

    def hears_another(self, now: float) -> bool:
        """Bytes that we did not ask for came lately: another master, or a device that talks unasked."""
        return self.foreign_at is not None and now - self.foreign_at < FOREIGN_S
