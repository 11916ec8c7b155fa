"""Block C beside Authorize, which the session asks: the network clears the cache (C11)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.device_words import status_info


class Authorisation2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"ClearCache": self._clear}

    def _clear(self, _payload: Payload) -> Payload:
        if self._talk.station.clear_cache():
            return {"status": "Accepted"}  # C11.FR.03
        info = status_info("NotEnabled", "AuthCacheCtrlr.Enabled is false")
        return {"status": "Rejected", "statusInfo": info}  # C11.FR.04
