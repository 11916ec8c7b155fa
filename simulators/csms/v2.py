"""What this CSMS answers to each message of a charge point that speaks OCPP 2.0.1 or 2.1.

A handler gets the payload in wire format, already valid by its schema, books it and returns the payload of the answer.
Handlers never wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .charge_point import Session
from .dialect import Dialect
from .frames import Frame
from .signing import sign_and_send
from .tokens import Token, TokenStatus
from .wire import Incoming

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from .server import Csms
    from .station import Station

Payload = dict[str, Any]

TAKEN = frozenset(
    {
        "BatterySwap",
        "ClearedChargingLimit",
        "ClosePeriodicEventStream",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "MeterValues",
        "NotifyChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDERAlarm",
        "NotifyDERStartStop",
        "NotifyDisplayMessages",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyPeriodicEventStream",
        "NotifyPriorityCharging",
        "NotifyReport",
        "NotifySettlement",
        "PublishFirmwareStatusNotification",
        "ReportChargingProfiles",
        "ReportDERControl",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
        "StatusNotification",
    }
)
"""Messages whose answer is empty."""

FIXED: Mapping[str, Payload] = MappingProxyType(
    {
        "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
        "GetCertificateStatus": {"status": "Failed"},
        "NotifyEVChargingNeeds": {"status": "Rejected"},
        "NotifyEVChargingSchedule": {"status": "Rejected"},
        "OpenPeriodicEventStream": {"status": "Accepted"},
        "PullDynamicScheduleUpdate": {"status": "Rejected"},
    }
)
"""Messages whose answer needs no thought; ``also`` and ``payload`` change them."""

INVITING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CertificateSigned": ("SecurityEventNotification",),
        "CustomerInformation": ("NotifyCustomerInformation",),
        "GetBaseReport": ("NotifyReport",),
        "GetChargingProfiles": ("ReportChargingProfiles",),
        "GetDisplayMessages": ("NotifyDisplayMessages",),
        "GetLog": ("LogStatusNotification",),
        "GetMonitoringReport": ("NotifyMonitoringReport",),
        "GetReport": ("NotifyReport",),
        "UpdateFirmware": ("FirmwareStatusNotification",),
    }
)
"""While the boot is pending, a call of ours may have these as its consequence (OCPP 2.0.1, B02)."""

NO_CARD = frozenset({"NoAuthorization", "Central"})
"""Types of token that were never on a list: a start button, and what an operator made up himself."""


class SessionV2(Session):
    """A session of OCPP 2.0.1 or 2.1."""

    def __init__(
        self, station: Station, connection: ServerConnection, number: int, csms: Csms, dialect: Dialect
    ) -> None:
        super().__init__(station, connection, number, csms, dialect)
        self._own: dict[str, Callable[[Payload], Payload]] = {
            "Authorize": lambda payload: {"idTokenInfo": id_token_info(self._token(payload["idToken"]))},
            "BootNotification": self._boot,
            "DataTransfer": self._data_transfer,
            "GetCertificateChainStatus": self._chain_status,
            "Heartbeat": lambda _payload: {"currentTime": self.csms.now_text()},
            "SignCertificate": lambda payload: {"status": sign_and_send(self, payload)},
            "VatNumberValidation": lambda payload: {"vatNumber": payload["vatNumber"], "status": "Rejected"},
        }

    def offers(self, action: str) -> bool:
        return action in self._own or action in TAKEN or action in FIXED or action == "TransactionEvent"

    def answer(self, message: Incoming, frame: Frame) -> Payload:
        action, payload = message.action, message.body
        self.note(self.station.collected.take(action, payload, frame.wall_time), frame, action)
        if action == "TransactionEvent":
            return self._transaction_event(message, frame)
        if action == "StatusNotification":
            self.station.status_2x(payload, frame.wall_time)
        elif action == "NotifyEvent":
            self.station.status_events(payload["eventData"], frame.wall_time)
        elif action == "MeterValues":
            self.csms.books.meter_values_2x(self.id, payload, frame.wall_time)
        handler = self._own.get(action)
        return dict(FIXED.get(action, {})) if handler is None else handler(payload)

    def refusal(self, action: str) -> tuple[str, str] | None:
        # B01.FR.10, B02.FR.09, B03.FR.07: what comes unasked before the boot is accepted gets SecurityError. A station
        # that this CSMS has never seen boot (it was started anew) is heard all the same.
        order = self.station.order
        if action == "BootNotification" or order.boot_status in (None, "Accepted"):
            return None
        if order.boot_status == "Pending" and action in order.triggered:
            return None
        return "SecurityError", f"the boot is {order.boot_status}"

    def invites(self, action: str, payload: Payload) -> list[str]:
        return [*super().invites(action, payload), *INVITING.get(action, ())]

    # ---- messages ----

    def _boot(self, payload: Payload) -> Payload:
        boot = self.csms.boot
        self.station.boot = payload
        self.station.order.booted(boot.status, boot.interval_s, time.monotonic())
        return {"currentTime": self.csms.now_text(), "interval": boot.interval_s, "status": boot.status}

    def _transaction_event(self, message: Incoming, frame: Frame) -> Payload:
        payload = message.body
        token = self._token(payload["idToken"]) if "idToken" in payload else None
        findings = self.csms.books.event(
            self.id,
            self.dialect.subprotocol,
            payload,
            message.message_id,
            frame.wall_time,
            None if token is None else token.status.value,
        )
        self.note(findings, frame, message.action)
        return {} if token is None else {"idTokenInfo": id_token_info(token)}

    def _data_transfer(self, payload: Payload) -> Payload:
        known = payload["vendorId"] in self.csms.data_transfer_vendors
        return {"status": "Accepted" if known else "UnknownVendorId"}

    def _chain_status(self, payload: Payload) -> Payload:
        asked = [request["certificateHashData"] for request in payload["certificateStatusRequests"]]
        until = self.csms.now_text()
        return {
            "certificateStatus": [
                {"certificateHashData": data, "source": "OCSP", "status": "Failed", "nextUpdate": until}
                for data in asked
            ]
        }

    def _token(self, id_token: Payload) -> Token:
        if id_token["type"] in NO_CARD:
            return Token(id_token["idToken"])
        return self.csms.tokens.info(id_token["idToken"], self.csms.now(), TokenStatus.UNKNOWN)


def id_token_info(token: Token) -> Payload:
    """IdTokenInfoType of what the CSMS knows."""
    info: Payload = {"status": token.status.value}
    if token.expiry is not None:
        info["cacheExpiryDateTime"] = token.expiry
    if token.parent is not None:
        info["groupIdToken"] = {"idToken": token.parent, "type": "Central"}
    if token.message is not None:
        info["personalMessage"] = {"format": "UTF8", "content": token.message}
    return info
