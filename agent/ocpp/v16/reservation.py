"""OCPP 1.6 Reservation: ReserveNow and CancelReservation (§5.13, §5.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.ocpp.ports import StationPort
from agent.ocpp.times import read_time
from agent.ocpp.v16.tokens import carries
from agent.station.commands import Reservation, ReservationAnswer
from agent.station.tokens import Token

Payload = dict[str, Any]


class Reservation16:
    def __init__(self, station: StationPort, registered: Callable[[], bool]) -> None:
        self._station = station
        self._registered = registered

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        """One method per message."""
        return {"CancelReservation": self._cancel, "ReserveNow": self._reserve}

    def _reserve(self, payload: Payload) -> Payload:
        expires_utc_s = read_time(payload["expiryDate"])
        if not self._registered() or expires_utc_s is None or not carries(payload["idTag"]):
            return {"status": ReservationAnswer.REJECTED.value}
        wanted = Reservation(
            payload["reservationId"],
            payload["connectorId"],
            Token(payload["idTag"], "Central"),
            expires_utc_s,
            payload.get("parentIdTag", ""),
        )
        return {"status": self._station.reserve(wanted).value}

    def _cancel(self, payload: Payload) -> Payload:
        done = self._registered() and self._station.cancel_reservation(payload["reservationId"])
        return {"status": "Accepted" if done else "Rejected"}
