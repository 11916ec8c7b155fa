"""How the CSMS answers on command: late, wrong, twice, or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ANY_ACTION = "*"


class Mode(StrEnum):
    """What happens to one CALL of the charge point."""

    NORMAL = "normal"
    IGNORE = "ignore"
    """Nothing is booked and nothing answered: the request was lost."""
    DROP = "drop"
    """Booked, but not answered: the answer was lost."""
    ERROR = "error"
    """Not booked; answered with a CALLERROR."""
    WRONG_TYPE = "wrong-type"
    """Booked; every field of the answer has another JSON type."""
    WRONG_MESSAGE_TYPE = "wrong-message-type"
    """Booked; the answer's message type is 7, which OCPP does not have."""
    WRONG_ID = "wrong-id"
    """Booked; answered under a message id that nobody asked with, so the real one stays open."""
    TWICE = "twice"
    """Booked; the same answer is sent two times."""
    MALFORMED = "malformed"
    """Booked; the answer is cut off in the middle, so it is no JSON."""
    PAYLOAD = "payload"
    """Booked; answered with a payload given by the tester, valid or not."""


BOOKED = frozenset(Mode) - {Mode.IGNORE, Mode.ERROR}
"""Modes under which the CSMS has taken the message in."""


@dataclass(slots=True)
class AnswerRule:
    """A mode for the next ``remaining`` CALLs, or for all when it is ``None``."""

    mode: Mode
    remaining: int | None = None
    error_code: str = "InternalError"
    payload: Any = None


@dataclass(slots=True)
class _Delay:
    seconds: float
    remaining: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with the CALL at hand."""

    mode: Mode = Mode.NORMAL
    delay_s: float = 0.0
    error_code: str = "InternalError"
    payload: Any = None


class Behaviour:
    """Rules by action. Rules for one action are used up in the order they were given; ``*`` is asked last."""

    def __init__(self) -> None:
        self._rules: dict[str, list[AnswerRule]] = {}
        self._delays: dict[str, _Delay] = {}

    def add(self, action: str, rule: AnswerRule) -> None:
        """Queue a rule. One without a count holds until ``clear``."""
        self._rules.setdefault(action, []).append(rule)

    def delay(self, action: str, seconds: float, count: int | None = None) -> None:
        """Answer this action only after so many seconds; 0 ends it. Raises ``ValueError`` on a bad time."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"delay {seconds}: must be 0 s or more")
        if seconds == 0:
            self._delays.pop(action, None)
        else:
            self._delays[action] = _Delay(seconds, count)

    def clear(self, action: str | None = None) -> None:
        """Back to normal answers, for one action or for all."""
        if action is None:
            self._rules.clear()
            self._delays.clear()
        else:
            self._rules.pop(action, None)
            self._delays.pop(action, None)

    def next(self, action: str) -> Answer:
        """The answer for one CALL of this action; counts it down."""
        delay_s = self._next_delay(action) or self._next_delay(ANY_ACTION)
        for key in (action, ANY_ACTION):
            rules = self._rules.get(key)
            if not rules:
                continue
            rule = rules[0]
            if rule.remaining is not None:
                rule.remaining -= 1
                if rule.remaining <= 0:
                    rules.pop(0)
            return Answer(rule.mode, delay_s, rule.error_code, rule.payload)
        return Answer(delay_s=delay_s)

    def _next_delay(self, action: str) -> float:
        delay = self._delays.get(action)
        if delay is None:
            return 0.0
        if delay.remaining is not None:
            delay.remaining -= 1
            if delay.remaining <= 0:
                del self._delays[action]
        return delay.seconds

    def as_json(self) -> dict[str, Any]:
        """Rules and delays in force."""
        return {
            "rules": {
                action: [
                    {"mode": r.mode.value, "remaining": r.remaining}
                    | ({"error_code": r.error_code} if r.mode is Mode.ERROR else {})
                    | ({"payload": r.payload} if r.mode is Mode.PAYLOAD else {})
                    for r in rules
                ]
                for action, rules in self._rules.items()
                if rules
            },
            "delays": {a: {"seconds": d.seconds, "remaining": d.remaining} for a, d in self._delays.items()},
        }


def _other_type(value: Any) -> Any:
    if isinstance(value, str):
        return 7
    if isinstance(value, dict):
        return "not an object"
    return {"not": "a scalar"}


def _wrong_types(payload: dict[str, Any]) -> Any:
    # An empty answer has no field to spoil, so the payload itself gets the wrong type.
    return {key: _other_type(value) for key, value in payload.items()} or "not an object"


def _text(message: list[Any]) -> str:
    return json.dumps(message, separators=(",", ":"))


_RENDER: dict[Mode, Callable[[str, dict[str, Any], Answer], list[str]]] = {
    Mode.NORMAL: lambda i, p, _: [_text([3, i, p])],
    Mode.IGNORE: lambda _i, _p, _a: [],
    Mode.DROP: lambda _i, _p, _a: [],
    Mode.ERROR: lambda i, _p, a: [_text([4, i, a.error_code, "answered with an error on command", {}])],
    Mode.WRONG_TYPE: lambda i, p, _: [_text([3, i, _wrong_types(p)])],
    Mode.WRONG_MESSAGE_TYPE: lambda i, p, _: [_text([7, i, p])],
    Mode.WRONG_ID: lambda i, p, _: [_text([3, "nobody-" + i[:29], p])],
    Mode.TWICE: lambda i, p, _: [_text([3, i, p])] * 2,
    Mode.MALFORMED: lambda i, p, _: [_text([3, i, p])[:-2]],
    Mode.PAYLOAD: lambda i, _p, a: [_text([3, i, a.payload])],
}


def render(message_id: str, payload: dict[str, Any], answer: Answer) -> list[str]:
    """The frames to send for this answer: none, one or two. ``payload`` is the correct payload."""
    return _RENDER[answer.mode](message_id, payload, answer)
