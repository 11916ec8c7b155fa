"""From raw text to a checked message of OCPP-J: framing here, payloads by the schemas that ``ocpp`` ships."""

from __future__ import annotations

import decimal
import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from jsonschema.exceptions import ValidationError, best_match
from ocpp.messages import get_validator  # type: ignore[import-untyped]

from .dialect import OCPP_16, Dialect


class MessageType(IntEnum):
    """Message type numbers of OCPP-J 1.6 section 4.1.3; the last two came with OCPP 2.1 (part 4 section 4.2)."""

    CALL = 2
    CALL_RESULT = 3
    CALL_ERROR = 4
    CALL_RESULT_ERROR = 5
    SEND = 6


@dataclass(frozen=True, slots=True)
class Incoming:
    """A well-framed message. ``body`` is the payload, or ``[code, description, details]`` of an error."""

    type: MessageType
    message_id: str
    action: str
    body: Any


class FrameError(Exception):
    """Not a frame of OCPP-J. ``message_id`` is set when it could be told, so that it can be answered."""

    def __init__(self, reason: str, message_id: str | None = None) -> None:
        super().__init__(reason)
        self.message_id = message_id


class SchemaError(Exception):
    """A payload broke its schema. ``code`` is the CALLERROR code that says so (OCPP-J 1.6 section 4.2.3)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse(text: str, dialect: Dialect = OCPP_16) -> Incoming:
    """Read one frame. Raises ``FrameError``; nothing else, whatever the text holds."""
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise FrameError("nested too deeply") from None
    except ValueError as error:
        raise FrameError(f"not JSON: {str(error)[:80]}") from None
    if not isinstance(message, list) or not message:
        raise FrameError("not a JSON array with a message type")
    message_id = message[1] if len(message) > 1 and isinstance(message[1], str) else None
    kind = message[0]
    if isinstance(kind, bool) or not isinstance(kind, int) or kind not in dialect.message_types:
        *some, last = sorted(dialect.message_types)
        raise FrameError(
            f"message type {str(kind)[:20]} is not {', '.join(str(number) for number in some)} or {last}", message_id
        )
    if message_id is None:
        raise FrameError("the message id is not a string")
    kind = MessageType(kind)
    if kind in (MessageType.CALL, MessageType.SEND):
        # Only a CALL is answered, so only its errors carry the id.
        answerable = message_id if kind is MessageType.CALL else None
        if len(message) != 4:
            raise FrameError(f"a {kind.name} has 4 elements, not {len(message)}", answerable)
        if not isinstance(message[2], str):
            raise FrameError("the action is not a string", answerable)
        if not isinstance(message[3], dict):
            raise FrameError("the payload is not an object", answerable)
        return Incoming(kind, message_id, message[2], message[3])
    if kind is MessageType.CALL_RESULT:
        if len(message) != 3 or not isinstance(message[2], dict):
            raise FrameError("a CALLRESULT has 3 elements, the last an object")
        return Incoming(kind, message_id, "", message[2])
    if len(message) != 5 or not isinstance(message[2], str):
        raise FrameError("a CALLERROR has 5 elements, the third an error code")
    return Incoming(kind, message_id, "", message[2:])


_TENTHS = frozenset({(2, "SetChargingProfile"), (2, "RemoteStartTransaction"), (3, "GetCompositeSchedule")})
"""Schemas of 1.6 with multipleOf 0.1, which binary floats fail (21.4); these are checked as decimals."""


def check_schema(kind: MessageType, action: str, payload: Any, dialect: Dialect = OCPP_16) -> None:
    """Hold a payload in wire format against its schema; it is not changed. Raises ``SchemaError``.

    ``action`` must be one that the version knows, else ``OSError`` (no such schema).
    """
    if not dialect.is_2 and (int(kind), action) in _TENTHS:
        validator = get_validator(int(kind), action, dialect.version, parse_float=decimal.Decimal)
        payload = json.loads(json.dumps(payload), parse_float=decimal.Decimal)
    else:
        validator = get_validator(int(kind), action, dialect.version)
    error: ValidationError | None = best_match(validator.iter_errors(payload))
    if error is None:
        return
    place = "/".join(str(part) for part in error.absolute_path) or "payload"
    raise SchemaError(dialect.code(str(error.validator)), f"{place}: {error.message[:160]}")
