"""OCPP 1.6 firmware: UpdateFirmware (§5.19), and SignedUpdateFirmware of the security white paper (L01)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from agent.files.notices import Notice
from agent.ocpp.file_orders import update_order
from agent.ocpp.refusal import RequestRefusedError
from agent.update.order import FirmwareStatus, OrderAnswer
from agent.update.service import Updates
from agent.update.verify import Verdict

Payload = dict[str, Any]
Message = tuple[str, Payload]

_BAD_CERTIFICATE = {
    Verdict.INVALID_CERTIFICATE: "InvalidCertificate",
    Verdict.INVALID_SIGNATURE: "InvalidCertificate",
    Verdict.REVOKED_CERTIFICATE: "RevokedCertificate",
}

_PLAIN = {
    FirmwareStatus.DOWNLOADING: "Downloading",
    FirmwareStatus.DOWNLOAD_PAUSED: "Downloading",
    FirmwareStatus.DOWNLOADED: "Downloaded",
    FirmwareStatus.INSTALL_SCHEDULED: "Downloaded",
    FirmwareStatus.INSTALLING: "Installing",
    FirmwareStatus.INSTALL_REBOOTING: "Installing",
}
"""What is going on in the words of §7.25; anything else is Idle."""


class Firmware16:
    """``note(text)`` writes to a log that cannot be flooded."""

    def __init__(self, updates: Updates, note: Callable[[str], None]) -> None:
        self._updates = updates
        self._note = note

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload | Coroutine[Any, Any, Payload]]]:
        return {"UpdateFirmware": self._update, "SignedUpdateFirmware": self._signed_update}

    def _update(self, payload: Payload) -> Payload:
        """§5.19. Its answer is empty, so what cannot be done is refused by a CALLERROR."""
        if not self._updates.can_install:
            raise RequestRefusedError("NotSupported", "no installer is configured here")
        if not self._updates.takes_unsigned:
            raise RequestRefusedError("SecurityError", "only signed firmware is installed here; SignedUpdateFirmware")
        order, problem = update_order(self._updates, payload, payload["location"], payload["retrieveDate"], None)
        if order is None:
            raise RequestRefusedError("PropertyConstraintViolation", problem)
        if self._updates.order(order) is OrderAnswer.REJECTED:
            raise RequestRefusedError("GenericError", "an installation is under way and cannot be called off")
        return {}

    async def _signed_update(self, payload: Payload) -> Payload:
        """L01"""
        firmware = payload["firmware"]
        if not self._updates.can_install:
            return {"status": "Rejected"}
        order, problem = update_order(
            self._updates,
            payload,
            firmware["location"],
            firmware["retrieveDateTime"],
            firmware.get("installDateTime"),
        )
        if order is None:
            self._note(f"SignedUpdateFirmware is rejected: {problem}")
            return {"status": "Rejected"}
        verdict = await self._updates.certificate_verdict(firmware["signingCertificate"])
        if verdict is not Verdict.GOOD:
            return {"status": _BAD_CERTIFICATE[verdict]}
        return {"status": self._updates.order(order).value}

    def plain_status(self) -> Message:
        """What TriggerMessage asks for."""
        return "FirmwareStatusNotification", {"status": _PLAIN.get(self._updates.status, "Idle")}

    def signed_status(self) -> Message:
        """What ExtendedTriggerMessage asks for."""
        status = self._updates.status if self._updates.signed else FirmwareStatus.IDLE
        payload: Payload = {"status": status.value}
        if status is not FirmwareStatus.IDLE:
            payload["requestId"] = self._updates.request
        return "SignedFirmwareStatusNotification", payload


def message(notice: Notice) -> Message:
    if notice.request is None:
        return "FirmwareStatusNotification", {"status": notice.status}
    return "SignedFirmwareStatusNotification", {"status": notice.status, "requestId": notice.request}
