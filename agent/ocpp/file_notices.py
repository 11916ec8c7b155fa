"""Tells the network what became of updates and uploads, in order, in any version of OCPP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.files.notices import About, Notice, NoticeLine
from agent.ocpp.part import Part
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.security_events import Calling

Payload = dict[str, Any]
Message = tuple[str, Payload]

RETRY_S = 10.0
"""What the network did not answer is told again so much later."""


class FileNotices(Part):
    """``messages`` give the message of a notice; None: this version has no word for it, and it is passed over."""

    def __init__(
        self, line: NoticeLine, call: Calling, messages: Mapping[About, Callable[[Notice], Message | None]]
    ) -> None:
        self._line = line
        self._call = call
        self._messages = messages
        self._flying = ""
        self._next_at = 0.0

    def offer(self, now: float) -> bool:
        """Queue the next notice while registered; False when none is due."""
        if self._flying or now < self._next_at:
            return False
        while (notice := self._line.first()) is not None:
            message = self._messages[notice.about](notice)
            if message is not None:
                return self._tell(notice, message, now)
            self._line.drop(notice.key)
        return False

    def _tell(self, notice: Notice, message: Message, now: float) -> bool:
        self._flying = notice.key

        def done(outcome: Outcome, at: float) -> None:
            self._told(notice, outcome, at)

        if not self._call(*message, Priority.STATUS, done):
            self._flying, self._next_at = "", now + RETRY_S
            return False
        self._line.sent(notice)
        return True

    def _told(self, notice: Notice, outcome: Outcome, now: float) -> None:
        if self._flying == notice.key:
            self._flying = ""
        if outcome.result in (Result.ANSWERED, Result.REFUSED):
            self._line.told(notice.key)
        elif outcome.result is not Result.LOST:
            self._next_at = now + RETRY_S

    def next_wake(self) -> float | None:
        return None if self._flying or self._line.first() is None else self._next_at
