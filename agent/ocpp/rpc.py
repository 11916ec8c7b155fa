"""The RPC engine of OCPP-J, without I/O: frames and time go in, frames and events come out.

Rules it keeps, for every OCPP version (OCPP-J 1.6 §4; 2.0.1 part 4 §4):

- one CALL of ours is open at a time, while the peer's CALLs are answered all along;
- an answer counts only for the open CALL, by its id; late, doubled, unknown and malformed ones are counted;
- what cannot be read is answered with a CALLERROR when it holds an id, and only counted otherwise;
- nothing that comes in raises, nothing that comes in grows without bound.

Version packages give the schemas and the spelling of the error codes.
"""

from __future__ import annotations

import heapq
import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from agent.ocpp import frames
from agent.ocpp.frames import (
    FrameError,
    IncomingCall,
    IncomingError,
    IncomingResult,
    IncomingResultError,
    IncomingSend,
)
from agent.ocpp.quiet import QuietLog
from agent.ocpp.schema import Schemas, Violation

LOGGER = logging.getLogger(__name__)

MAX_QUEUED = 64
"""Calls that may wait to be sent. Transaction messages wait in the journal instead."""

MAX_OPEN_REQUESTS = 16
"""Requests of the peer that may be unanswered. OCPP allows it one."""

_REMEMBERED = 4

_UNREADABLE = frozenset(("binary", "too_long", "not_json", "not_array", "message_id"))
"""Kinds of frames that could not even be read for an id. (A broken answer is left alone.)"""


class Priority(IntEnum):
    """Which waiting call goes first."""

    BOOT = 0
    AUTHORISE = 1
    STATUS = 2
    TRANSACTION = 3


class Result(Enum):
    ANSWERED = "answered"
    REFUSED = "refused"
    """CALLERROR."""
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    """Never sent: its time was over before its turn came."""
    LOST = "lost"
    """The connection went first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of ours ended. ``late``: its time-out had been reported before."""

    result: Result
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Of the answer; empty when it was no object."""
    violation: Violation | None = None
    """What the answer's schema says against it. The reader decides whether what it needs is there."""
    code: str = ""
    description: str = ""
    late: bool = False
    took_s: float = field(default=0.0, compare=False)
    """From the question to this answer."""


@dataclass(slots=True, eq=False)
class Call:
    """A request of ours. ``done`` is called exactly once, and once more when a late answer is taken."""

    action: str
    payload: dict[str, Any]
    priority: Priority
    done: Callable[[Outcome, float], None]
    message_id: str = ""
    """One that is reused on each try; a fresh one when empty."""
    expires_at: float | None = None
    """Not worth sending after this time."""
    takes_late_answer: bool = False
    sent_at: float = 0.0
    """Set when it goes out, in monotonic seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A valid request of the peer, to be answered by ``Rpc.answer`` or ``Rpc.refuse``."""

    message_id: str
    action: str
    payload: dict[str, Any]
    connection: int


@dataclass(frozen=True, slots=True)
class ErrorCodes:
    """How one OCPP version spells the codes that versions spell differently."""

    format_violation: str
    occurrence_violation: str
    unreadable: str = ""
    """For what holds no message id to answer to (2.x: RpcFrameworkError, with the id "-1"). Empty: no answer."""
    unknown_type: str = ""
    """For a message type that is none (2.x). Empty: no answer."""
    while_rejected: str = ""
    """For requests while the registration is rejected (2.x: SecurityError, B03.FR.08). Empty: no answer."""
    result_error: bool = False
    """An answer that cannot be used is told so (2.1: CALLRESULTERROR)."""
    message_types: frozenset[int] = frames.OLD_TYPES

    def for_violation(self, keyword: str) -> str:
        """Return the code for a violated keyword of the schema."""
        if keyword == "required":
            return "ProtocolError"
        if keyword == "type":
            return "TypeConstraintViolation"
        if keyword == "additionalProperties":
            return self.format_violation
        if keyword in ("minItems", "maxItems"):
            return self.occurrence_violation
        return "PropertyConstraintViolation"


class InvalidPayloadError(ValueError):
    """A payload of our own that its schema refuses. A fault of the caller; nothing was queued."""


