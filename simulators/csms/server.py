"""The CSMS itself: listens, keeps the books of all charge points, and offers every control as a method."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from .anomalies import Anomaly, AnomalyKind
from .behaviour import Behaviour
from .charge_point import DEFAULT_CALL_TIMEOUT_S, CallRefused, Session
from .control import ControlServer
from .frames import Direction, Frame, FrameLog, read_frames, utc_text
from .handlers import CentralSystemSession
from .ledger import Ledger
from .order import DEFAULT_CALL_TIMEOUT_S as DEFAULT_ORDER_TIMEOUT_S
from .restore import restore
from .security import Access, Tls
from .station import BootPolicy, ReceivedCall, Station
from .tokens import TokenList
from .waiting import Waiting
from .wire import Incoming

__all__ = ["BootPolicy", "CallRefused", "Csms", "ReceivedCall", "Station"]

SUBPROTOCOL = Subprotocol("ocpp1.6")

HOST = "127.0.0.1"

MAX_FRAME_BYTES = 16 * 2**20

WEBSOCKET_LOGGER = logging.getLogger("simulators.csms.websocket")
# Clients that fail the handshake are part of the game; a traceback for each would bury what matters.
WEBSOCKET_LOGGER.setLevel(logging.CRITICAL)


class Csms:
    """An OCPP 1.6J CSMS on the loopback.

    ``port`` 0 takes a free one. With ``dir`` the frame log goes to ``dir/frames.jsonl`` (or to ``frames``) and the
    control socket is ``dir/csms.sock``. With ``resume`` an existing frame log is read first, and transactions and
    boots answered in it are known again. Used as ``async with Csms() as csms``.
    """

    def __init__(
        self,
        port: int = 0,
        dir: Path | str | None = None,  # noqa: A002 (the word of the command line)
        *,
        frames: Path | str | None = None,
        accept_unknown: bool = True,
        resume: bool = False,
        tls: Tls | None = None,
    ) -> None:
        self.access = Access()
        self.dir = None if dir is None else Path(dir)
        self.frames_path = Path(frames) if frames is not None else (self.dir / "frames.jsonl" if self.dir else None)
        self.tokens = TokenList(accept_unknown=accept_unknown)
        self.behaviour = Behaviour()
        self.books = Ledger()
        self.boot = BootPolicy()
        self.clock_offset_s = 0.0
        self.call_timeout_s = DEFAULT_ORDER_TIMEOUT_S
        self.data_transfer_vendors: set[str] = set()
        self.handshake_status: int | None = None
        self.agree_subprotocol = True
        self.calls: list[ReceivedCall] = []
        self.anomalies: list[Anomaly] = []
        self.stations: dict[str, Station] = {}
        self.stopped = asyncio.Event()
        self.log = FrameLog()
        self._port = port
        self._resume = resume
        self._connections = 0
        self._servers: list[Server] = []
        self._listening: Server | None = None
        self._tls = tls
        self._tls_port = 0
        self._secure: Server | None = None
        self._waiting = Waiting()
        self._control: ControlServer | None = None

    # ---- life ----

    async def __aenter__(self) -> Self:
        earlier: list[Frame] | None = None
        if self._resume and self.frames_path is not None:
            earlier = read_frames(self.frames_path) if self.frames_path.exists() else []
        if self.dir is not None:
            # First, so that a second CSMS in this folder leaves the first one's log alone.
            self._control = ControlServer(self, self.dir)
            await self._control.start()
        try:
            self.log = FrameLog(self.frames_path, earlier)
            restore(self, earlier or [])
            self._connections = max((frame.connection for frame in earlier or []), default=0)
            await self.listen()
        except BaseException:
            await self._close_everything()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close_everything()

    async def _close_everything(self) -> None:
        if self._control is not None:
            await self._control.stop()
        await self.stop_listening()
        await self.stop_listening_tls()
        for session in self._sessions():
            session.abort()
        for server in self._servers:
            await server.wait_closed()
        self.log.close()

    @property
    def port(self) -> int:
        """The port in use (the one asked for, until ``listen`` has taken one)."""
        return self._port

    @property
    def url(self) -> str:
        """What a charge point is configured with; it appends ``/`` and its id."""
        return f"{'ws' if self._tls is None else 'wss'}://{HOST}:{self._port}"

    @property
    def frames(self) -> list[Frame]:
        """Every frame so far."""
        return self.log.frames

    def now(self) -> datetime:
        """The time this CSMS believes in."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_offset_s)

    def now_text(self) -> str:
        """The same as OCPP text."""
        return utc_text(self.now())

    # ---- listening ----

    async def listen(self) -> None:
        """Take connections (again), on the same port as before."""
        if self._listening is not None:
            return
        self._listening = await self._serve(self._port, self._tls)
        self._port = next(iter(self._listening.sockets)).getsockname()[1]
        self._servers.append(self._listening)

    async def _serve(self, port: int, tls: Tls | None) -> Server:
        return await serve(
            self._connected,
            HOST,
            port,
            ssl=None if tls is None else tls.context(),
            subprotocols=None,
            select_subprotocol=self._select_subprotocol,
            process_request=self._process_request,
            compression=None,
            ping_interval=None,
            open_timeout=5,
            close_timeout=2,
            max_size=MAX_FRAME_BYTES,
            logger=WEBSOCKET_LOGGER,
        )

    async def listen_tls(self, tls: Tls) -> str:
        """Take connections with TLS too, on a port of their own; returns the address. Again: with other settings."""
        await self.stop_listening_tls()
        self._secure = await self._serve(self._tls_port, tls)
        self._tls_port = next(iter(self._secure.sockets)).getsockname()[1]
        self._servers.append(self._secure)
        return f"wss://{HOST}:{self._tls_port}"

    async def stop_listening_tls(self) -> None:
        """Refuse new connections with TLS."""
        if self._secure is not None:
            self._secure.server.close()
            self._secure.close(close_connections=False)
            self._secure = None

    async def stop_listening(self, *, keep_connections: bool = False) -> None:
        """Refuse new connections, and cut the present ones unless they are to be kept."""
        if self._listening is not None:
            # websockets closes in a task; a connection that slips in before it runs would be half taken.
            self._listening.server.close()
            self._listening.close(close_connections=False)
            self._listening = None
        if not keep_connections:
            await self.cut()

    async def cut(self) -> None:
        """Cut all connections with no closing frame, and wait until they are gone."""
        sessions = self._sessions()
        for session in sessions:
            session.abort()
        await self._waiting.until(lambda: not any(session in self._sessions() for session in sessions))

    async def restart(self, *, forget: bool = False) -> None:
        """Cut everything as a restarted CSMS does; with ``forget`` it has also lost its open transactions."""
        if forget:
            self.books.forget()
        await self.cut()

    def _select_subprotocol(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        del connection
        return SUBPROTOCOL if self.agree_subprotocol and SUBPROTOCOL in offered else None

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.handshake_status is not None:
            return connection.respond(http.HTTPStatus(self.handshake_status), "refused on command\n")
        if not _charge_point_id(request.path):
            return connection.respond(
                http.HTTPStatus.NOT_FOUND, "the last part of the path must be the charge point's id\n"
            )
        if self.access.objects(_charge_point_id(request.path), request):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "wrong password, or none\n")
        return None

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # the handshake is over
        path = connection.request.path
        station = self.station(_charge_point_id(path))
        self._connections += 1
        station.connections += 1
        self.access.note(station.id, connection)
        session = CentralSystemSession(station, connection, self._connections, self)
        opened = self.log.add(Direction.OPENED, session.number, station.id, path)
        if self.agree_subprotocol and connection.subprotocol is None:
            # OCPP-J 1.6 section 3.1.2: the client must offer it.
            self.note(AnomalyKind.NO_SUBPROTOCOL, f"{SUBPROTOCOL} was not offered", session, opened)
        station.order.call_timeout_s = self.call_timeout_s
        station.order.connected()
        station.sessions.append(session)
        self._waiting.wake()
        try:
            await session.start()
        finally:
            station.sessions.remove(session)
            self.log.add(
                Direction.CLOSED,
                session.number,
                station.id,
                f"{connection.close_code} {connection.close_reason or ''}".strip(),
            )
            self._waiting.wake()

    # ---- charge points ----

    def station(self, charge_point: str) -> Station:
        """The station of this id, made on first use."""
        return self.stations.setdefault(charge_point, Station(charge_point))

    def session(self, charge_point: str | None = None) -> Session:
        """The newest connection of a charge point; of the only one connected when no id is given.

        Raises ``ConnectionError`` when there is none, ``ValueError`` when an id is needed to choose.
        """
        if charge_point is None:
            ids = [station.id for station in self.stations.values() if station.sessions]
            if len(ids) > 1:
                raise ValueError(f"several charge points are connected ({', '.join(ids)}); say which: cp=ID")
            if not ids:
                raise ConnectionError("no charge point is connected")
            charge_point = ids[0]
        station = self.stations.get(charge_point)
        if station is None or not station.sessions:
            raise ConnectionError(f"charge point {charge_point!r} is not connected")
        return station.sessions[-1]

    def _sessions(self) -> list[Session]:
        return [session for station in self.stations.values() for session in station.sessions]

    async def call(
        self,
        charge_point: str | None,
        action: str,
        payload: dict[str, Any] | None = None,
        timeout_s: float = DEFAULT_CALL_TIMEOUT_S,
    ) -> Any:
        """Send a command in wire format, unchecked, and return the answer's payload.

        Raises ``CallRefused`` on a CALLERROR, ``TimeoutError``, ``ConnectionError``.
        """
        return await self.session(charge_point).call_raw(action, payload or {}, timeout_s)

    async def send_text(self, text: str, charge_point: str | None = None) -> None:
        """Send any text as one frame."""
        await self.session(charge_point).send_text(text)

    # ---- records ----

    def note(
        self, kind: AnomalyKind, detail: str, session: Session, frame: Frame | None = None, action: str = ""
    ) -> None:
        """Write an anomaly down."""
        number = 0 if frame is None else frame.number
        self.anomalies.append(Anomaly(kind, session.id, session.number, number, action[:60], detail))

    def arrived(self, session: Session, message: Incoming, frame: Frame) -> None:
        """A CALL has been taken in: tell whoever waits for it."""
        self.calls.append(
            ReceivedCall(
                session.id,
                session.number,
                message.message_id,
                message.action,
                message.body,
                frame.number,
                frame.wall_time,
            )
        )
        self._waiting.wake()

    def ledger(self) -> dict[str, Any]:
        """The books as plain JSON: transactions, totals, anomalies, and the state of each charge point."""
        books = self.books.as_json()
        books["anomalies"] = [anomaly.as_json() for anomaly in self.anomalies]
        books["charge_points"] = {
            station.id: {
                "connected": bool(station.sessions),
                "connections": station.connections,
                "boot_status": station.order.boot_status,
                "boot": station.boot,
                "statuses": {str(connector): status for connector, status in sorted(station.statuses.items())},
            }
            for station in self.stations.values()
        }
        books["totals"]["frames"] = len(self.log.frames)
        books["totals"]["calls"] = len(self.calls)
        books["totals"]["anomalies"] = len(self.anomalies)
        return books

    def state(self) -> dict[str, Any]:
        """The address and the rules in force."""
        return {
            "url": self.url,
            "listening": self._listening is not None,
            "connected": [station.id for station in self.stations.values() if station.sessions],
            "boot": {"status": self.boot.status, "interval_s": self.boot.interval_s},
            "clock_offset_s": self.clock_offset_s,
            "handshake_status": self.handshake_status,
            "agree_subprotocol": self.agree_subprotocol,
            "call_timeout_s": self.call_timeout_s,
            "frames_file": None if self.frames_path is None else str(self.frames_path),
            "behaviour": self.behaviour.as_json(),
            "tokens": self.tokens.as_json(),
        }

    def set_call_timeout(self, seconds: float) -> None:
        """How old an unanswered CALL must be before another one is no anomaly, for all charge points."""
        self.call_timeout_s = seconds
        for station in self.stations.values():
            station.order.call_timeout_s = seconds

    @staticmethod
    def is_http_error(status: int) -> bool:
        """Whether this is an HTTP status a handshake can be refused with."""
        return status in {entry.value for entry in http.HTTPStatus if entry.value >= 400}

    # ---- waiting ----

    async def wait_for(
        self,
        action: str,
        where: Mapping[str, Any] | Callable[[dict[str, Any]], bool] | None = None,
        *,
        count: int = 1,
        after: int = 0,
        charge_point: str | None = None,
        timeout_s: float = 10.0,
    ) -> list[ReceivedCall]:
        """Wait until ``count`` CALLs of this action have come, and return all that match.

        ``where`` is a predicate on the payload, or top-level fields with the values they must have. Only calls in
        frames numbered above ``after`` count (``csms.frames[-1].number`` is "from now on"). Raises
        ``TimeoutError`` that says how many came.
        """

        found: list[ReceivedCall] = []
        seen = 0

        def enough() -> bool:
            nonlocal seen
            found.extend(
                call
                for call in self.calls[seen:]
                if call.action == action
                and call.frame > after
                and charge_point in (None, call.charge_point)
                and _matches(call.payload, where)
            )
            seen = len(self.calls)
            return len(found) >= count

        try:
            await self._waiting.until(enough, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"waited {timeout_s:g} s for {count} {action}, got {len(found)}") from None
        return found

    async def wait_connected(self, charge_point: str | None = None, *, timeout_s: float = 10.0) -> str:
        """Wait until this (or any) charge point is connected; returns its id. Raises ``TimeoutError``."""

        def connected() -> list[str]:
            return [s.id for s in self.stations.values() if s.sessions and charge_point in (None, s.id)]

        await self._wait_link(connected, charge_point, "connect", timeout_s)
        return connected()[0]

    async def wait_disconnected(self, charge_point: str | None = None, *, timeout_s: float = 10.0) -> None:
        """Wait until this charge point (or every one) is disconnected. Raises ``TimeoutError``."""
        await self._wait_link(
            lambda: not [s for s in self._sessions() if charge_point in (None, s.id)],
            charge_point,
            "disconnect",
            timeout_s,
        )

    async def _wait_link(self, ready: Callable[[], Any], who: str | None, what: str, timeout_s: float) -> None:
        try:
            await self._waiting.until(lambda: bool(ready()), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"waited {timeout_s:g} s for {who or 'a charge point'} to {what}") from None


def _charge_point_id(path: str) -> str:
    return unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2])


def _matches(payload: dict[str, Any], where: Mapping[str, Any] | Callable[[dict[str, Any]], bool] | None) -> bool:
    if where is None:
        return True
    if callable(where):
        return where(payload)
    return all(payload.get(key) == value for key, value in where.items())
