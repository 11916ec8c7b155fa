"""The tunnel to the operator's network: connects, hands frames to and fro, and comes back for ever.

The version package of the sub-protocol that was agreed on does the talking (``agent.ocpp.session``); this is the I/O
around it: one task reads, one writes, one pings, one keeps the session's timers. When any of them ends, so does the
connection, and after a back-off the next one is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.clock import Clock
from agent.config.schema import Config
from agent.journal.events import SampledValue
from agent.ocpp.connection import (
    CLOSE_TIMEOUT_S,
    GOING_AWAY,
    ConnectError,
    abort,
    describe_close,
    keep_alive,
    open_connection,
    tls_context,
)
from agent.ocpp.link_settings import ATTEMPTS, MINIMUM, RANDOM, REPEATS, waits
from agent.ocpp.network_profile import NetworkProfile
from agent.ocpp.networks import Networks, Verdict
from agent.ocpp.ports import DataTransfer, JournalPort, StationPort, TransferAnswer, UplinkReport, UplinkState
from agent.ocpp.session import DeviceSource, FileSurroundings, SecuritySurroundings, Session, Surroundings, new_session
from agent.ocpp.trace import Trace
from agent.ocpp.uplink_status import UplinkStatus
from agent.security.events import CONNECTION_TROUBLES, SecurityEvent
from agent.security.security import Security
from agent.station.commands import StatusReport
from agent.station.settings import Settings
from agent.station.tokens import Token

LOGGER = logging.getLogger(__name__)

MAX_FRAMES_WAITING = 64
"""Unsent frames beyond which nothing more is read: a peer that floods us waits."""

NORMAL_CLOSURE = 1000

LEAVING = "the agent is leaving"
BY_COMMAND = "offline by command"
CHANGING = "connecting anew, in another way"

TRIAL_WAIT_S = 5.0
"""Longest wait between two tries of a way that is not proved yet, and between two looks whether a move may begin."""

LAST_ANSWER_S = 1.0
"""How long a connection that we close ourselves waits for the answer to the call that is open."""


class Tunnel:
    """Call everything from the thread of the event loop that runs ``run``."""

    def __init__(
        self,
        config: Config,
        journal: JournalPort,
        settings: Settings,
        station: StationPort,
        clock: Clock,
        security: Security | None = None,
        files: FileSurroundings | None = None,
        device: DeviceSource | None = None,
    ) -> None:
        """Without ``security`` nothing can be changed remotely, and there are no certificates but configured roots."""
        self._config = config
        self._station = station
        self._clock = clock
        self._security = security
        kept = None if security is None else security.folder / "networks.json"
        self._networks = Networks(config, kept, lambda: settings.integer(ATTEMPTS))
        self._way: NetworkProfile | None = None
        """How the present connection was made."""
        self._registered_by: tuple[str, str, str] | None = None
        """Address, identity and sub-protocol that the network was talked to by last."""
        self._proof_taken = self._anew = False
        self._surroundings = Surroundings(
            config,
            journal,
            settings,
            station,
            self._now,
            self._spawn,
            self._stirred,
            self._registered,
            None if security is None else SecuritySurroundings(security, self._networks, clock, self._connect_anew),
            files,
            device,
        )
        self.networks = self._networks
        self.trace = Trace(self._now)
        self._settings = settings
        self._sessions: dict[str, Session] = {}
        self._session: Session | None = None
        self._connection: ClientConnection | None = None
        self._wanted = True
        self._wake_up = asyncio.Event()
        """Cuts a back-off short."""
        self._frames_ready = asyncio.Event()
        self._frames_gone = asyncio.Event()
        self._received = asyncio.Event()
        self._timer_moved = asyncio.Event()
        self._ping_changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits = self._fresh_waits()
        self._end_reason = ""
        self._phase = UplinkState.DISCONNECTED if config.ocpp.url else UplinkState.NOT_CONFIGURED
        self._status = UplinkStatus(clock, self._phase, self._now)
        settings.on_change(self._setting_changed)
        if files is not None:
            files.notices.stirred = self._stirred
        if security is not None:
            security.on_event(self._security_event)

    # ---- what the agent asks ----

    async def run(self) -> None:
        """Keep the connection up until cancelled; then close it in good order, within a bound."""
        try:
            if self._security is not None:
                self._spawn(self._security.watch())
            if not self._networks.known:
                await asyncio.Event().wait()
            while True:
                try:
                    await self._one_connection()
                except Exception:
                    # No fault of ours or of the station's may leave a charge point without its network.
                    LOGGER.exception("the uplink failed in an unforeseen way and starts again")
                    await asyncio.sleep(next(self._waits))
        finally:
            for task in self._tasks:
                task.cancel()

    def set_online(self, wanted: bool) -> None:
        """False: drop the connection and stay away. True: connect now."""
        if wanted and self._wanted and self._session is not None:
            return
        self._wanted = wanted
        self._waits = self._fresh_waits()
        self._end_reason = BY_COMMAND if not wanted else ""
        self._wake_up.set()
        self._timer_moved.set()

    def report(self) -> UplinkReport:
        """How the uplink does."""
        self._note_state()
        report = self._status.report
        return replace(report, url=self._networks.settled().address) if self._networks.known else report

    def authorise(self, request: int, token: Token) -> None:
        """Ask the network about a token; the answer comes by ``StationPort.authorisation_answered``, never at once."""
        asyncio.get_running_loop().call_soon(self._authorise, request, token)

    def report_status(self, report: StatusReport) -> None:
        """Tell the network a status now; while it is not there nothing is kept, ``StationPort.statuses`` is asked."""
        if self._session is not None:
            self._session.report_status(report, self._now())
            self._stirred()

    def report_meter(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...]) -> None:
        """Tell the network values that belong to no transaction; lost while it is not there."""
        if self._session is not None:
            self._session.report_meter(evse, at_utc_s, samples, self._now())
            self._stirred()

    async def data_transfer(self, transfer: DataTransfer) -> TransferAnswer | None:
        """Send a vendor's message and wait for its answer; None when the network is not there or gives none."""
        answer: asyncio.Future[TransferAnswer | None] = asyncio.get_running_loop().create_future()

        def done(told: TransferAnswer | None) -> None:
            if not answer.done():
                answer.set_result(told)

        if self._session is None:
            return None
        self._session.data_transfer(transfer, done, self._now())
        self._stirred()
        return await answer

    def wake(self) -> None:
        """Something was appended to the journal."""
        if self._session is not None:
            self._session.journal_grew(self._now())
            self._stirred()

    # ---- one connection after the other ----

    async def _one_connection(self) -> None:
        self._wake_up.clear()
        if not self._wanted:
            self._phase = UplinkState.OFFLINE_BY_COMMAND
            self._note_state()
            await self._wake_up.wait()
            return
        self._phase = UplinkState.CONNECTING
        self._note_state()
        self._advance_trial()
        way = self._networks.current()
        try:
            connection = await self._interruptible(self._open(way))
        except ConnectError as error:
            self._could_not_connect(error)
        else:
            if connection is not None:
                self._way = way
                await self._serve(connection)
        self._phase = UplinkState.DISCONNECTED
        self._note_state()
        if self._wanted:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._next_wait()):
                    await self._wake_up.wait()

    async def _open(self, way: NetworkProfile) -> ClientConnection:
        utc_s = None if self._security is None else self._security.utc_s
        certificates = None if self._security is None else self._security.certificates
        tls = tls_context(way, certificates, utc_s, self._networks.tries) if way.secure else None
        return await open_connection(way, list(way.versions), self._config.ocpp.connect_timeout_s, tls, utc_s)

    def _could_not_connect(self, error: ConnectError) -> None:
        self._failed(str(error))
        self._networks.failed()
        if error.event is not None:
            self._record(error.event, str(error))
        if error.event is SecurityEvent.INVALID_SERVER_CERTIFICATE:
            self._record(SecurityEvent.CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE, str(error))

    def _next_wait(self) -> float:
        wait = next(self._waits)
        if self._networks.trial is None or self._networks.waiting:
            return wait
        wake = self._networks.begin_wake(self._now())
        return min(wait, TRIAL_WAIT_S, TRIAL_WAIT_S if wake is None else max(0.1, wake - self._now()))

    # ---- another way to the network, or another network ----

    def _advance_trial(self) -> None:
        settled = (lambda: True) if self._security is None else self._security.books_settled
        verdict = self._networks.advance(self._now(), settled)
        if verdict is not None:
            self._decided(verdict)

    def _registered(self) -> None:
        """A boot was accepted. Comes before anything else is told on this connection."""
        way = self._way
        if way is None:
            return
        if self._networks.accepted(way) and self._security is not None:
            self._security.forget_network_numbers()
        trial = self._networks.trial
        if trial is not None and trial.kind.needs_boot:
            self._take_proof(way)

    def _take_proof(self, way: NetworkProfile) -> None:
        verdict = self._networks.proved(way)
        if verdict is not None:
            self._decided(verdict)
            if verdict.kept:
                self._way = self._networks.settled()

    def _decided(self, verdict: Verdict) -> None:
        done = "is the rule now" if verdict.kept else "was given up"
        text = f"{verdict.kind.value} to {verdict.profile.address} {done}: {verdict.reason}"
        LOGGER.log(logging.INFO if verdict.kept else logging.WARNING, "uplink: %s", text)
        self._record(SecurityEvent.RECONFIGURATION, text)
        self._waits = self._fresh_waits()

    def _connect_anew(self) -> None:
        """Close the connection in good order and open the next, with whatever has changed."""
        self._anew = True
        self._timer_moved.set()

    def _security_event(self) -> None:
        if self._session is not None:
            self._session.advance(self._now())
            self._stirred()

    def _record(self, event: SecurityEvent, info: str) -> None:
        if self._security is not None:
            self._security.record(event, info)

    async def _interruptible(self, opening: Coroutine[Any, Any, ClientConnection]) -> ClientConnection | None:
        """Await the opening; give it up (None) when ``set_online`` is called meanwhile."""
        task = asyncio.ensure_future(opening)
        waker = asyncio.ensure_future(self._wake_up.wait())
        try:
            await asyncio.wait((task, waker), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            waker.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectError):
                    connection = await task
                    abort(connection)

    async def _serve(self, connection: ClientConnection) -> None:
        subprotocol = str(connection.subprotocol)
        if subprotocol not in self._sessions:
            self._sessions[subprotocol] = new_session(subprotocol, self._surroundings)
        session = self._sessions[subprotocol]
        assert self._way is not None
        network = (self._way.url, self._way.identity, subprotocol)
        if self._registered_by not in (None, network):
            # Another network, or the same in another version of OCPP: what was told before was told elsewhere.
            session.renew()
        self._take_timeout(self._way)
        self._registered_by = network
        self._session, self._connection = session, connection
        self._proof_taken = self._anew = False
        self._status.log("open", f"connected to the network by {subprotocol}")
        tasks: list[asyncio.Task[str]] = []
        reason = LEAVING
        try:
            session.connected(self._now())
            self._stirred()
            works = (
                self._read(connection, session),
                self._write(connection, session),
                self._keep_time(connection, session),
                self._watch(connection),
            )
            tasks = [asyncio.create_task(work) for work in works]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = next(iter(done)).result()
        except ConnectionClosed:
            reason = describe_close(connection)
        except Exception as error:
            LOGGER.exception("the connection is given up")
            reason = f"{type(error).__name__}: {error}"[:200]
        finally:
            # However this ends, cancelled at exit included, what is queued (the answer to a reset, say) goes out.
            await asyncio.shield(self._end(connection, session, tasks, reason))

    async def _end(
        self, connection: ClientConnection, session: Session, tasks: list[asyncio.Task[str]], reason: str
    ) -> None:
        if reason in (LEAVING, BY_COMMAND, CHANGING):
            # An answer that is on its way spares the network the same message a second time.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_ANSWER_S):
                    await self._last_answer(session)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                if not session.drop_reason:
                    while (frame := session.take_frame()) is not None:
                        await connection.send(frame)
                code = NORMAL_CLOSURE if not self._wanted else GOING_AWAY
                await connection.close(code)
        except (TimeoutError, ConnectionClosed, OSError):
            abort(connection)
        session.settle(self._now())
        self._session = self._connection = None
        if session.proved:
            self._waits = self._fresh_waits()
        elif reason not in (LEAVING, BY_COMMAND, CHANGING):
            self._networks.failed()
        if reason == CHANGING:
            self._wake_up.set()
        self._failed(reason)
        session.lost(self._now())

    async def _last_answer(self, session: Session) -> None:
        session.closing()
        while not session.calm:
            self._received.clear()
            await self._received.wait()

    # ---- the four tasks of a connection; each returns why it ended ----

    async def _read(self, connection: ClientConnection, session: Session) -> str:
        while True:
            data = await connection.recv()
            self.trace.received(data)
            session.receive(data, self._now())
            self._received.set()
            self._stirred()
            while session.frames_waiting > MAX_FRAMES_WAITING:
                self._frames_gone.clear()
                await self._frames_gone.wait()

    async def _write(self, connection: ClientConnection, session: Session) -> str:
        while True:
            frame = session.take_frame()
            if frame is None:
                self._frames_gone.set()
                self._frames_ready.clear()
                session.settle(self._now())
                if session.frames_waiting:
                    continue
                await self._frames_ready.wait()
                continue
            self.trace.sent(frame)
            await connection.send(frame)

    async def _keep_time(self, connection: ClientConnection, session: Session) -> str:
        while True:
            self._timer_moved.clear()
            session.advance(self._now())
            self._note_state()
            if session.frames_waiting:
                self._frames_ready.set()
            if session.drop_reason:
                abort(connection)
                return session.drop_reason
            if not self._wanted:
                return BY_COMMAND
            if self._must_change(session):
                return CHANGING
            wakes = [wake for wake in (session.next_wake(), self._trial_wake()) if wake is not None]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(wakes) - self._now()) if wakes else None):
                    await self._timer_moved.wait()

    def _must_change(self, session: Session) -> bool:
        """Take what this connection proves; tell whether it must be made anew."""
        assert self._way is not None
        if session.proved and not self._proof_taken:
            self._proof_taken = True
            self._take_proof(self._way)
            if self._security is not None:
                self._security.over(*CONNECTION_TROUBLES)
        self._advance_trial()
        return self._anew or self._way.route != self._networks.current().route

    def _trial_wake(self) -> float | None:
        wake = self._networks.begin_wake(self._now())
        return wake if wake is None or not self._networks.waiting else min(wake, self._now() + TRIAL_WAIT_S)

    async def _watch(self, connection: ClientConnection) -> str:
        def interval_s() -> int:
            return self._settings.integer("OCPPCommCtrlr.WebSocketPingInterval")

        reason = await keep_alive(connection, interval_s, self._config.ocpp.ping_timeout_s, self._ping_changed)
        abort(connection)
        return reason

    # ---- small things ----

    def _now(self) -> float:
        return self._clock.now().monotonic_s

    def _fresh_waits(self) -> Iterator[float]:
        return waits(self._config.ocpp, self._settings)

    def _take_timeout(self, way: NetworkProfile) -> None:
        """The time-out of calls that goes with the way (2.0.1 NetworkConnectionProfile.messageTimeout)."""
        name = "OCPPCommCtrlr.MessageTimeout"
        if way.message_timeout_s and way.message_timeout_s != self._settings.integer(name):
            self._station.set_setting(name, str(way.message_timeout_s))

    def _authorise(self, request: int, token: Token) -> None:
        if self._session is None:
            self._station.authorisation_answered(request, None)
            return
        self._session.authorise(request, token, self._now())
        self._stirred()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stirred(self) -> None:
        """Frames, timers or state of the session may have changed."""
        if self._session is not None and self._session.frames_waiting:
            self._frames_ready.set()
        self._timer_moved.set()

    def _setting_changed(self, name: str) -> None:
        if name == "OCPPCommCtrlr.WebSocketPingInterval":
            self._ping_changed.set()
        elif name in (MINIMUM, RANDOM, REPEATS):
            self._waits = self._fresh_waits()

    def _failed(self, why: str) -> None:
        by_command = bool(self._end_reason)
        self._status.ended(why, by_command=by_command, expected=by_command or why in (LEAVING, CHANGING))

    def _note_state(self) -> None:
        self._status.note(self._phase if self._session is None else self._session.state)
