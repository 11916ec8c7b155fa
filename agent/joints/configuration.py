"""Takes a new configuration: checked as a whole, written in one piece, tried, and taken back where it does not do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.clock import Clock
from agent.config import edit
from agent.config.history import ConfigFileError, Entry, History, candidate, digest, read_text, take, write_candidate
from agent.config.proving import Action, Ended, Facts, Keep, Proving, RestartControl, Restore, Trial
from agent.config.schema import Config
from agent.link.messages import StartAnew, ToControl
from agent.local.configuration import Ports, hidden
from agent.local.methods import Caller
from agent.local.rpc import RpcError

log = logging.getLogger(__name__)

TABLE, _KEY = "config", "trial"
CHECK_S = 120.0
"""A small machine needs a while to import what the check needs."""
MOST_FINDINGS = 40
MOST_SHOWN = 10
ANSWER_S = 0.3
"""Between the answer to whoever asked and the fresh start."""
AGAIN_S = 5.0

AGENT_ALONE = frozenset(("station", "ocpp", "authorisation", "journal", "files", "update", "local_api"))
"""Sections that control does not read."""


class RefusedError(Exception):
    """The configuration stays as it is. The text says why and what to do; ``findings``: each broken rule."""

    def __init__(self, text: str, findings: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a change is to be taken."""

    who: str
    note: str = ""
    within_s: float = 300.0
    in_session: bool = False
    dry: bool = False
    """Check only, and tell what would change."""


@dataclass(frozen=True, slots=True)
class Taken:
    number: int
    """In the history; 0 where nothing was written."""
    changes: tuple[edit.Change, ...]
    control: bool
    """Control starts anew as well."""


class Agent(Protocol):
    def status(self) -> Any: ...
    def busy(self) -> bool: ...
    def restart(self) -> None: ...
    def to_control(self, message: ToControl) -> bool: ...


class Keeper(Protocol):
    def keep(self, table: str, key: str, value: Any | None) -> None: ...
    def kept(self, table: str) -> dict[str, Any]: ...


