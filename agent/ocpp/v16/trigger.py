"""OCPP 1.6 Remote Trigger: TriggerMessage (§5.17), and ExtendedTriggerMessage of the security white paper (A02, N01).

Who has a message that can be triggered offers it here. The answer goes out before the message, because whatever is
queued within a step is sent after the step's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Payload = dict[str, Any]


Trigger = Callable[[int | None], bool]
"""Queues the message for a connector (None: for all that have one). False: rejected."""


class Triggers:
    """``plain`` and ``extended``: what each of the two requests may name, by the name of the message."""

    def __init__(self, evses: frozenset[int]) -> None:
        self.plain: dict[str, Trigger] = {}
        self.extended: dict[str, Trigger] = {}
        self._evses = evses

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        return {
            "TriggerMessage": lambda payload: self._trigger(self.plain, payload),
            "ExtendedTriggerMessage": lambda payload: self._trigger(self.extended, payload),
        }

    def offer(self, message: str, trigger: Trigger) -> None:
        """Offer a message that both requests name."""
        self.plain[message] = self.extended[message] = trigger

    def _trigger(self, offered: Mapping[str, Trigger], payload: Payload) -> Payload:
        trigger = offered.get(payload["requestedMessage"])
        if trigger is None:
            return {"status": "NotImplemented"}
        connector = payload.get("connectorId")
        if connector is not None and connector != 0 and connector not in self._evses:
            return {"status": "Rejected"}
        return {"status": "Accepted" if trigger(connector) else "Rejected"}
