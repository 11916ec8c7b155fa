"""One charge point's connection, whatever the version: frames in and out, calls, answers, wrong answers on command.

What is booked and answered to each message stands in ``handlers`` (1.6) and ``v2`` (2.0.1 and 2.1). Each CALL has its
own task and its own ``try``, so that no message ends the connection or keeps another one waiting; answers go to whoever
asked; a call that is pending when the connection goes fails at once. Payloads stay as they are on the wire.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from .anomalies import AnomalyKind, Finding
from .behaviour import BOOKED, Answer, Mode, render
from .dialect import Dialect
from .frames import Direction, Frame
from .wire import FrameError, Incoming, MessageType, SchemaError, check_schema, parse

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from .server import Csms
    from .station import Station

LOGGER = logging.getLogger("simulators.csms")

DEFAULT_CALL_TIMEOUT_S = 30.0


class CallRefused(Exception):  # noqa: N818 (the charge point's answer, not a fault of this program)
    """The charge point answered with a CALLERROR."""

    def __init__(self, code: str, description: str, details: Any) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details


class Session:
    """One connection of one charge point. A version's class says what is answered: ``answer`` and ``invites``."""

    def __init__(
        self, station: Station, connection: ServerConnection, number: int, csms: Csms, dialect: Dialect
    ) -> None:
        self.id = station.id
        self.station = station
        self.number = number
        self.csms = csms
        self.dialect = dialect
        self.reading = asyncio.Event()
        self.reading.set()
        self._connection = connection
        self._pending: dict[str, tuple[str, asyncio.Future[Any]]] = {}
        self._timed_out: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spoilt: set[str] = set()
        """Calls that were answered wrongly on command: the charge point may well object."""

    # ---- what a version says ----

    def answer(self, message: Incoming, frame: Frame) -> dict[str, Any] | None:
        """Book a message that is valid by its schema; return the payload of the answer, None when it is not for us."""
        raise LookupError(f"{message.action} in frame {frame.number}: a version's class answers it")

    def refusal(self, action: str) -> tuple[str, str] | None:
        """Code and description of the CALLERROR for a message that may not come now; None when it may."""
        del action
        return None

    def invites(self, action: str, payload: dict[str, Any]) -> list[str]:
        """Actions that the charge point may take, before its boot is accepted, because of this call of ours."""
        if action in ("TriggerMessage", "ExtendedTriggerMessage"):
            return [str(payload.get("requestedMessage"))]
        return []

    def note(self, findings: list[Finding], frame: Frame, action: str) -> None:
        """Write down what was odd about a message."""
        for finding in findings:
            self.csms.note(finding.kind, finding.detail, self, frame, action)

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
            message = parse(raw_msg, self.dialect)
            if message.type in (MessageType.CALL, MessageType.SEND):
                findings = self.station.order.call(
                    message.message_id,
                    message.action,
                    message.body,
                    time.monotonic(),
                    answered=message.type is MessageType.CALL,
                )
                self.note(findings, frame, message.action)
                self.spawn(self._serve(message, frame))
            elif message.type is MessageType.CALL_RESULT_ERROR:
                self._take_objection(message, frame)
            else:
                await self._take_answer(message, frame)
        except FrameError as error:
            self.csms.note(AnomalyKind.MALFORMED_FRAME, str(error), self, frame)
            if error.message_id is not None:
                await self._send(_call_error(error.message_id, self.dialect.unreadable, str(error)))
        except RecursionError:
            self.csms.note(AnomalyKind.MALFORMED_FRAME, "nested too deeply", self, frame)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the reading; it ends with the connection at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Incoming, frame: Frame) -> None:
        """Answer one CALL, or take one SEND, as the behaviour of the moment says."""
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
        if message.type is MessageType.SEND:
            return
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if texts:
            self.station.order.answered(message.message_id)
        if answer.mode is not Mode.NORMAL:
            self._spoilt.add(message.message_id)
        for text in texts:
            await self._send(text)

    def _book(self, message: Incoming, frame: Frame, answer: Answer) -> list[str]:
        """Validate, book and build the answer. Raises ``SchemaError`` and whatever a handler raises."""
        action = message.action
        if not self.dialect.knows(action) or not self.offers(action):
            self.csms.note(AnomalyKind.UNKNOWN_ACTION, f"{action[:60]!r} is not for a CSMS", self, frame, action)
            # OCPP-J 1.6 section 4.2.3: known but not offered, or not known at all.
            code = "NotSupported" if self.dialect.knows(action) else "NotImplemented"
            return [_call_error(message.message_id, code, "")]
        check_schema(message.type, action, message.body, self.dialect)
        if answer.mode not in BOOKED:
            return render(message.message_id, {}, answer)
        refusal = self.refusal(action)
        if refusal is not None:
            return [_call_error(message.message_id, *refusal)]
        payload = self.answer(message, frame) or {}
        payload |= self.csms.extras.get(action, {})
        if answer.mode is Mode.NORMAL and message.type is MessageType.CALL and action not in self.csms.extras:
            check_schema(MessageType.CALL_RESULT, action, payload, self.dialect)
        return render(message.message_id, payload, answer)

    def offers(self, action: str) -> bool:
        """Tell whether this CSMS has an answer to such a message."""
        raise LookupError(f"{action}: a version's class knows it")

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
            for invited in self.invites(action, payload):
                self.station.order.trigger(invited)
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

    async def _take_answer(self, message: Incoming, frame: Frame) -> None:
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
        future.set_result(message.body)
        try:
            if self.dialect.knows(action):
                check_schema(MessageType.CALL_RESULT, action, message.body, self.dialect)
        except SchemaError as error:
            self.csms.note(AnomalyKind.SCHEMA_VIOLATION, f"answer: {error}", self, frame, action)
            if self.dialect.has_send:
                # OCPP 2.1 part 4 section 4.2.4: an answer that cannot be used is objected to.
                await self._send(_call_error(message.message_id, error.code, str(error), kind=5))

    def _take_objection(self, message: Incoming, frame: Frame) -> None:
        """The charge point says that our answer was wrong; it should only when we had been told to spoil it."""
        if message.message_id not in self._spoilt:
            code, description, _ = message.body
            self.csms.note(AnomalyKind.ANSWER_REFUSED, f"{code}: {str(description)[:120]}", self, frame)

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


def _call_error(message_id: str, code: str, description: str, kind: int = 4) -> str:
    return json.dumps([kind, message_id, code, description[:255], {}], separators=(",", ":"))
