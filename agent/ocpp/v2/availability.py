"""ChangeAvailability (G03, G04). Statuses are told by the session, faults of a lock by the monitors (G05)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.device_words import status_info
from agent.station.commands import Level


class Availability2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"ChangeAvailability": self._change}

    def _change(self, payload: Payload) -> Payload:
        operative = payload["operationalStatus"] == "Operative"
        place = payload.get("evse")
        if place is None:
            level, evse = Level.STATION, 0  # G04.FR.01
        elif not self._talk.knows(place):
            info = status_info("UnknownEvse", "there is no such EVSE or connector")
            return {"status": "Rejected", "statusInfo": info}
        else:
            level, evse = Level.CONNECTOR if "connectorId" in place else Level.EVSE, place["id"]
        return {"status": self._talk.station.access.change_availability(level, evse, operative).value}
