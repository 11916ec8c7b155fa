"""Block O: messages for the driver's display."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from agent.ocpp.base import Payload
from agent.ocpp.display_port import DisplayPort
from agent.ocpp.refusal import RequestRefusedError
from agent.ocpp.times import read_time, time_text
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info
from agent.ocpp.v2.version import Version
from agent.station.display.message import (
    Content,
    Message,
    MessageFilter,
    MessageFormat,
    MessagePriority,
    MessageState,
    Panel,
    SetAnswer,
)
from agent.station.settings import Settings
from agent.station.tokens import Token

REPORT_BYTES = 16_000
"""One NotifyDisplayMessages holds no more than about this, or one message."""

MOST_REPORTS = 100
"""So many may wait to be sent; a request that would add more is refused."""

_REASONS = {
    SetAnswer.NOT_SUPPORTED_STATE: "UnsupportedParam",
    SetAnswer.NOT_SUPPORTED_FORMAT: "UnsupportedParam",
    SetAnswer.LANGUAGE_NOT_SUPPORTED: "UnsupportedParam",
    SetAnswer.UNKNOWN_TRANSACTION: "TxNotFound",
}


class Display2(Block):
    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._reports: deque[Payload] = deque()

    @property
    def _display(self) -> DisplayPort:
        return self._talk.station.display

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "SetDisplayMessage": self._set,
            "GetDisplayMessages": self._get,
            "ClearDisplayMessage": self._clear,
        }

    # ---- O01, O02, O06 ----

    def _set(self, payload: Payload) -> Payload:
        told = payload["message"]
        for name in ("startDateTime", "endDateTime"):
            if name in told and read_time(told[name]) is None:
                return _answer(SetAnswer.REJECTED, f"{name} is not a time")
        message = message_of(told)
        if self._talk.version is Version.V21:
            unknown = unknown_language(message, self._talk.settings)
            if unknown:
                return _answer(SetAnswer.LANGUAGE_NOT_SUPPORTED, f"{unknown} is not supported")
        return _answer(*self._display.set_message(message))

    # ---- O03, O04 ----

    def _get(self, payload: Payload) -> Payload:
        ids, priority, state = payload.get("id"), payload.get("priority"), payload.get("state")
        which = MessageFilter(
            None if ids is None else frozenset(ids),
            None if priority is None else MessagePriority(priority),
            None if state is None else MessageState(state),
        )
        found = [message for message in self._display.messages(which) if tellable(message, self._talk.version)]
        if not found:
            return {"status": "Unknown"}  # O03.FR.06, O04.FR.02, O04.FR.07
        reports = _reports(payload["requestId"], [message_payload(each) for each in found])
        if len(self._reports) + len(reports) > MOST_REPORTS:
            raise RequestRefusedError("InternalError", "too many reports of earlier requests wait to be sent")
        self._reports.extend(reports)
        return {"status": "Accepted"}

    # ---- O05 ----

    def _clear(self, payload: Payload) -> Payload:
        return {"status": "Accepted" if self._display.clear_message(payload["id"]) else "Unknown"}

    # ---- as a part of the session ----

    def authorised(self, token: Token, answer: Mapping[str, Any]) -> None:
        """O01.FR.08: the network knows what the driver reads."""
        info = answer.get("idTokenInfo")
        languages = languages_of(info) if isinstance(info, Mapping) else []
        if languages:
            self._display.prefer(token, languages)

    def offer(self, _now: float) -> bool:
        while self._reports:
            if self._talk.call("NotifyDisplayMessages", self._reports.popleft()):
                return True
        return False

    def lost(self) -> None:
        self._reports.clear()


def languages_of(info: Mapping[str, Any]) -> list[str]:
    """Return a driver's languages, the best one first."""
    return [info[name] for name in ("language1", "language2") if isinstance(info.get(name), str) and info[name]]


def message_of(told: Mapping[str, Any]) -> Message:
    """Read a MessageInfoType that its schema allows."""
    state, component = told.get("state"), told.get("display")
    return Message(
        told["id"],
        MessagePriority(told["priority"]),
        tuple(content_of(each) for each in (told["message"], *told.get("messageExtra", ()))),
        None if state is None else MessageState(state),
        read_time(told.get("startDateTime")),
        read_time(told.get("endDateTime")),
        told.get("transactionId", ""),
        None if component is None else _panel(component),
    )


def content_of(told: Mapping[str, Any]) -> Content:
    """Read a MessageContentType."""
    return Content(told["content"], MessageFormat(told["format"]), told.get("language", ""))


def _panel(component: Mapping[str, Any]) -> Panel:
    evse = component.get("evse", {})
    return Panel(component["name"], component.get("instance", ""), evse.get("id"), evse.get("connectorId"))


def message_payload(message: Message) -> Payload:
    """Write a MessageInfoType."""
    first, *others = (_content_payload(content) for content in message.contents)
    payload: Payload = {"id": message.id, "priority": message.priority.value, "message": first}
    payload |= {"messageExtra": others} if others else {}
    payload |= {"state": message.state.value} if message.state is not None else {}
    payload |= {"startDateTime": time_text(message.start_utc_s)} if message.start_utc_s is not None else {}
    payload |= {"endDateTime": time_text(message.end_utc_s)} if message.end_utc_s is not None else {}
    payload |= {"transactionId": message.transaction} if message.transaction else {}
    return payload | ({"display": _component(message.panel)} if message.panel is not None else {})


def _content_payload(content: Content) -> Payload:
    payload = {"format": content.format.value, "content": content.text}
    return payload | ({"language": content.language} if content.language else {})


def _component(panel: Panel) -> Payload:
    payload: Payload = {"name": panel.name}
    payload |= {"instance": panel.instance} if panel.instance else {}
    if panel.evse is not None:
        payload["evse"] = {"id": panel.evse}
        payload["evse"] |= {"connectorId": panel.connector} if panel.connector is not None else {}
    return payload


def tellable(message: Message, version: Version) -> bool:
    """False for what was set by 2.1 and has no word in 2.0.1."""
    if version is Version.V21:
        return True
    new = message.state is MessageState.SUSPENDED or message.contents[0].format is MessageFormat.QRCODE
    return not new and len(message.contents) == 1 and len(message.contents[0].text) <= 512


def unknown_language(message: Message, settings: Settings) -> str:
    """Return a language of a message that the display cannot show; empty when there is none."""
    known = {language.casefold() for language in settings.members("DisplayMessageCtrlr.SupportedLanguages")}
    for content in message.contents:
        language = content.language.casefold()
        if language and language not in known:  # 2.1 O01.FR.18
            return content.language
    return ""


def _answer(answer: SetAnswer, why: str) -> Payload:
    if answer is SetAnswer.ACCEPTED:
        return {"status": answer.value}
    return {"status": answer.value, "statusInfo": status_info(_REASONS.get(answer, "InvalidValue"), why)}


def _reports(request: int, messages: Sequence[Payload]) -> list[Payload]:
    """Write one report, or several parts of it (O03.FR.03 to FR.05)."""
    reports: list[Payload] = []
    size = REPORT_BYTES
    for message in messages:
        own = len(json.dumps(message))
        if size + own > REPORT_BYTES:
            size = 0
            reports.append({"requestId": request, "tbc": True, "messageInfo": []})
        reports[-1]["messageInfo"].append(message)
        size += own
    reports[-1]["tbc"] = False
    return reports
