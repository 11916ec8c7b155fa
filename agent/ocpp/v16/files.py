"""Everything about files in OCPP 1.6, as one part of a session: requests, triggers, and what is to be told."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agent.files.notices import About
from agent.ocpp.file_notices import FileNotices
from agent.ocpp.part import Part
from agent.ocpp.rpc import Priority
from agent.ocpp.security_events import Calling
from agent.ocpp.session import FileSurroundings
from agent.ocpp.v16 import diagnostics, firmware, logs
from agent.ocpp.v16.diagnostics import Diagnostics16
from agent.ocpp.v16.firmware import Firmware16
from agent.ocpp.v16.logs import Logs16
from agent.ocpp.v16.trigger import Trigger, Triggers

Payload = dict[str, Any]

_MESSAGES = {
    About.FIRMWARE: firmware.message,
    About.DIAGNOSTICS: diagnostics.message,
    About.LOG: logs.message,
}


class Files16:
    """``part`` goes to the session, whose messages it sends."""

    def __init__(
        self,
        around: FileSurroundings,
        call: Calling,
        note: Callable[[str], None],
    ) -> None:
        self.part: Part = FileNotices(around.notices, call, _MESSAGES)
        self._firmware = Firmware16(around.updates, note)
        self._diagnostics = Diagnostics16(around.uploads)
        self._logs = Logs16(around.uploads, note)
        self._call = call

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
