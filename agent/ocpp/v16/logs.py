"""OCPP 1.6 GetLog and LogStatusNotification of the security white paper (N01)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.files.notices import About, Notice
from agent.files.uploads import LogKind, UploadOrder, Uploads, UploadStatus
from agent.ocpp.times import read_time

Payload = dict[str, Any]
Message = tuple[str, Payload]

_KINDS = {"DiagnosticsLog": LogKind.DIAGNOSTICS, "SecurityLog": LogKind.SECURITY}

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
        wanted = payload["log"]
        problem = self._uploads.address_problem(wanted["remoteLocation"])
        times = {}
        for name in ("oldestTimestamp", "latestTimestamp"):
            times[name] = read_time(wanted[name]) if name in wanted else None
            if name in wanted and times[name] is None:
                problem = f"{name} is no time"
        if problem:
            self._note(f"GetLog is rejected: {problem}")
            return {"status": "Rejected"}
        answer = self._uploads.order(
            UploadOrder(
                About.LOG,
                _KINDS[payload["logType"]],
                wanted["remoteLocation"],
                payload.get("retries"),
                payload.get("retryInterval"),
                times["oldestTimestamp"],
                times["latestTimestamp"],
                payload["requestId"],
            )
        )
        status = "AcceptedCanceled" if answer.replaced else "Accepted"
        return {"status": status, "filename": answer.name} if answer.name else {"status": status}

    def status(self) -> Message:
        """What ExtendedTriggerMessage asks for; N01.FR.12: without a number when nothing is going on."""
        status, request = self._uploads.current(About.LOG)
        payload: Payload = {"status": _WORDS[status]}
        if request is not None:
            payload["requestId"] = request
        return "LogStatusNotification", payload


def message(notice: Notice) -> Message:
    payload: Payload = {"status": _WORDS.get(UploadStatus(notice.status), "UploadFailure")}
    if notice.request is not None:
        payload["requestId"] = notice.request
    return "LogStatusNotification", payload
