"""Logs: GetLog and LogStatusNotification (N01)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.files.notices import About, Notice
from agent.files.uploads import UploadStatus
from agent.ocpp.base import Payload
from agent.ocpp.file_notices import Message
from agent.ocpp.file_orders import LOG_KINDS, log_order
from agent.ocpp.rpc import Priority
from agent.ocpp.session import FileSurroundings
from agent.ocpp.v2.block import Block, Handler, Talk, Trigger
from agent.ocpp.v2.device_words import status_info

_WORDS = {
    UploadStatus.UPLOADING: "Uploading",
    UploadStatus.UPLOADED: "Uploaded",
    UploadStatus.FAILED: "UploadFailure",
    UploadStatus.BAD_MESSAGE: "BadMessage",
    UploadStatus.NOT_SUPPORTED: "NotSupportedOperation",
    UploadStatus.PERMISSION_DENIED: "PermissionDenied",
    UploadStatus.CALLED_OFF: "AcceptedCanceled",
    UploadStatus.IDLE: "Idle",
}


class Logs2(Block):
    def __init__(self, talk: Talk, around: FileSurroundings) -> None:
        super().__init__(talk)
        self._uploads = around.uploads

    def handlers(self) -> Mapping[str, Handler]:
        return {"GetLog": self._get}

    def triggers(self) -> Mapping[str, Trigger]:
        return {"LogStatusNotification": lambda _evse: self._talk.call(*self._status(), Priority.STATUS)}

    def _get(self, payload: Payload) -> Payload:
        if payload["logType"] not in LOG_KINDS:  # 2.1's DataCollectorLog
            return self._rejected("UnsupportedParam", f"there is no {payload['logType']} here")
        order, problem = log_order(self._uploads, payload)
        if order is None:
            return self._rejected("InvalidValue", problem)
        if not self._uploads.available(order):  # N01.FR.05
            return self._rejected("NotFound", "there is nothing in that span of time")
        answer = self._uploads.order(order)
        status = "AcceptedCanceled" if answer.replaced else "Accepted"  # N01.FR.12
        return {"status": status, "filename": answer.name}

    def _rejected(self, reason: str, detail: str) -> Payload:
        self._talk.note("files", f"GetLog is rejected: {detail}")
        return {"status": "Rejected", "statusInfo": status_info(reason, detail)}

    def _status(self) -> Message:
        """What goes on now; N01.FR.13: without a number when nothing does."""
        status, request = self._uploads.current(About.LOG)
        payload: Payload = {"status": _WORDS[status]}
        if request is not None:
            payload["requestId"] = request
        return "LogStatusNotification", payload


def message(notice: Notice) -> Message | None:
    """Return the message of a status. None for one without number: it answers a request of another version."""
    if notice.request is None:
        return None
    status = _WORDS.get(UploadStatus(notice.status), "UploadFailure")
    return "LogStatusNotification", {"status": status, "requestId": notice.request}  # N01.FR.07
