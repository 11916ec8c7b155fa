"""A plain CSMS for OCPP 2.0.1 and 2.1: it listens on the loopback, answers by defaults that a test may replace, and
keeps every message. Each frame that comes is checked by the schema of its version, and each transaction by its books;
what is wrong stands in ``problems``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import logging
import ssl as tls
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft6Validator
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.tc201.books201 import Books201

HOST = "127.0.0.1"
TIMEOUT_S = 10.0

FOLDERS = {"ocpp2.0.1": "v201", "ocpp2.1": "v21"}

CALL, RESULT, ERROR, RESULT_ERROR, SEND = 2, 3, 4, 5, 6

logging.getLogger("tests.csms201").setLevel(logging.CRITICAL)

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer by CALLERROR."""

    code: str = "InternalError"
    description: str = "as the test wants it"


class Silence:
    """No answer at all."""


SILENCE = Silence()

Reply = Payload | Refusal | Silence
Answer = Reply | Callable[[Payload], Any]
"""A reply, or what gives one for a request (may be a coroutine function)."""


class CallRefused(Exception):  # noqa: N818 (as the CSMS of the other rig has it)
    """The charge point answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description = code, description


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of the charge point: a CALL, or a SEND. ``number`` counts over everything that went either way."""

    number: int
    action: str
    payload: Payload
    message_id: str
    connection: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it went over the wire."""

    number: int
    ours: bool
    text: str


@dataclass(slots=True)
class _Open:
    action: str
    answer: asyncio.Future[Payload] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


def utc_text(at_s: float | None = None) -> str:
    moment = datetime.now(UTC) if at_s is None else datetime.fromtimestamp(at_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _validator(folder: str, name: str) -> Draft6Validator:
    place = importlib.util.find_spec("ocpp").submodule_search_locations[0]
    text = (Path(place) / folder / "schemas" / f"{name}.json").read_text(encoding="utf-8-sig")
    return Draft6Validator(json.loads(text))


def violation(version: str, name: str, payload: Any) -> str:
    """What a schema (``BootNotificationRequest``, …) says against a payload; empty for nothing."""
    try:
        validator = _validator(FOLDERS[version], name)
    except OSError:
        return f"{name}: {version} has no such message"
    for error in validator.iter_errors(payload):
        return f"{name}: {error.json_path}: {error.message[:300]}"
    return ""


class Csms201:
    """Use as ``async with Csms201() as csms``. ``versions``: sub-protocols it speaks, the most wanted first."""

    def __init__(self, *versions: str, port: int = 0, context: tls.SSLContext | None = None) -> None:
        self.versions = versions or ("ocpp2.0.1",)
        self.frames: list[Frame] = []
        self.seen: list[Seen] = []
        self.problems: list[str] = []
        self.books = Books201(self.problems.append)
        self.tokens: dict[str, Payload] = {}
        """idTokenInfo by idToken; others are accepted."""
        self.interval_s = 300
        self.boot_status = "Accepted"
        self.answers: dict[str, Answer] = {}
        """By action, in the place of the default."""
        self.connections = 0
        self.headers: list[dict[str, str]] = []
        """Of each opening handshake."""
        self.version = ""
        """Agreed on the latest connection."""
        self.gate: Callable[[ServerConnection, Request], Response | None] | None = None
        """Looks at each opening handshake; what it returns is answered in the place of the upgrade."""
        self.peers: list[dict[str, Any] | None] = []
        """Certificate of the charging station on each connection, as ``ssl.SSLSocket.getpeercert`` has it."""
        self._port = port
        self._context = context
        self._server: Server | None = None
        self._connection: ServerConnection | None = None
        self._calls: dict[str, _Open] = {}
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Csms201:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_listening()

    # ---- life ----

    @property
    def url(self) -> str:
        return f"{'wss' if self._context else 'ws'}://{HOST}:{self._port}/ocpp"

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def listen(self) -> None:
        if self._server is None:
            self._server = await serve(
                self._serve,
                HOST,
                self._port,
                subprotocols=[Subprotocol(version) for version in self.versions],
                ping_interval=None,
                compression=None,
                close_timeout=1,
                max_size=2**22,
                ssl=self._context,
                process_request=lambda connection, request: self.gate(connection, request) if self.gate else None,
                logger=logging.getLogger("tests.csms201"),
            )
            self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop_listening(self) -> None:
        """The network goes away, with no good-bye."""
        server, self._server = self._server, None
        await self.drop()
        if server is not None:
            server.close()
            await server.wait_closed()

    async def drop(self) -> None:
        """Cut the present connection."""
        connection = self._connection
        if connection is not None:
            connection.transport.abort()
            await connection.wait_closed()
            await self.wait(lambda: self._connection is not connection)

    async def _serve(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.connections += 1
        assert connection.request is not None
        self.headers.append({name.casefold(): text for name, text in connection.request.headers.raw_items()})
        self.version = str(connection.subprotocol)
        tls_object = connection.transport.get_extra_info("ssl_object")
        self.peers.append(None if tls_object is None else tls_object.getpeercert())
        tasks: set[asyncio.Task[None]] = set()
        self._changed.set()
        try:
            async for text in connection:
                task = self._received(str(text), connection, self.connections)
                if task is not None:
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        except ConnectionClosed:
            pass
        finally:
            for task in tasks:
                task.cancel()
            if self._connection is connection:
                self._connection = None
            for call in self._calls.values():
                if not call.answer.done():
                    call.answer.set_exception(ConnectionError("the connection went before the answer came"))
            self._calls.clear()
            self._changed.set()

    # ---- what comes ----

    def _received(self, text: str, connection: ServerConnection, number: int) -> asyncio.Task[None] | None:
        self._note(text, ours=False)
        message = json.loads(text)
        kind, message_id = message[0], message[1]
        if kind in (CALL, SEND):
            action, payload = message[2], message[3]
            self._check(f"{action}{'Request' if kind == CALL else ''}", payload)
            self.seen.append(Seen(len(self.frames), action, payload, message_id, number))
            self._changed.set()
            return asyncio.ensure_future(self._reply(connection, message_id, action, payload)) if kind == CALL else None
        call = self._calls.pop(message_id, None)
        if call is None or call.answer.done():
            self.problems.append(f"an answer to nothing: {text[:200]}")
        elif kind == RESULT:
            self._check(f"{call.action}Response", message[2])
            call.answer.set_result(message[2])
        elif kind == ERROR:
            call.answer.set_exception(CallRefused(message[2], message[3]))
        else:
            self.problems.append(f"a message of a strange kind: {text[:200]}")
        return None

    async def _reply(self, connection: ServerConnection, message_id: str, action: str, payload: Payload) -> None:
        answer = self.answers.get(action) or self.default(action, payload)
        reply = answer(payload) if callable(answer) else answer
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, Silence):
            return
        if action == "TransactionEvent" and not isinstance(reply, Refusal):
            self.books.take(payload)
        if isinstance(reply, Refusal):
            frame: list[Any] = [ERROR, message_id, reply.code, reply.description, {}]
        else:
            self._check(f"{action}Response", reply)
            frame = [RESULT, message_id, reply]
        await self._send(frame, connection)

    def default(self, action: str, payload: Payload) -> Payload:
        """What is answered where the test says nothing else."""
        match action:
            case "BootNotification":
                return {"currentTime": utc_text(), "interval": self.interval_s, "status": self.boot_status}
            case "Heartbeat":
                return {"currentTime": utc_text()}
            case "Authorize":
                return {"idTokenInfo": self.token_info(payload["idToken"])}
            case "TransactionEvent":
                return {"idTokenInfo": self.token_info(payload["idToken"])} if "idToken" in payload else {}
            case "DataTransfer" | "SignCertificate" | "NotifyEVChargingNeeds" | "NotifyEVChargingSchedule":
                return {"status": "Accepted"}
            case "GetCertificateStatus":
                return {"status": "Failed"}
            case _:
                return {}

    def token_info(self, id_token: Payload) -> Payload:
        return self.tokens.get(id_token["idToken"], {"status": "Accepted"})

    # ---- what goes ----

    async def call(self, action: str, payload: Payload | None = None, *, check: bool = True) -> Payload:
        """Send a request and return the answer's payload. Raises CallRefused; TimeoutError after ten seconds.

        ``check`` False: the request may break its schema.
        """
        payload = payload or {}
        if check and (wrong := violation(self.version, f"{action}Request", payload)):
            raise AssertionError(f"the test's own request: {wrong}")
        message_id = str(uuid.uuid4())
        call = self._calls[message_id] = _Open(action)
        try:
            await self._send([CALL, message_id, action, payload])
            async with asyncio.timeout(TIMEOUT_S):
                return await call.answer
        finally:
            self._calls.pop(message_id, None)

    async def send(self, frame: list[Any] | str) -> None:
        """Send any frame at all."""
        await self._send(frame)

    async def _send(self, frame: list[Any] | str, connection: ServerConnection | None = None) -> None:
        connection = connection or self._connection
        if connection is None:
            raise ConnectionError("the charge point is not connected")
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self._note(text, ours=True)
        await connection.send(text)

    # ---- what is kept ----

    def _note(self, text: str, *, ours: bool) -> None:
        self.frames.append(Frame(len(self.frames) + 1, ours, text))

    def _check(self, name: str, payload: Any) -> None:
        wrong = violation(self.version, name, payload)
        if wrong:
            self.problems.append(wrong)

    @property
    def now(self) -> int:
        """Number of the latest frame."""
        return len(self.frames)

    async def wait(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
        """Wait until something that comes makes this true; return what it gives."""
        async with asyncio.timeout(timeout_s):
            while not (found := condition()):
                self._changed.clear()
                await self._changed.wait()
        return found

    def sent(self, action: str, after: int = 0) -> list[Seen]:
        """Everything of this kind so far."""
        return [seen for seen in self.seen if seen.action == action and seen.number > after]
