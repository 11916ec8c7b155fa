"""DataTransfer from the network (P01): by vendor, then by message. Those of our own are the same as under OCPP 1.6."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from agent.ocpp import service_pin
from agent.ocpp.base import Payload
from agent.ocpp.data_transfer import OUR_VENDOR, DataTransfers
from agent.ocpp.v2.block import Block, Handler, Talk


class DataTransfer2(Block):
    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._transfers = DataTransfers()
        self._transfers.offer(OUR_VENDOR, service_pin.MESSAGE, partial(service_pin.set_service_pin, talk.station))

    def handlers(self) -> Mapping[str, Handler]:
        return {"DataTransfer": self._transfer}

    def _transfer(self, payload: Payload) -> Payload:
        """``data`` may be any JSON here; our messages take it as text (P01.FR.02 to .06)."""
        data = payload.get("data", "")
        text = data if isinstance(data, str) else json.dumps(data)
        return self._transfers.carry_out(payload["vendorId"], payload.get("messageId", ""), text)
