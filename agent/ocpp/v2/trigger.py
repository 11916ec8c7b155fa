"""TriggerMessage (F06): the network asks for a message that a block offers (``Block.triggers``)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.device_words import status_info

OF_AN_EVSE = frozenset(("MeterValues", "StatusNotification", "TransactionEvent"))
"""Messages that concern one EVSE each."""


class Trigger2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"TriggerMessage": self._trigger}

    def _trigger(self, payload: Payload) -> Payload:
        """The message follows the answer (F06.FR.04)."""
        trigger = self._talk.triggers.get(payload["requestedMessage"])
        if trigger is None:  # F06.FR.08
            info = status_info("UnsupportedRequest", "this charging station does not send it on request")
            return {"status": "NotImplemented", "statusInfo": info}
        # F06.FR.03: an EVSE that is named for nothing is overlooked.
        evse = payload.get("evse") if payload["requestedMessage"] in OF_AN_EVSE else None
        if evse is not None and not self._talk.knows(evse):
            return {"status": "Rejected", "statusInfo": status_info("UnknownEvse", "there is no such EVSE")}
        return {"status": "Accepted" if trigger(None if evse is None else evse["id"]) else "Rejected"}
