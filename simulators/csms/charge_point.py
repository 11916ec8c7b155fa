"""One charge point's connection, on ``ocpp``'s ChargePoint class with its traps taken out.

What the class does by itself and a test CSMS cannot live with, and what is done here instead:

- its loop ends on the first message it cannot digest -> every message has its own ``try``;
- it awaits each handler, so a call from within one waits for ever -> each CALL has its own task, answers are taken
  by the reader;
- it answers a CALLERROR to ``call`` with ``None`` -> ``CallRefused`` is raised;
- a call that is pending when the connection goes waits for its whole timeout -> it fails at once;
- it renames keys at every depth of a payload -> handlers get the payload as it was on the wire;
- it rewrites a payload while validating it -> ``wire.check_schema`` works on a copy.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

import ocpp.messages  # type: ignore[import-untyped]
from ocpp.charge_point import (  # type: ignore[import-untyped]
    camel_to_snake_case,
    remove_nones,
    serialize_as_dict,
    snake_to_camel_case,
)
from ocpp.v16 import ChargePoint  # type: ignore[import-untyped]
from ocpp.v16.enums import Action  # type: ignore[import-untyped]
from websockets.exceptions import ConnectionClosed

from .anomalies import AnomalyKind
from .behaviour import BOOKED, Answer, Mode, render
from .frames import Direction, Frame
from .wire import FrameError, Incoming, MessageType, SchemaError, check_schema, parse

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from .server import Csms
    from .station import Station

LOGGER = logging.getLogger("simulators.csms")

# Schemas are pure Python: a thread would only add latency to each message.
ocpp.messages.ASYNC_VALIDATION = False

KNOWN_ACTIONS = frozenset(str(action.value) for action in Action)

DEFAULT_CALL_TIMEOUT_S = 30.0


class CallRefused(Exception):  # noqa: N818 (the charge point's answer, not a fault of this program)
    """The charge point answered with a CALLERROR."""

    def __init__(self, code: str, description: str, details: Any) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details


class Session(ChargePoint):  # type: ignore[misc]
    """One connection of one charge point. Handlers come from ``handlers.Handlers``."""

    def __init__(self, station: Station, connection: ServerConnection, number: int, csms: Csms) -> None:
        super().__init__(station.id, connection, response_timeout=DEFAULT_CALL_TIMEOUT_S, logger=LOGGER)
        self.station = station
        self.number = number
        self.csms = csms
        self.reading = asyncio.Event()
        self.reading.set()
        self._pending: dict[str, tuple[str, asyncio.Future[Any]]] = {}
        self._timed_out: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- receiving ----

    async def start(self) -> None:
        """Read until the connection closes. Nothing a charge point sends ends this early."""
        try:
            while True:
                await self.reading.wait()
                try:
                    content = await self._connection.recv()
                except ConnectionClosed:
                    return
                frame = self.csms.log.add(Direction.RECEIVED, self.number, self.id, content)
                await self.route_message(content, frame)
        finally:
            self._connection_lost()

    async def route_message(self, raw_msg: str | bytes, frame: Frame) -> None:
        """Take one frame: a CALL gets a task, an answer goes to whoever waits for it."""
        try:
            if isinstance(raw_msg, bytes):
                raise FrameError("a binary frame; OCPP-J uses text")
            message = parse(raw_msg)
            if message.type is MessageType.CALL:
                for finding in self.station.order.call(
                    message.message_id, message.action, message.body, time.monotonic()
                ):
                    self.csms.note(finding.kind, finding.detail, self, frame, message.action)
                self._spawn(message, frame)
            else:
                self._take_answer(message, frame)
        except FrameError as error:
            self.csms.note(AnomalyKind.MALFORMED_FRAME, str(error), self, frame)
            if error.message_id is not None:
                await self._send(_call_error(error.message_id, "FormationViolation", str(error)))
        except RecursionError:
            self.csms.note(AnomalyKind.MALFORMED_FRAME, "nested too deeply", self, frame)

    def _spawn(self, message: Incoming, frame: Frame) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(message, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Incoming, frame: Frame) -> None:
        """Answer one CALL as the behaviour of the moment says."""
        answer = self.csms.behaviour.next(message.action)
        try:
            texts = self._book(message, frame, answer)
        except SchemaError as error:
            self.csms.note(AnomalyKind.SCHEMA_VIOLATION, str(error), self, frame, message.action)
            texts = [_call_error(message.message_id, error.code, str(error))]
        except Exception as error:  # a CSMS answers InternalError to what breaks it, and lives on
            LOGGER.exception("%s: %s broke the handler", self.id, message.action)
            texts = [_call_error(message.message_id, "InternalError", type(error).__name__)]
        self.csms.arrived(self, message, frame)
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if texts:
            self.station.order.answered(message.message_id)
        for text in texts:
            await self._send(text)

    def _book(self, message: Incoming, frame: Frame, answer: Answer) -> list[str]:
        """Validate, book and build the answer. Raises ``SchemaError`` and whatever a handler raises."""
        action = message.action
        handler = self.route_map.get(action, {}).get("_on_action")
        if handler is None:
            self.csms.note(AnomalyKind.UNKNOWN_ACTION, f"{action[:60]!r} is not for a CSMS", self, frame, action)
            # OCPP-J 1.6 section 4.2.3: known but not offered, or not known at all.
            code = "NotSupported" if action in KNOWN_ACTIONS else "NotImplemented"
            return [_call_error(message.message_id, code, "")]
        check_schema(MessageType.CALL, action, message.body)
        if answer.mode not in BOOKED:
            return render(message.message_id, {}, answer)
        result = handler(message.body, frame)
        payload = snake_to_camel_case(remove_nones(serialize_as_dict(result)))
        if answer.mode is Mode.NORMAL:
            check_schema(MessageType.CALL_RESULT, action, payload)
        return render(message.message_id, payload, answer)

    # ---- calling ----

    async def call_raw(self, action: str, payload: dict[str, Any], timeout_s: float = DEFAULT_CALL_TIMEOUT_S) -> Any:
        """Send a CALL with a payload in wire format, valid or not, and return the payload of the answer.

        Raises ``CallRefused`` on a CALLERROR, ``TimeoutError`` without an answer, ``ConnectionError`` when the
        connection goes first.
        """
        async with self.station.call_lock:
            message_id = str(uuid.uuid4())
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._pending[message_id] = (action, future)
            if action in ("TriggerMessage", "ExtendedTriggerMessage"):
                self.station.order.trigger(str(payload.get("requestedMessage")))
            try:
                sent = await self._send(json.dumps([2, message_id, action, payload], separators=(",", ":")))
                if not sent:
                    raise ConnectionError(f"{self.id} is not connected")
                async with asyncio.timeout(timeout_s):
                    return await future
            except TimeoutError:
                self._timed_out.add(message_id)
                raise TimeoutError(f"{self.id} did not answer {action} within {timeout_s:g} s") from None
            finally:
                self._pending.pop(message_id, None)

    async def call(
        self,
        payload: Any,
        suppress: bool = False,
        unique_id: str | None = None,
        skip_schema_validation: bool = False,
    ) -> Any:
        """Send one of ``ocpp.v16.call``'s dataclasses, return the matching one of ``ocpp.v16.call_result``.

        A CALLERROR raises ``CallRefused`` unless ``suppress``. The id is always a fresh one.
        """
        del unique_id
        action = type(payload).__name__
        wire = remove_nones(snake_to_camel_case(serialize_as_dict(payload)))
        if not skip_schema_validation:
            check_schema(MessageType.CALL, action, wire)
        try:
            answer = await self.call_raw(action, wire, self._response_timeout)
        except CallRefused:
            if suppress:
                return None
            raise
        return getattr(self._call_result, action)(**camel_to_snake_case(answer))

    def _take_answer(self, message: Incoming, frame: Frame) -> None:
        waiting = self._pending.get(message.message_id)
        if waiting is None or waiting[1].done():
            if message.message_id not in self._timed_out:
                self.csms.note(
                    AnomalyKind.ANSWER_TO_NOTHING, f"nobody asked with id {message.message_id[:40]!r}", self, frame
                )
            return
        action, future = waiting
        if message.type is MessageType.CALL_ERROR:
            code, description, details = message.body
            future.set_exception(CallRefused(code, str(description), details))
            return
        try:
            if action in KNOWN_ACTIONS:
                check_schema(MessageType.CALL_RESULT, action, message.body)
        except SchemaError as error:
            self.csms.note(AnomalyKind.SCHEMA_VIOLATION, f"answer: {error}", self, frame, action)
        future.set_result(message.body)

    # ---- sending and ending ----

    async def _send(self, message: str) -> bool:
        """Log, then send. Returns False, with nothing logged, when the connection is already gone."""
        if not self.is_open:
            return False
        self.csms.log.add(Direction.SENT, self.number, self.id, message)
        try:
            await self._connection.send(message)
        except ConnectionClosed:
            return False
        return True

    async def send_text(self, text: str) -> None:
        """Send any text as a frame. Raises ``ConnectionError`` when the connection is gone."""
        if not await self._send(text):
            raise ConnectionError(f"{self.id} is not connected")

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""
        return self._connection.close_code is None and self._connection.state.name == "OPEN"

    def stop_reading(self) -> None:
        """Leave everything the charge point sends in the sockets' buffers, as on a half-open link."""
        self.reading.clear()
        if not self._connection.transport.is_closing():
            self._connection.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again, from where it stopped."""
        if not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()
        self.reading.set()

    def abort(self) -> None:
        """Cut the TCP connection with no closing frame."""
        self.reading.set()
        self._connection.transport.abort()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code; 1006, which cannot be sent, means ``abort``."""
        if code == 1006:
            self.abort()
            return
        self.resume_reading()
        await self._connection.close(code, reason)

    def _connection_lost(self) -> None:
        for task in self._tasks:
            task.cancel()
        for action, future in self._pending.values():
            if not future.done():
                future.set_exception(ConnectionError(f"{self.id} disconnected before it answered {action}"))


def _call_error(message_id: str, code: str, description: str) -> str:
    return json.dumps([4, message_id, code, description[:255], {}], separators=(",", ":"))