class ConfigWork:
    """Call from the thread of the event loop, ``start`` first.

    ``path``: the file that the agent was started with. ``told`` hears of each change and roll-back, for the log of
    security events. ``is_secret(name)``: an option of this name is never shown.
    """

    def __init__(
        self,
        path: Path | None,
        config: Config,
        keeper: Keeper,
        clock: Clock,
        agent: Agent,
        told: Callable[[str], None],
        is_secret: Callable[[str], bool],
    ) -> None:
        self._path = None if path is None else path.absolute()
        self._keeper = keeper
        self._clock = clock
        self._agent = agent
        self._told = told
        self.is_secret = is_secret
        self.history = History(config.paths.state_dir / "config")
        self.proving = Proving()
        self._taking = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self.running = ""
        """The text that this process began with."""
        if self._path is not None:
            with contextlib.suppress(ConfigFileError):
                self.running = read_text(self._path)

    @property
    def path(self) -> Path:
        if self._path is None:
            raise RefusedError("the agent does not know its configuration file; start it with --config FILE")
        return self._path

    # ---- life ----

    def start(self) -> None:
        document = self._keeper.kept(TABLE).get(_KEY)
        self._carry_out(self.proving.recovered(document, digest(self.running), self._now()))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # ---- asked for ----

    def text(self) -> str:
        """Return the file as it is now. Raises RefusedError."""
        try:
            return read_text(self.path)
        except ConfigFileError as error:
            raise RefusedError(str(error)) from error

    def trial(self) -> tuple[Trial, float] | None:
        """Return what is on trial, and how long it may take yet."""
        trial = self.proving.trial
        return None if trial is None else (trial, self.proving.left_s(self._now()))

    async def check(self, text: str) -> list[str]:
        """Return every broken rule of a text. Raises RefusedError when it cannot be checked."""
        async with self._taking:
            try:
                return await self._check(text)
            finally:
                await asyncio.to_thread(self._forget_candidate)

    async def take(self, text: str, wish: Wish, *, over_trial: bool = False) -> Taken:
        """Take a text for the configuration. Raises RefusedError; the file is as it was then."""
        async with self._taking:
            try:
                return await self._take(text, wish, over_trial)
            except (ConfigFileError, edit.EditError) as error:
                raise RefusedError(str(error)) from error
            finally:
                await asyncio.to_thread(self._forget_candidate)

    async def _take(self, text: str, wish: Wish, over_trial: bool) -> Taken:
        if self.proving.trial is not None and not over_trial:
            raise RefusedError("the last change is on trial still; wait for its end, or take it back first")
        old = self.text()
        changes = await asyncio.to_thread(lambda: tuple(edit.changes(edit.leaves(old), edit.leaves(text))))
        moved = next((each.path for each in changes if each.path.split(".")[0] == "paths"), "")
        if moved:
            raise RefusedError(f"{moved} cannot be changed while the agent runs; stop it and change the file by hand")
        control = any(edit.parsed(each.path)[0] not in AGENT_ALONE for each in changes)
        if findings := await self._check(text):
            raise RefusedError("\n".join(["the configuration would not be good:", *findings[:MOST_SHOWN]]), findings)
        if text == old or wish.dry:
            return Taken(0, changes, control)
        self._object(control, wish)
        words = tuple(self._worded(each) for each in changes)
        entry = Entry(0, self._clock.now().utc_s, wish.who, wish.note, words, "" if changes else "kept")
        entry = await asyncio.to_thread(self.history.add, entry, old)
        if changes:
            facts = self._facts()
            trial = Trial(
                entry.number,
                digest(old),
                digest(text),
                wish.within_s,
                needs_uplink=facts.uplink and bool(edit.leaves(text).get("ocpp.url")),
                needs_control=bool(facts.control),
                control=facts.control if control else "",
                in_session=wish.in_session,
            )
            self._object(control, wish)  # the disk took its time; somebody may have come
            self._begin(trial)
        try:
            await asyncio.to_thread(take, self.path)
        except ConfigFileError:
            self.proving = Proving()
            self._keeper.keep(TABLE, _KEY, None)
            self.history.note(entry.number, "could not be written")
            raise
        log.warning("configuration: change %d by %s is taken: %s", entry.number, wish.who, ", ".join(words) or "text")
        if changes:
            self._told(f"configuration changed by {wish.who}: {', '.join(words)}")
            asyncio.get_running_loop().call_later(ANSWER_S, self._agent.restart)
        return Taken(entry.number, changes, control)

    def _object(self, control: bool, wish: Wish) -> None:
        facts = self._facts()
        if facts.in_session and not wish.in_session:
            raise RefusedError("a vehicle is charging; wait for its end, or confirm it with in_session")
        if control and not facts.idle:
            raise RefusedError(
                "the change concerns evse-control, which starts anew only while nothing is plugged in; unplug first"
            )

    def _begin(self, trial: Trial) -> None:
        """The document of a trial is durable before the file is replaced: without it nothing would go back."""
        actions = self.proving.begin(trial)
        try:
            for action in actions:
                if isinstance(action, Keep):
                    self._keeper.keep(TABLE, _KEY, action.document)
        except Exception as error:
            self.proving = Proving()
            raise RefusedError(f"the state of the change cannot be kept ({error}); see to the disk first") from error

    def _worded(self, change: edit.Change) -> str:
        before, after = (hidden(change.path, each, self.is_secret) for each in (change.before, change.after))
        return (
            f"{change.path}: {'(default)' if before is None else before} -> {'(default)' if after is None else after}"
        )

    # ---- the check, in a process of its own: drivers are imported, and the agent carries none ----

    async def _check(self, text: str) -> list[str]:
        try:
            place = await asyncio.to_thread(write_candidate, self.path, text)
        except ConfigFileError as error:
            raise RefusedError(str(error)) from error
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agent.cli", "check-config", str(place)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise RefusedError(f"the check cannot be started: {error}") from error
        try:
            async with asyncio.timeout(CHECK_S):
                _, said = await process.communicate()
        except TimeoutError:
            raise RefusedError(f"the check was not done after {CHECK_S:g} s; try again when less goes on") from None
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())
        if process.returncode == 0:
            return []
        lines = said.decode("utf-8", "replace").replace(str(place), self.path.name).splitlines()
        return lines[-MOST_FINDINGS:] or [f"the check ended with status {process.returncode}"]

    def _forget_candidate(self) -> None:
        with contextlib.suppress(OSError, RefusedError):
            candidate(self.path).unlink(missing_ok=True)

    # ---- the trial ----

    def _now(self) -> float:
        return self._clock.now().monotonic_s

    def _facts(self) -> Facts:
        status = self._agent.status()
        return Facts(
            status["uplink"]["state"] == "accepted",
            status["control"]["instance"],
            self._agent.busy(),
            all(evse["plugged"] is False and not evse["contactor_closed"] for evse in status["evses"]),
        )

    def _look(self) -> None:
        self._timer = None
        self._carry_out(self.proving.step(self._facts(), self._now()))

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Keep(document):
                    try:
                        self._keeper.keep(TABLE, _KEY, document)
                    except Exception as error:  # noqa: BLE001 (a full disk must not keep the old file from coming back)
                        log.error("configuration: the state of its trial could not be kept: %s", error)
                case Ended(number, kept, why):
                    self._ended(number, kept, why)
                case RestartControl():
                    self._agent.to_control(StartAnew())
                case Restore(number):
                    self._restore(number)
                    return
        wake = self.proving.wake()
        if wake is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.01, wake - self._now()), self._look)

    def _ended(self, number: int, kept: bool, why: str) -> None:
        self.history.note(number, ("kept" + (f": {why}" if why else "")) if kept else f"taken back: {why}")
        if kept:
            log.info("configuration: change %d is the rule now", number)
        else:
            log.warning("configuration: change %d was taken back: %s", number, why)
            self._told(f"configuration change {number} taken back: {why}")

    def _restore(self, number: int) -> None:
        """Put the old file back and leave. While the disk refuses, this is tried again and again."""
        try:
            write_candidate(self.path, self.history.text(number))
            take(self.path)
        except (ConfigFileError, RefusedError) as error:
            log.error("configuration: the file before change %d cannot be put back: %s", number, error)
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._restore, number)
            return
        log.warning("configuration: the file before change %d is back; leaving for a fresh start", number)
        self._agent.restart()


