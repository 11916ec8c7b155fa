"""Carries out what the update machine wants: transfers, checks, commands, restarts. One thing at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from agent.clock import Moment
from agent.config.schema import Config
from agent.files.address import AddressError, parse, shown
from agent.files.child import transfer
from agent.files.job import Job, TransferError, Work
from agent.files.notices import About, Keeper, NoticeLine
from agent.files.partial import discard
from agent.update.commands import result_of, run
from agent.update.health import Health
from agent.update.local_file import LOCAL, copy_in
from agent.update.machine import Facts, Machine, Phase, Rules
from agent.update.order import (
    Action,
    CallOff,
    Confirm,
    Discard,
    Download,
    FirmwareStatus,
    HoldBack,
    Install,
    Keep,
    Order,
    OrderAnswer,
    Report,
    RestartNow,
    RollBack,
    Tell,
    Verify,
)
from agent.update.verify import Question, Verdict

LOGGER = logging.getLogger(__name__)

TABLE = "firmware"
_KEY = "update"

VERIFY_S = 300.0
CERTIFICATE_S = 15.0
STEADY_S = 20.0
"""A new version must be well for so long before it stays; a third of ``update.health_s`` where that is less."""
LAST_WORDS_S = 5.0
"""What is to be told before a restart gets so long to go out."""

PLAIN_STATUSES = frozenset(
    {
        FirmwareStatus.DOWNLOADING,
        FirmwareStatus.DOWNLOADED,
        FirmwareStatus.DOWNLOAD_FAILED,
        FirmwareStatus.INSTALLING,
        FirmwareStatus.INSTALLED,
        FirmwareStatus.INSTALLATION_FAILED,
        FirmwareStatus.INSTALL_VERIFICATION_FAILED,
    }
)
"""Of an update without number the network is told these alone (OCPP 1.6 §7.25)."""


class Host(Protocol):
    """The agent, as an update sees it."""

    def moment(self) -> Moment: ...
    def busy(self) -> bool:
        """A transaction is open at some EVSE."""

    def healthy(self) -> bool:
        """Control answers and the network has accepted us, or there is none."""

    def health(self) -> Health:
        """What of it is well."""

    def new_sessions(self) -> bool:
        """Drivers may begin to charge while an installation waits for others to be done."""

    def hold_back(self, on: bool) -> None:
        """Take what is free, or becomes free, out of service; or back into it."""

    def restart(self) -> None: ...
    def security_event(self, event: str, info: str) -> None: ...
    def manufacturer_roots(self) -> Sequence[Path]: ...
    def network_roots(self) -> Sequence[Path]:
        """Roots that the network has installed for itself."""


class Updates:
    """Call from the thread of the event loop, ``start`` first."""

    def __init__(self, config: Config, keeper: Keeper, notices: NoticeLine, host: Host) -> None:
        self._config = config
        self._rules = config.update
        self._keeper = keeper
        self._notices = notices
        self._host = host
        health_s = self._rules.health_s
        rules = Rules(bool(self._rules.confirm), bool(self._rules.roll_back), health_s, min(STEADY_S, health_s / 3))
        self._machine = Machine(rules, keeper.kept(TABLE).get(_KEY))
        self._image = config.paths.state_dir / "update" / "image"
        self._work: asyncio.Task[None] | None = None
        self._discard_first = False
        self._timer: asyncio.TimerHandle | None = None
        self._looking = False
        self.progress: tuple[int, int | None] = (0, None)
        """Bytes that have come, and how many there are if that is known."""

    # ---- life ----

    def start(self) -> None:
        self._carry_out(self._machine.recovered(self._facts()))

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    def stirred(self) -> None:
        """Something may have changed at the EVSEs, with control or with the network. Cheap while nothing waits."""
        if self._machine.phase not in (Phase.WAITING, Phase.INSTALLING, Phase.PROVING) or self._looking:
            return
        self._looking = True
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        self._carry_out(self._machine.step(self._facts()))

    # ---- what the network asks ----

    @property
    def can_install(self) -> bool:
        return bool(self._rules.install)

    @property
    def restarts_machine(self) -> bool:
        return bool(self._rules.restart)

    @property
    def takes_unsigned(self) -> bool:
        return self._rules.unsigned

    @property
    def new_version(self) -> bool:
        """Asked before ``start``: this start is the one that an installation ended with."""
        confirmed_later = self._machine.phase is Phase.INSTALLING and bool(self._rules.confirm)
        return self._machine.phase is Phase.RESTARTING or confirmed_later

    @property
    def status(self) -> FirmwareStatus:
        return self._machine.status

    @property
    def request(self) -> int | None:
        """The network's number of what is going on."""
        return None if self._machine.order is None else self._machine.order.request

    @property
    def signed(self) -> bool:
        """What is going on is an update with a signature."""
        return self._machine.order is not None and self._machine.order.signed

    def address_problem(self, location: str) -> str:
        """Say why a location cannot be used; empty when it can."""
        try:
            parse(location, self._config.files.protocols)
        except AddressError as error:
            return str(error)
        return ""

    def defaults(self) -> tuple[int, float]:
        """Further tries, and seconds between them, when the network says nothing of it."""
        return self._config.files.retries, self._config.files.retry_interval_s

    def order(self, order: Order) -> OrderAnswer:
        answer, actions = self._machine.ordered(order, self._facts())
        LOGGER.info("update from %s: %s", shown(order.location), answer.value)
        self._carry_out(actions)
        return answer

    async def certificate_verdict(self, certificate: str) -> Verdict:
        """Look at a signing certificate. What is wrong with it goes into the security log."""
        verdict, text = await self._ask(self._question(certificate), CERTIFICATE_S)
        if verdict is not Verdict.GOOD:
            LOGGER.warning("update: signing certificate: %s", text)
            self._host.security_event("InvalidFirmwareSigningCertificate", text)
        return verdict

    # ---- actions ----

    def _facts(self) -> Facts:
        health = self._host.health()
        return Facts(
            self._host.moment(),
            self._host.busy(),
            not health.missing,
            health.online,
            health.offline_sane,
            self._host.new_sessions(),
        )

    def _carry_out(self, actions: Sequence[Action]) -> None:
        if actions:
            with self._durable():
                for action in actions:
                    if isinstance(action, Keep):
                        self._keeper.keep(TABLE, _KEY, action.document)
                    elif isinstance(action, Tell):
                        self._tell(action)
        for action in actions:
            self._perform(action)
        self._set_timer()

    @contextlib.contextmanager
    def _durable(self) -> Iterator[None]:
        try:
            with self._keeper.write():
                yield
        except Exception as error:  # noqa: BLE001 (a full disk is reported by the journal; the update goes on)
            LOGGER.error("update: its state could not be written: %s", error)

    def _tell(self, tell: Tell) -> None:
        LOGGER.info("update: %s", tell.status.value)
        numbered = tell.request is not None
        if numbered or tell.status in PLAIN_STATUSES:
            status = tell.status
            if not numbered and status is FirmwareStatus.INSTALL_VERIFICATION_FAILED:
                status = FirmwareStatus.INSTALLATION_FAILED
            self._notices.append(About.FIRMWARE, status.value, tell.request)

    def _perform(self, action: Action) -> None:
        match action:
            case Download(order):
                fetch = self._copy if order.location.startswith(LOCAL) else self._download
                self._begin(partial(fetch, order))
            case Verify(order):
                self._begin(partial(self._verify, order))
            case Install():
                self._begin(self._install)
            case Confirm():
                self._begin(self._confirm)
            case RollBack():
                self._begin(self._roll_back)
            case RestartNow():
                self._begin(self._restart)
            case CallOff():
                if self._work is not None:
                    self._work.cancel()
            case Discard():
                if self._work is None or self._work.done() or self._work is asyncio.current_task():
                    discard(self._image)
                else:
                    self._discard_first = True
            case HoldBack(on):
                self._host.hold_back(on)
            case Report(event, info):
                self._host.security_event(event, info)
            case Keep() | Tell():
                return

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        before = None if self._work is asyncio.current_task() else self._work
        self._work = asyncio.get_running_loop().create_task(self._after(before, work), name="update")

    async def _after(self, before: asyncio.Task[None] | None, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One thing at a time: what was called off must have let go of its files first."""
        if before is not None:
            await asyncio.wait([before])
        if self._discard_first:
            self._discard_first = False
            discard(self._image)
        await work()

    async def _copy(self, order: Order) -> None:
        """A technician's file instead of a download."""
        source = Path(order.location.removeprefix(LOCAL))
        most = self._rules.max_megabytes * 1024 * 1024
        problem = await asyncio.to_thread(copy_in, source, self._image, most, self._progressed)
        if problem:
            LOGGER.warning("update: %s", problem)
        self._carry_out(self._machine.download_ended(problem, True, self._facts()))

    async def _download(self, order: Order) -> None:
        files = self._config.files
        job = Job(
            Work.DOWNLOAD,
            order.location,
            str(self._image),
            files.protocols,
            self._rules.max_megabytes * 1024 * 1024,
            files.stall_timeout_s,
            ca_file=str(files.ca_file or ""),
            roots=tuple(map(str, self._host.network_roots())),
            loopback=files.loopback,
        )
        problem, final = "", False
        try:
            size = await transfer(job, files.longest_s, self._progressed)
            LOGGER.info("update: %d bytes have come", size)
        except TransferError as error:
            problem, final = str(error), error.trouble.final
            LOGGER.warning("update: %s", problem)
        self._carry_out(self._machine.download_ended(problem, final, self._facts()))

    def _progressed(self, done: int, total: int | None) -> None:
        self.progress = (done, total)

    async def _verify(self, order: Order) -> None:
        question = self._question(order.certificate, str(self._image), order.signature)
        verdict, text = await self._ask(question, VERIFY_S)
        if verdict is not Verdict.GOOD:
            LOGGER.warning("update: signature: %s", text)
        self._carry_out(self._machine.verified("" if verdict is Verdict.GOOD else text or verdict.value, self._facts()))

    async def _install(self) -> None:
        status = await self._command(self._rules.install)
        self._carry_out(self._machine.installed(result_of(status)))

    async def _confirm(self) -> None:
        running = not self._rules.confirm or await self._command(self._rules.confirm) == 0
        self._carry_out(self._machine.confirmed(running, self._facts()))

    async def _roll_back(self) -> None:
        status = await self._command(self._rules.roll_back)
        self._carry_out(self._machine.rolled_back(status == 0))

    async def _restart(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while len(self._notices) and self._host.healthy():  # noqa: ASYNC110 (the line has no event)
                    await asyncio.sleep(0.05)
        if self._rules.restart:
            await self._command(self._rules.restart)
        self._host.restart()

    async def _command(self, command: Sequence[str]) -> int | None:
        return await run(
            command, self._rules.timeout_s, file=str(self._image), state_dir=str(self._config.paths.state_dir)
        )

    # ---- checks ----

    def _question(self, certificate: str, file: str = "", signature: str = "") -> Question:
        moment = self._host.moment()
        roots = tuple(str(path) for path in self._host.manufacturer_roots())
        crl = "" if self._rules.crl_file is None else str(self._rules.crl_file)
        return Question(certificate, roots, moment.utc_s if moment.synced else None, crl, file, signature)

    async def _ask(self, question: Question, longest_s: float) -> tuple[Verdict, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.update.verify",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(longest_s):
                said, _ = await process.communicate(json.dumps(asdict(question)).encode("ascii") + b"\n")
            found = json.loads(said)
            return Verdict(found["verdict"]), str(found["text"])
        except (TimeoutError, ValueError, KeyError):
            return Verdict.INVALID_CERTIFICATE, "could not be checked in time"
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())

    # ---- time ----

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self._machine.next_wake(self._host.moment())
        if wake is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(wake, loop.time() + 0.01), self._look)
