"""What this CSMS answers to each message a charge point may send (OCPP 1.6 section 4, security white paper A to N).

A handler gets the payload in wire format, already valid by its schema, books it and returns the answer as one of
``ocpp.v16.call_result``'s dataclasses. Handlers never wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ocpp.charge_point import (  # type: ignore[import-untyped]
    camel_to_snake_case,
    remove_nones,
    serialize_as_dict,
    snake_to_camel_case,
)
from ocpp.routing import create_route_map, on  # type: ignore[import-untyped]
from ocpp.v16 import call_result  # type: ignore[import-untyped]
from ocpp.v16.datatypes import IdTagInfo  # type: ignore[import-untyped]
from ocpp.v16.enums import Action  # type: ignore[import-untyped]

from .charge_point import CallRefused, Session
from .dialect import OCPP_16, Dialect
from .frames import Frame
from .signing import sign_and_send
from .tokens import V16_LONGEST, Token, TokenStatus
from .wire import Incoming, MessageType, check_schema

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from .server import Csms
    from .station import Station

Payload = dict[str, Any]

V16_STATUSES = frozenset(
    {
        TokenStatus.ACCEPTED,
        TokenStatus.BLOCKED,
        TokenStatus.EXPIRED,
        TokenStatus.INVALID,
        TokenStatus.CONCURRENT_TX,
    }
)
"""AuthorizationStatus of OCPP 1.6 section 7.2."""


def _id_tag_info(token: Token) -> Any:
    return IdTagInfo(status=token.status.value, parent_id_tag=token.parent, expiry_date=token.expiry)


class CentralSystemSession(Session):
    """A session with all the charge point's messages answered."""

    def __init__(
        self, station: Station, connection: ServerConnection, number: int, csms: Csms, dialect: Dialect = OCPP_16
    ) -> None:
        super().__init__(station, connection, number, csms, dialect)
        self._routes: dict[str, Callable[[Payload, Frame], Any]] = {
            action: routes["_on_action"] for action, routes in create_route_map(self).items()
        }

    def offers(self, action: str) -> bool:
        return action in self._routes

    def answer(self, message: Incoming, frame: Frame) -> dict[str, Any]:
        result = self._routes[message.action](message.body, frame)
        payload: dict[str, Any] = snake_to_camel_case(remove_nones(serialize_as_dict(result)))
        return payload

    async def call(self, payload: Any, suppress: bool = False, skip_schema_validation: bool = False) -> Any:
        """Send one of ``ocpp.v16.call``'s dataclasses, return the matching one of ``ocpp.v16.call_result``.

        A CALLERROR raises ``CallRefused`` unless ``suppress``. The id is always a fresh one.
        """
        action = type(payload).__name__
        wire = remove_nones(snake_to_camel_case(serialize_as_dict(payload)))
        if not skip_schema_validation:
            check_schema(MessageType.CALL, action, wire, self.dialect)
        try:
            answer = await self.call_raw(action, wire)
        except CallRefused:
            if suppress:
                return None
            raise
        return getattr(call_result, action)(**camel_to_snake_case(answer))

    def _token(self, id_tag: str) -> Token:
        """``Invalid`` for a status that 1.6 has no word for; a group that its field cannot hold stays out."""
        token = self.csms.tokens.info(id_tag, self.csms.now())
        status = token.status if token.status in V16_STATUSES else TokenStatus.INVALID
        parent = token.parent if token.parent is None or len(token.parent) <= V16_LONGEST else None
        return replace(token, status=status, parent=parent)

    @on(Action.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot_notification(self, payload: Payload, frame: Frame) -> Any:
        del frame
        boot = self.csms.boot
        self.station.boot = payload
        self.station.order.booted(boot.status, boot.interval_s, time.monotonic())
        return call_result.BootNotification(
            current_time=self.csms.now_text(), interval=boot.interval_s, status=boot.status
        )

    @on(Action.heartbeat)  # type: ignore[untyped-decorator]
    def on_heartbeat(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.Heartbeat(current_time=self.csms.now_text())

    @on(Action.authorize)  # type: ignore[untyped-decorator]
    def on_authorize(self, payload: Payload, frame: Frame) -> Any:
        del frame
        return call_result.Authorize(id_tag_info=_id_tag_info(self._token(payload["idTag"])))

    @on(Action.start_transaction)  # type: ignore[untyped-decorator]
    def on_start_transaction(self, payload: Payload, frame: Frame) -> Any:
        token = self._token(payload["idTag"])
        transaction_id, findings = self.csms.books.start(self.id, payload, token.status.value, frame.wall_time)
        self.note(findings, frame, "StartTransaction")
        return call_result.StartTransaction(transaction_id=transaction_id, id_tag_info=_id_tag_info(token))

    @on(Action.stop_transaction)  # type: ignore[untyped-decorator]
    def on_stop_transaction(self, payload: Payload, frame: Frame) -> Any:
        self.note(self.csms.books.stop(self.id, payload, frame.wall_time), frame, "StopTransaction")
        id_tag = payload.get("idTag")
        info = None if id_tag is None else _id_tag_info(self._token(id_tag))
        return call_result.StopTransaction(id_tag_info=info)

    @on(Action.meter_values)  # type: ignore[untyped-decorator]
    def on_meter_values(self, payload: Payload, frame: Frame) -> Any:
        self.note(self.csms.books.meter_values(self.id, payload, frame.wall_time), frame, "MeterValues")
        return call_result.MeterValues()

    @on(Action.status_notification)  # type: ignore[untyped-decorator]
    def on_status_notification(self, payload: Payload, frame: Frame) -> Any:
        self.station.statuses[str(payload["connectorId"])] = payload | {"received_at": frame.wall_time}
        return call_result.StatusNotification()

    @on(Action.data_transfer)  # type: ignore[untyped-decorator]
    def on_data_transfer(self, payload: Payload, frame: Frame) -> Any:
        del frame
        known = payload["vendorId"] in self.csms.data_transfer_vendors
        return call_result.DataTransfer(status="Accepted" if known else "UnknownVendorId")

    @on(Action.diagnostics_status_notification)  # type: ignore[untyped-decorator]
    def on_diagnostics_status_notification(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.DiagnosticsStatusNotification()

    @on(Action.firmware_status_notification)  # type: ignore[untyped-decorator]
    def on_firmware_status_notification(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.FirmwareStatusNotification()

    @on(Action.log_status_notification)  # type: ignore[untyped-decorator]
    def on_log_status_notification(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.LogStatusNotification()

    @on(Action.security_event_notification)  # type: ignore[untyped-decorator]
    def on_security_event_notification(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.SecurityEventNotification()

    @on(Action.sign_certificate)  # type: ignore[untyped-decorator]
    def on_sign_certificate(self, payload: Payload, frame: Frame) -> Any:
        del frame
        return call_result.SignCertificate(status=sign_and_send(self, payload))

    @on(Action.signed_firmware_status_notification)  # type: ignore[untyped-decorator]
    def on_signed_firmware_status_notification(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.SignedFirmwareStatusNotification()
