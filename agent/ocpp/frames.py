"""OCPP-J frames: text in, message out; and what may be written to the log of them.

Source: OCPP-J 1.6 §4.2; 2.0.1 part 4 §4.2; 2.1 part 4 §4.2, which adds two to the three arrays that all versions have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NoReturn

MAX_FRAME_BYTES = 256 * 1024
MAX_DEPTH = 32
"""No message of OCPP nests deeper than ten."""

MAX_MESSAGE_ID = 255
"""OCPP allows 36 characters. A longer id is echoed as long as that costs us nothing."""


class MessageType(IntEnum):
    CALL = 2
    CALL_RESULT = 3
    CALL_ERROR = 4
    CALL_RESULT_ERROR = 5
    """OCPP 2.1: the answer to a call of the other side could not be used."""
    SEND = 6
    """OCPP 2.1: a message that nobody answers."""


@dataclass(frozen=True, slots=True)
class IncomingCall:
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IncomingResult:
    message_id: str
    payload: Any


@dataclass(frozen=True, slots=True)
class IncomingError:
    message_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class IncomingSend:
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IncomingResultError:
    """The peer could not use an answer of ours."""

    message_id: str
    code: str
    description: str


Incoming = IncomingCall | IncomingResult | IncomingError | IncomingSend | IncomingResultError

OLD_TYPES = frozenset((2, 3, 4))
ALL_TYPES = OLD_TYPES | {5, 6}


class FrameError(Exception):
    """A frame that is none. ``kind``: a word for counters; ``message_id``: of the CALL to be answered, or empty."""

    def __init__(self, kind: str, detail: str, message_id: str = "") -> None:
        super().__init__(detail)
        self.kind = kind
        self.message_id = message_id


def parse(data: str | bytes, types: Collection[int] = OLD_TYPES) -> Incoming:
    """Read one frame of the version's ``types``. Raises FrameError and nothing else, whatever comes."""
    if isinstance(data, bytes):
        raise FrameError("binary", "a binary frame; OCPP-J uses text")
    if len(data) > MAX_FRAME_BYTES:
        raise FrameError("too_long", f"longer than {MAX_FRAME_BYTES} characters")
    try:
        message = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError("not_json", f"not JSON ({type(error).__name__})") from None
    if not isinstance(message, list) or not message:
        raise FrameError("not_array", "not a JSON array with a message type")
    kind, message_id = message[0], message[1] if len(message) > 1 else None
    # True equals 1 and 2.0 equals 2 in Python; on the wire they are other things.
    if type(kind) is not int or kind not in types:
        known = ", ".join(map(str, sorted(types)))
        answer_to = message_id if isinstance(message_id, str) and len(message_id) <= MAX_MESSAGE_ID else ""
        raise FrameError("message_type", f"message type is none of {known}", answer_to if _valid(answer_to) else "")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_MESSAGE_ID:
        raise FrameError("message_id", "the message id is not a text of 1 to 36 characters")
    answer_to = message_id if kind == MessageType.CALL else ""
    if _too_deep(data, message):
        raise FrameError("too_deep", f"nested deeper than {MAX_DEPTH}", answer_to)
    if not _encodable(data, message):
        raise FrameError("surrogate", "half of a surrogate pair in a text", answer_to if _valid(answer_to) else "")
    if kind == MessageType.CALL:
        return _call(message, message_id)
    if kind == MessageType.SEND:
        sent = _call(message, message_id, MessageType.SEND)
        return IncomingSend(sent.message_id, sent.action, sent.payload)
    if kind == MessageType.CALL_RESULT:
        if len(message) != 3:
            raise FrameError("result_length", "a CALLRESULT has three elements")
        return IncomingResult(message_id, message[2])
    # Peers leave out description and details, so only the code is wanted.
    code = message[2] if len(message) > 2 and isinstance(message[2], str) else "GenericError"
    description = message[3] if len(message) > 3 and isinstance(message[3], str) else ""
    if kind == MessageType.CALL_RESULT_ERROR:
        return IncomingResultError(message_id, code[:64], description[:255])
    return IncomingError(message_id, code[:64], description[:255])


def _call(message: list[Any], message_id: str, kind: MessageType = MessageType.CALL) -> IncomingCall:
    answer_to = message_id if kind is MessageType.CALL else ""
    if len(message) != 4:
        raise FrameError("call_length", f"a {kind.name} has four elements", answer_to)
    action, payload = message[2], message[3]
    if not isinstance(action, str):
        raise FrameError("action", "the action is not a text", answer_to)
    if not isinstance(payload, dict):
        raise FrameError("payload", "the payload is not an object", answer_to)
    return IncomingCall(message_id, action, payload)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _too_deep(data: str, message: list[Any]) -> bool:
    if data.count("[") + data.count("{") <= MAX_DEPTH:
        return False
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following.extend(inner for inner in value.values() if isinstance(inner, (dict, list)))
            else:
                following.extend(inner for inner in value if isinstance(inner, (dict, list)))
        if not following:
            return False
        level = following
    return True


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _encodable(data: str, message: list[Any]) -> bool:
    """No store and no log takes half of a surrogate pair."""
    if _valid(data) and not _SURROGATE.search(data):
        return True
    return _valid(json.dumps(message, ensure_ascii=False))


def _valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def call_text(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return _dump([MessageType.CALL, message_id, action, payload])


def result_text(message_id: str, payload: dict[str, Any]) -> str:
    return _dump([MessageType.CALL_RESULT, message_id, payload])


def error_text(message_id: str, code: str, description: str) -> str:
    return _dump([MessageType.CALL_ERROR, message_id, code, description[:255], {}])


def result_error_text(message_id: str, code: str, description: str) -> str:
    return _dump([MessageType.CALL_RESULT_ERROR, message_id, code, description[:255], {}])


def send_text(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return _dump([MessageType.SEND, message_id, action, payload])


def _dump(message: list[Any]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)


_ID_TAG = re.compile(r'("(?:idTag|parentIdTag|idToken)"\s*:\s*"[^"]{0,4})[^"]*"')
_SECRETS = re.compile(r"AuthorizationKey|BasicAuthPassword|signature|privateKey", re.IGNORECASE)

_USER_PART = re.compile(r'://[^/@"\s]{1,400}@')
_QUERY = re.compile(r'("(?:location|remoteLocation)"\s*:\s*"[^"?]*\?)[^"]*')
"""What an address of a file may hold: user and password, or a signature in its query."""


def masked(data: str | bytes) -> str:
    """Return a frame as it may be logged: identifiers shortened, secrets left out, at most 500 characters."""
    if isinstance(data, bytes):
        return f"<{len(data)} bytes, binary>"
    if _SECRETS.search(data):
        return "<holds a secret, not shown>"
    shown = _QUERY.sub(r"\1…", _USER_PART.sub("://…@", _ID_TAG.sub(r'\1…"', data[:4000])))[:500]
    return "".join(c if c.isprintable() else "?" for c in shown)
