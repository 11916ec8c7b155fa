"""Block L, firmware: UpdateFirmware with and without signature (L01, L02), and what becomes of it.

Publishing firmware (L03, L04) is a local controller's work; such requests are refused as not supported.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.files.notices import About, Notice, NoticeLine
from agent.ocpp.base import Payload
from agent.ocpp.file_notices import Message
from agent.ocpp.file_orders import update_order
from agent.ocpp.rpc import Priority
from agent.ocpp.session import FileSurroundings
from agent.ocpp.v2.block import Block, Handler, Talk, Trigger
from agent.ocpp.v2.device_words import status_info
from agent.update.order import FirmwareStatus, OrderAnswer
from agent.update.verify import Verdict

_BAD_CERTIFICATE = {
    Verdict.INVALID_CERTIFICATE: "InvalidCertificate",
    Verdict.INVALID_SIGNATURE: "InvalidCertificate",
    Verdict.REVOKED_CERTIFICATE: "RevokedCertificate",
}


class Firmware2(Block):
    def __init__(self, talk: Talk, around: FileSurroundings) -> None:
        super().__init__(talk)
        self._updates = around.updates
        self._line = around.notices

    def handlers(self) -> Mapping[str, Handler]:
        return {"UpdateFirmware": self._update}

    def triggers(self) -> Mapping[str, Trigger]:
        return {"FirmwareStatusNotification": lambda _evse: self._talk.call(*status(self._line), Priority.STATUS)}

    async def _update(self, payload: Payload) -> Payload:
        updates, firmware = self._updates, payload["firmware"]
        if not updates.can_install:
            return self._rejected("UnsupportedRequest", "no installer is configured here (update.install)")
        certificate, signature = firmware.get("signingCertificate"), firmware.get("signature")
        if bool(certificate) is not bool(signature):
            return self._rejected("MissingParam", "signingCertificate and signature go together")
        if not certificate and not updates.takes_unsigned:  # L01.FR.11; L02 is not allowed here
            return self._rejected("MissingParam", "only signed firmware is installed here")
        order, problem = update_order(
            updates, payload, firmware["location"], firmware["retrieveDateTime"], firmware.get("installDateTime")
        )
        if order is None:
            return self._rejected("InvalidValue", problem)
        if certificate:  # L01.FR.21, FR.22
            verdict = await updates.certificate_verdict(certificate)
            if verdict is not Verdict.GOOD:
                return {"status": _BAD_CERTIFICATE[verdict]}
        answer = updates.order(order)
        if answer is OrderAnswer.REJECTED:  # L01.FR.27, L02.FR.18
            return self._rejected("FwUpdateInProgress", "an installation is under way and cannot be called off")
        return {"status": answer.value}  # L01.FR.24, L02.FR.15

    def _rejected(self, reason: str, detail: str) -> Payload:
        self._talk.note("files", f"UpdateFirmware is rejected: {detail}")
        return {"status": "Rejected", "statusInfo": status_info(reason, detail)}


def status(line: NoticeLine) -> Message:
    """Return what was sent last, or Idle (L01.FR.25, FR.26; L02.FR.16, FR.17)."""
    sent = line.last_sent(About.FIRMWARE)
    found = None if sent is None or sent.status == FirmwareStatus.INSTALLED.value else message(sent)
    return found or ("FirmwareStatusNotification", {"status": FirmwareStatus.IDLE.value})


def message(notice: Notice) -> Message | None:
    """Return the message of a status. None without the number that it must bear (L01.FR.10, FR.20): such an update was
    ordered by another version, or brought by a technician, and its end is told as a security event."""
    if notice.request is None:
        return None
    return "FirmwareStatusNotification", {"status": notice.status, "requestId": notice.request}
