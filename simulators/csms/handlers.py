"""What this CSMS answers to each message a charge point may send (OCPP 1.6 section 4, security white paper A to N).

A handler gets the payload in wire format, already valid by its schema, books it and returns the answer as one of
``ocpp.v16.call_result``'s dataclasses. Handlers never wait.
"""

from __future__ import annotations

import time
from typing import Any

from ocpp.routing import on  # type: ignore[import-untyped]
from ocpp.v16 import call_result  # type: ignore[import-untyped]
from ocpp.v16.datatypes import IdTagInfo  # type: ignore[import-untyped]
from ocpp.v16.enums import Action  # type: ignore[import-untyped]

from .anomalies import Finding
from .charge_point import Session
from .frames import Frame
from .tokens import Token

Payload = dict[str, Any]


def _id_tag_info(token: Token) -> Any:
    return IdTagInfo(status=token.status.value, parent_id_tag=token.parent, expiry_date=token.expiry)


class CentralSystemSession(Session):
    """A session with all the charge point's messages answered."""

    def _note(self, findings: list[Finding], frame: Frame, action: str) -> None:
        for finding in findings:
            self.csms.note(finding.kind, finding.detail, self, frame, action)

    def _token(self, id_tag: str) -> Token:
        return self.csms.tokens.info(id_tag, self.csms.now())

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
        self._note(findings, frame, "StartTransaction")
        return call_result.StartTransaction(transaction_id=transaction_id, id_tag_info=_id_tag_info(token))

    @on(Action.stop_transaction)  # type: ignore[untyped-decorator]
    def on_stop_transaction(self, payload: Payload, frame: Frame) -> Any:
        self._note(self.csms.books.stop(self.id, payload, frame.wall_time), frame, "StopTransaction")
        id_tag = payload.get("idTag")
        info = None if id_tag is None else _id_tag_info(self._token(id_tag))
        return call_result.StopTransaction(id_tag_info=info)

    @on(Action.meter_values)  # type: ignore[untyped-decorator]
    def on_meter_values(self, payload: Payload, frame: Frame) -> Any:
        self._note(self.csms.books.meter_values(self.id, payload, frame.wall_time), frame, "MeterValues")
        return call_result.MeterValues()

    @on(Action.status_notification)  # type: ignore[untyped-decorator]
    def on_status_notification(self, payload: Payload, frame: Frame) -> Any:
        self.station.statuses[payload["connectorId"]] = payload | {"received_at": frame.wall_time}
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
        del payload, frame
        return call_result.SignCertificate(status="Accepted")

    @on(Action.signed_firmware_status_notification)  # type: ignore[untyped-decorator]
    def on_signed_firmware_status_notification(self, payload: Payload, frame: Frame) -> Any:
        del payload, frame
        return call_result.SignedFirmwareStatusNotification()
