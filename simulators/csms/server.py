"""The CSMS itself: listens, keeps the books of all charge points, and offers every control as a method."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from simulators.pki import Authority
from simulators.pki import root as new_root

from .anomalies import Anomaly, AnomalyKind
from .behaviour import Behaviour
from .charge_point import DEFAULT_CALL_TIMEOUT_S, CallRefused, Session
from .control import ControlServer
from .dialect import DEFAULT_VERSIONS, DIALECTS, read_versions
from .frames import Direction, Frame, FrameLog, read_frames, utc_text
from .handlers import CentralSystemSession
from .ledger import Ledger
from .order import DEFAULT_CALL_TIMEOUT_S as DEFAULT_ORDER_TIMEOUT_S
from .restore import restore
from .security import Access, Tls
from .station import BootPolicy, ReceivedCall, Station
from .tokens import TokenList
from .v2 import SessionV2
from .waits import Waits
from .wire import Incoming

__all__ = ["BootPolicy", "CallRefused", "Csms", "ReceivedCall", "Station"]

HOST = "127.0.0.1"

MAX_FRAME_BYTES = 16 * 2**20

WEBSOCKET_LOGGER = logging.getLogger("simulators.csms.websocket")
# Clients that fail the handshake are part of the game; a traceback for each would bury what matters.
WEBSOCKET_LOGGER.setLevel(logging.CRITICAL)


class Csms(Waits):
    """A CSMS on the loopback.

    ``versions`` are the sub-protocols it speaks, most wanted first; each charge point gets the first that it offers.
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
        versions: Sequence[str] = DEFAULT_VERSIONS,
    ) -> None:
        super().__init__()
        self.versions = read_versions(",".join(versions))
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
        self.extras: dict[str, dict[str, Any]] = {}
        """Fields added to the answers of an action, unchecked."""
        self.authority: Authority | None = None
        """Signs what charge points want signed; None: their requests are accepted, and nothing follows."""
        self.handshake_status: int | None = None
        self.agree_subprotocol = True
        self.anomalies: list[Anomaly] = []
        self.stopped = asyncio.Event()
        self.log = FrameLog()
        self._port = port
        self._resume = resume
        self._connections = 0
        self._numbers = 0
        self._servers: list[Server] = []
        self._listening: Server | None = None
        self._tls = tls
        self._tls_port = 0
        self._secure: Server | None = None
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
        if not self.agree_subprotocol:
            return None
        # RFC 6455 section 4.2.2: the choice is the server's, among what the client offered.
        return next((DIALECTS[name].subprotocol for name in self.versions if name in offered), None)

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
        dialect = DIALECTS[str(connection.subprotocol or self.versions[0])]
        session: Session = (SessionV2 if dialect.is_2 else CentralSystemSession)(
            station, connection, self._connections, self, dialect
        )
        opened = self.log.add(
            Direction.OPENED, session.number, station.id, path, subprotocol=connection.subprotocol or ""
        )
        if self.agree_subprotocol and connection.subprotocol is None:
            # OCPP-J 1.6 section 3.1.2: the client must offer it.
            self.note(AnomalyKind.NO_SUBPROTOCOL, f"{', '.join(self.versions)} was not offered", session, opened)
        station.order.call_timeout_s = self.call_timeout_s
        station.order.connected(str(dialect.subprotocol))
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

    def take_number(self) -> int:
        """A fresh number for a request, a remote start or a profile."""
        self._numbers += 1
        return self._numbers

    def sign_certificates(self, *, wanted: bool) -> str | None:
        """Become a certificate authority; returns the root (PEM). Or cease to be one."""
        if not wanted:
            self.authority = None
            return None
        self.authority = self.authority or new_root("CSMS")
        return self.authority.pem

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
                "subprotocol": str(station.sessions[-1].dialect.subprotocol) if station.sessions else None,
                "statuses": dict(sorted(station.statuses.items())),
                "collected": station.collected.as_json(),
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
            "versions": list(self.versions),
            "agree_subprotocol": self.agree_subprotocol,
            "call_timeout_s": self.call_timeout_s,
            "frames_file": None if self.frames_path is None else str(self.frames_path),
            "behaviour": self.behaviour.as_json(),
            "extras": {action: dict(fields) for action, fields in self.extras.items()},
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


def _charge_point_id(path: str) -> str:
    return unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2])
