"""Everything about files in OCPP 1.6, as one part of a session: requests, triggers, and what is to be told."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agent.files.notices import About, Notice
from agent.ocpp.part import Part
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.session import FileSurroundings
from agent.ocpp.v16 import diagnostics, firmware, logs
from agent.ocpp.v16.diagnostics import Diagnostics16
from agent.ocpp.v16.firmware import Firmware16
from agent.ocpp.v16.logs import Logs16
from agent.ocpp.v16.trigger import Trigger, Triggers

Payload = dict[str, Any]

RETRY_S = 10.0
"""What the network did not answer is told again so much later."""

_MESSAGES = {
    About.FIRMWARE: firmware.message,
    About.DIAGNOSTICS: diagnostics.message,
    About.LOG: logs.message,
}


class Files16(Part):
    """``call(action, payload, priority, done)`` queues a message; False when none may be sent now."""

    def __init__(
        self,
        around: FileSurroundings,
        call: Callable[[str, Payload, Priority, Callable[[Outcome, float], None]], bool],
        note: Callable[[str], None],
    ) -> None:
        self._line = around.notices
        self._firmware = Firmware16(around.updates, note)
        self._diagnostics = Diagnostics16(around.uploads)
        self._logs = Logs16(around.uploads, note)
        self._call = call
        self._flying = ""
        self._next_at = 0.0

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload | Coroutine[Any, Any, Payload]]]:
        return {**self._firmware.by_action, **self._diagnostics.by_action, **self._logs.by_action}

    def offer_triggers(self, triggers: Triggers) -> None:
        """§5.17; the extended request names the signed variant (white paper, ExtendedTriggerMessage)."""
        triggers.plain["FirmwareStatusNotification"] = self._trigger(self._firmware.plain_status)
        triggers.plain["DiagnosticsStatusNotification"] = self._trigger(self._diagnostics.status)
        triggers.extended["FirmwareStatusNotification"] = self._trigger(self._firmware.signed_status)
        triggers.extended["LogStatusNotification"] = self._trigger(self._logs.status)

    def _trigger(self, message: Callable[[], tuple[str, Payload]]) -> Trigger:
        return lambda _connector: self._call(*message(), Priority.STATUS, lambda _outcome, _now: None)

    # ---- what is to be told ----

    def offer(self, now: float) -> bool:
        """Queue the next notice while registered; False when none is due."""
        notice = self._line.first()
        if notice is None or self._flying or now < self._next_at:
            return False
        self._flying = notice.key

        def done(outcome: Outcome, at: float) -> None:
            self._told(notice, outcome, at)

        if not self._call(*_MESSAGES[notice.about](notice), Priority.STATUS, done):
            self._flying, self._next_at = "", now + RETRY_S
            return False
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