class Rpc:
    """One charge point's side of the conversation; lives on from connection to connection."""

    def __init__(
        self,
        schemas: Schemas,
        codes: ErrorCodes,
        offered: Collection[str],
        timeout_s: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """``offered`` are the actions that the peer may ask of us; ``timeout_s`` is asked as each call goes out."""
        self.counters: Counter[str] = Counter()
        self.unanswered = 0
        """Calls in a row that the peer left without any answer."""
        self.mute = False
        """Leave the peer's requests without an answer (OCPP 1.6 §4.2: registration rejected)."""
        self.closing = False
        """Send no further call; the connection is about to be closed. Reset by ``lost``."""
        self._schemas = schemas
        self._codes = codes
        self._offered = frozenset(offered)
        self._timeout_s = timeout_s
        self._new_id = new_id
        self._queue: list[tuple[int, int, Call]] = []
        self._order = 0
        self._open: Call | None = None
        self._deadline = 0.0
        self._expired: deque[Call] = deque(maxlen=_REMEMBERED)
        self._requests: dict[str, Request] = {}
        self._outbox: deque[str] = deque()
        self._connection = 0
        self._quiet = QuietLog(LOGGER)

    # ---- calls of ours ----

    def submit(self, call: Call) -> bool:
        """Queue a call. Return False when too many wait. Raises InvalidPayloadError."""
        violation = self._schemas.request(call.action, call.payload)
        if violation is not None:
            raise InvalidPayloadError(f"{call.action}: {violation}")
        # Whatever else waits in line must not keep a driver from being authorised.
        most = MAX_QUEUED if call.priority > Priority.AUTHORISE else 2 * MAX_QUEUED
        if len(self._queue) >= most:
            self.counters["queue_full"] += 1
            return False
        if not call.message_id:
            call.message_id = self._new_id()
        self._order += 1
        heapq.heappush(self._queue, (call.priority, self._order, call))
        return True

    @property
    def idle(self) -> bool:
        """No call is open or waiting."""
        return self._open is None and not self._queue

    @property
    def calm(self) -> bool:
        """No call is open."""
        return self._open is None

    def advance(self, now: float) -> None:
        """End what has run out of time, and send the next call when none is open."""
        if self._open is not None and now >= self._deadline:
            call, self._open = self._open, None
            self.counters["timed_out"] += 1
            self.unanswered += 1
            if call.takes_late_answer:
                self._expired.append(call)
            call.done(Outcome(Result.TIMED_OUT), now)
        while self._open is None and self._queue and not self.closing:
            call = heapq.heappop(self._queue)[2]
            if call.expires_at is not None and now >= call.expires_at:
                self.counters["expired"] += 1
                call.done(Outcome(Result.EXPIRED), now)
                continue
            self._open = call
            call.sent_at = now
            self._deadline = now + self._timeout_s()
            self._outbox.append(frames.call_text(call.message_id, call.action, call.payload))

    def next_wake(self) -> float | None:
        """When ``advance`` has something to do, in monotonic seconds."""
        return None if self._open is None else self._deadline

    def lost(self, now: float) -> None:
        """The connection is gone: end every call, forget every request and frame."""
        self._connection += 1
        self.unanswered = 0
        self.closing = False
        self._outbox.clear()
        self._requests.clear()
        self._expired.clear()
        calls = [] if self._open is None else [self._open]
        calls += [entry[2] for entry in sorted(self._queue, key=lambda entry: entry[:2])]
        self._open = None
        self._queue.clear()
        for call in calls:
            call.done(Outcome(Result.LOST), now)

    # ---- frames ----

    @property
    def frames_waiting(self) -> int:
        return len(self._outbox)

    def take_frame(self) -> str | None:
        """Return the next frame to send, or None."""
        return self._outbox.popleft() if self._outbox else None

    def receive(self, data: str | bytes, now: float) -> Request | None:
        """Take a frame. Answers go to their call's ``done``; a valid request of the peer is returned."""
        try:
            message = frames.parse(data, self._codes.message_types)
        except FrameError as error:
            self.counters[error.kind] += 1
            self._quiet.log(error.kind, now, f"the network sent a frame that cannot be read: {error}")
            self._refuse_frame(error)
            return None
        if isinstance(message, IncomingCall):
            return self._request(message, now)
        if isinstance(message, IncomingSend | IncomingResultError):
            kind = "sent_to_us" if isinstance(message, IncomingSend) else "answer_refused"
            self.counters[kind] += 1
            self._quiet.log(kind, now, f"nothing is done about {message!r}"[:300])
            return None
        self._answer(message, now)
        return None

    def _refuse_frame(self, error: FrameError) -> None:
        codes = self._codes
        if self.mute and not codes.while_rejected:
            return
        if error.kind == "message_type":
            if codes.unknown_type:
                self._outbox.append(frames.error_text(error.message_id or "-1", codes.unknown_type, str(error)))
        elif error.message_id:
            self._outbox.append(frames.error_text(error.message_id, codes.format_violation, str(error)))
        elif codes.unreadable and error.kind in _UNREADABLE:
            self._outbox.append(frames.error_text("-1", codes.unreadable, str(error)))

    def send(self, action: str, payload: dict[str, Any]) -> None:
        """Send what nobody answers (2.1), at once, also beside an open call. Raises InvalidPayloadError."""
        violation = self._schemas.message(action, payload)
        if violation is not None:
            raise InvalidPayloadError(f"{action}: {violation}")
        self._outbox.append(frames.send_text(self._new_id(), action, payload))

    # ---- requests of the peer ----

    def answer(self, request: Request, payload: dict[str, Any]) -> None:
        """Answer a request. Without effect when its connection is gone or it was answered before."""
        if not self._close(request):
            return
        violation = self._schemas.response(request.action, payload)
        if violation is not None:
            LOGGER.error("our answer to %s breaks its schema: %s", request.action, violation)
            self._outbox.append(frames.error_text(request.message_id, "InternalError", "the answer was not valid"))
            return
        self._outbox.append(frames.result_text(request.message_id, payload))

    def refuse(self, request: Request, code: str, description: str) -> None:
        """Answer a request with a CALLERROR."""
        if self._close(request):
            self._outbox.append(frames.error_text(request.message_id, code, description))

    def _close(self, request: Request) -> bool:
        if self._requests.get(request.message_id) is not request or request.connection != self._connection:
            return False
        del self._requests[request.message_id]
        return True

    def _request(self, message: IncomingCall, now: float) -> Request | None:
        if self.mute:
            self.counters["unheard"] += 1
            if self._codes.while_rejected:
                text = "the registration is rejected; nothing is done before the next BootNotification"
                self._outbox.append(frames.error_text(message.message_id, self._codes.while_rejected, text))
            return None
        if message.message_id in self._requests:
            self.counters["doubled_request"] += 1
            return None
        code, why = self._objection(message)
        if code:
            self.counters["refused_request"] += 1
            self._quiet.log("refused_request", now, f"refused a request of the network: {code}: {why}")
            self._outbox.append(frames.error_text(message.message_id, code, why))
            return None
        request = Request(message.message_id, message.action, message.payload, self._connection)
        self._requests[message.message_id] = request
        return request

    def _objection(self, message: IncomingCall) -> tuple[str, str]:
        if not self._schemas.knows(message.action):
            return "NotImplemented", f"{message.action[:50]!r} is no action of this OCPP version"
        if message.action not in self._offered:
            return "NotSupported", f"{message.action} is not offered by this charge point"
        violation = self._schemas.request(message.action, message.payload)
        if violation is not None:
            return self._codes.for_violation(violation.keyword), f"{message.action}: {violation}"
        if len(self._requests) >= MAX_OPEN_REQUESTS:
            return "GenericError", "too many requests are open; wait for an answer before the next"
        return "", ""

    # ---- answers of the peer ----

    def _answer(self, message: IncomingResult | IncomingError, now: float) -> None:
        call, late = self._open, False
        if call is None or call.message_id != message.message_id:
            call, late = next((c for c in self._expired if c.message_id == message.message_id), None), True
        if call is None:
            self.counters["answer_to_nothing"] += 1
            self._quiet.log("answer_to_nothing", now, "the network answered what was not asked (any more)")
            return
        self.unanswered = 0
        if late:
            self.counters["late_answer"] += 1
        else:
            self._open = None
        # A message id may have been tried several times; one answer settles them all.
        for earlier in [c for c in self._expired if c.message_id == call.message_id]:
            self._expired.remove(earlier)
        call.done(self._outcome(call, message, late, now), now)

    def _outcome(self, call: Call, message: IncomingResult | IncomingError, late: bool, now: float) -> Outcome:
        if isinstance(message, IncomingError):
            self.counters["call_error"] += 1
            text = f"the network refused {call.action}: {message.code!r}: {message.description!r}"
            self._quiet.log("call_error", now, text)
            took_s = now - call.sent_at
            return Outcome(Result.REFUSED, code=message.code, description=message.description, late=late, took_s=took_s)
        violation = self._schemas.response(call.action, message.payload)
        if violation is not None:
            self.counters["invalid_answer"] += 1
            self._quiet.log("invalid_answer", now, f"the network's answer to {call.action} is not valid: {violation}")
            if self._codes.result_error:
                code = self._codes.for_violation(violation.keyword)
                self._outbox.append(frames.result_error_text(message.message_id, code, str(violation)))
        payload = message.payload if isinstance(message.payload, dict) else {}
        return Outcome(Result.ANSWERED, payload, violation, late=late, took_s=now - call.sent_at)
