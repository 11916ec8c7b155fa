"""Block H, reservations: made and cancelled by the network, and how they ended without it."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ocpp.base import Payload
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.times import read_time
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info
from agent.ocpp.v2.tokens import carries, group_of, read_token
from agent.ocpp.v2.version import Version
from agent.station.commands import Reservation, ReservationAnswer, ReservationEnd


class Reservation2(Block):
    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._telling: int | None = None

    def handlers(self) -> Mapping[str, Handler]:
        return {"CancelReservation": self._cancel, "ReserveNow": self._reserve}

    def _reserve(self, payload: Payload) -> Payload:
        """H01"""
        expires_utc_s = read_time(payload["expiryDateTime"])
        token = read_token(payload["idToken"])
        evse = payload.get("evseId")
        if expires_utc_s is None or not carries(token, self._talk.version):
            return _rejected("InvalidValue", "expiryDateTime or idToken cannot be read")
        if not self._talk.online:
            return _rejected("CSNotAccepted", "the boot of this charging station is not accepted yet")
        if evse is not None and evse not in self._talk.evses:
            return _rejected("UnknownEvse", f"there is no EVSE {evse}")
        wanted = Reservation(
            payload["id"], evse or 0, token, expires_utc_s, group_of(payload), payload.get("connectorType", "")
        )
        return {"status": self._talk.station.reserve(wanted).value}

    def _cancel(self, payload: Payload) -> Payload:
        """H02"""
        if self._talk.station.cancel_reservation(payload["reservationId"]):
            return {"status": "Accepted"}
        return _rejected("NotFound", "there is no such reservation")  # H02.FR.01

    # ---- how they ended (H01.FR.16, H01.FR.17, H04.FR.01; 2.1 H03.FR.11) ----

    def offer(self, _now: float) -> bool:
        if self._telling is not None:
            return False
        for number, end in self._talk.station.access.ended_reservations().items():
            if end is ReservationEnd.NO_TRANSACTION and self._talk.version is Version.V201:
                self._talk.station.access.reservation_end_told(number)  # it has no word for that
                continue
            payload = {"reservationId": number, "reservationUpdateStatus": end.value}
            if self._talk.call("ReservationStatusUpdate", payload, Priority.STATUS, self._told):
                self._telling = number
                return True
            self._talk.station.access.reservation_end_told(number)
        return False

    def _told(self, outcome: Outcome, _now: float) -> None:
        number, self._telling = self._telling, None
        if number is not None and outcome.result is not Result.LOST:
            self._talk.station.access.reservation_end_told(number)


def _rejected(reason: str, why: str) -> Payload:
    return {"status": ReservationAnswer.REJECTED.value, "statusInfo": status_info(reason, why)}
