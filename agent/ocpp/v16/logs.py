"""OCPP 1.6 GetLog and LogStatusNotification of the security white paper (N01)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.files.notices import About, Notice
from agent.files.uploads import Uploads, UploadStatus
from agent.ocpp.file_orders import log_order

Payload = dict[str, Any]
Message = tuple[str, Payload]

_WORDS = {
    UploadStatus.UPLOADING: "Uploading",
    UploadStatus.UPLOADED: "Uploaded",
    UploadStatus.FAILED: "UploadFailure",
    UploadStatus.BAD_MESSAGE: "BadMessage",
    UploadStatus.NOT_SUPPORTED: "NotSupportedOperation",
    UploadStatus.PERMISSION_DENIED: "PermissionDenied",
    UploadStatus.IDLE: "Idle",
}


class Logs16:
    """``note(text)`` writes to a log that cannot be flooded."""

    def __init__(self, uploads: Uploads, note: Callable[[str], None]) -> None:
        self._uploads = uploads
        self._note = note

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        return {"GetLog": self._get}

    def _get(self, payload: Payload) -> Payload:
        """N01: a new request calls off the one under way (FR.11)."""
        order, problem = log_order(self._uploads, payload)
        if order is None:
            self._note(f"GetLog is rejected: {problem}")
            return {"status": "Rejected"}
        answer = self._uploads.order(order)
        status = "AcceptedCanceled" if answer.replaced else "Accepted"
        return {"status": status, "filename": answer.name} if answer.name else {"status": status}

    def status(self) -> Message:
        """What ExtendedTriggerMessage asks for; N01.FR.12: without a number when nothing is going on."""
        status, request = self._uploads.current(About.LOG)
        payload: Payload = {"status": _WORDS[status]}
        if request is not None:
            payload["requestId"] = request
        return "LogStatusNotification", payload


def message(notice: Notice) -> Message | None:
    """None for a status that 1.6 has no word for: the request that called an upload off was answered so."""
    if notice.status == UploadStatus.CALLED_OFF.value:
        return None
    payload: Payload = {"status": _WORDS.get(UploadStatus(notice.status), "UploadFailure")}
    if notice.request is not None:
        payload["requestId"] = notice.request
    return "LogStatusNotification", payload