def ports(work: ConfigWork, audit: Callable[[Caller, str, str], None]) -> Ports:
    """Return what the local API's methods need. Refusals become its errors."""

    def told(ask: Callable[[], str]) -> str:
        try:
            return ask()
        except RefusedError as error:
            raise RpcError(str(error)) from error

    async def check(text: str) -> list[str]:
        try:
            return await work.check(text)
        except RefusedError as error:
            raise RpcError(str(error)) from error

    async def taken(
        text: str, who: str, note: str, within_s: float, in_session: bool, dry: bool, over_trial: bool
    ) -> tuple[int, tuple[edit.Change, ...], bool, list[str]]:
        try:
            done = await work.take(text, Wish(who, note, within_s, in_session, dry), over_trial=over_trial)
        except RefusedError as error:
            if dry and error.findings:
                return 0, (), False, list(error.findings)
            raise RpcError(str(error)) from error
        return done.number, done.changes, done.control, []

    return Ports(
        text=lambda: told(work.text),
        path=lambda: told(lambda: str(work.path)),
        running=lambda: work.running,
        check=check,
        take=taken,
        entries=lambda: work.history.entries(),
        old_text=lambda number: work.history.text(number),
        trial=work.trial,
        audit=audit,
        is_secret=work.is_secret,
    )
