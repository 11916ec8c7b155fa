"""Tells the network of security events, in any version of OCPP (SecurityEventNotification; 2.0.1 use case A04)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from agent.ocpp.part import Part
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.times import time_text
from agent.security.events import SecurityEvent
from agent.security.security import Security

Payload = dict[str, Any]

EVENT_RETRY_S = 60.0
EVENT_TRIES = 3
"""An event that the network refuses so often stays in the security log only."""

_HARMLESS = ("late_answer", "answer_to_nothing", "call_error", "unheard", "timed_out", "expired", "queue_full")
_REPLAYED = "doubled_request"


class Calling(Protocol):
    def __call__(
        self, action: str, payload: Payload, priority: Priority, done: Callable[[Outcome, float], None], /
    ) -> bool:
        """Queue a message; False when none may be sent now."""


class SecurityEvents(Part):
    """``word``: what this version calls an event, by the name it has in the white paper for 1.6."""

    def __init__(
        self,
        security: Security,
        call: Calling,
        note: Callable[[str], None],
        word: Callable[[str], str] = lambda name: name,
    ) -> None:
        self._security = security
        self._call = call
        self._note = note
        self._word = word
        self._flying = ""
        self._tries = 0
        self._next_at = 0.0
        self._unwanted = False
        self._bad_messages = 0
        self._replays = 0

    def offer(self, now: float) -> bool:
        if self._flying or now < self._next_at:
            return False
        event = self._security.line.first()
        if event is None:
            return False
        if self._unwanted:
            self._security.line.forget()
            return False
        payload = {"type": self._word(event.kind), "timestamp": time_text(event.utc_s)}
        if event.info:
            payload["techInfo"] = event.info

        def done(outcome: Outcome, now: float) -> None:
            self._told(event.key, outcome, now)

        self._flying = event.key
        if not self._call("SecurityEventNotification", payload, Priority.STATUS, done):
            self._flying = ""
            self._next_at = now + EVENT_RETRY_S
            return False
        return True

    def next_wake(self) -> float | None:
        return self._next_at if not self._flying and len(self._security.line) else None

    def lost(self) -> None:
        self._flying = ""
        self._next_at = 0.0

    def renew(self) -> None:
        """Another network: it may want what its predecessor did not."""
        self._unwanted = False
        self._tries = 0

    def received(self, counters: Mapping[str, int]) -> None:
        """A frame came in; the counters of the RPC engine say whether it was fit to be read."""
        replays = counters.get(_REPLAYED, 0)
        bad = sum(counters.values()) - replays - sum(counters.get(name, 0) for name in _HARMLESS)
        if bad > self._bad_messages:
            self._security.record(SecurityEvent.INVALID_MESSAGES, "the network sent what cannot be read or answered")
        if replays > self._replays:
            self._security.record(SecurityEvent.ATTEMPTED_REPLAY, "a request with the id of an open one")
        self._bad_messages, self._replays = bad, replays

    def _told(self, key: str, outcome: Outcome, now: float) -> None:
        self._flying = ""
        if outcome.result is Result.ANSWERED:
            self._tries = 0
            self._security.line.told(key)
        elif outcome.result is Result.REFUSED:
            if outcome.code in ("NotImplemented", "NotSupported"):
                self._unwanted = True
                self._note("the network takes no security events; they stay in the security log")
                return
            self._tries += 1
            if self._tries >= EVENT_TRIES:
                self._tries = 0
                self._security.line.told(key)
                return
            self._next_at = now + EVENT_RETRY_S
        else:
            self._next_at = now + EVENT_RETRY_S
