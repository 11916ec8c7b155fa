"""OCPP 1.6 GetDiagnostics and DiagnosticsStatusNotification (§4.4, §5.9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.files.notices import About, Notice
from agent.files.uploads import LogKind, UploadOrder, Uploads, UploadStatus
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.times import read_time

Payload = dict[str, Any]
Message = tuple[str, Payload]

_WORDS = {UploadStatus.UPLOADING: "Uploading", UploadStatus.UPLOADED: "Uploaded", UploadStatus.IDLE: "Idle"}


class Diagnostics16:
    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        return {"GetDiagnostics": self._get}

    def _get(self, payload: Payload) -> Payload:
        """§5.9: answers with the name of the file, or with none when there is nothing to tell."""
        problem = self._uploads.address_problem(payload["location"])
        if problem:
            raise RequestRefusedError("PropertyConstraintViolation", problem)
        times = {}
        for name in ("startTime", "stopTime"):
            times[name] = read_time(payload[name]) if name in payload else None
            if name in payload and times[name] is None:
                raise RequestRefusedError("PropertyConstraintViolation", f"{name} is no time")
        answer = self._uploads.order(
            UploadOrder(
                About.DIAGNOSTICS,
                LogKind.DIAGNOSTICS,
                payload["location"],
                payload.get("retries"),
                payload.get("retryInterval"),
                times["startTime"],
                times["stopTime"],
            )
        )
        return {"fileName": answer.name} if answer.name else {}

    def status(self) -> Message:
        """What TriggerMessage asks for."""
        return "DiagnosticsStatusNotification", {"status": _WORDS[self._uploads.current(About.DIAGNOSTICS)[0]]}


def message(notice: Notice) -> Message | None:
    """None for a status that 1.6 has no word for."""
    if notice.status == UploadStatus.CALLED_OFF.value:
        return None
    return "DiagnosticsStatusNotification", {"status": _WORDS.get(UploadStatus(notice.status), "UploadFailed")}
