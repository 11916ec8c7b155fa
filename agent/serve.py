"""Starts the agent process, and keeps a reachable face where it cannot start: local API up, the reason shown.

Without a permit control closes no contactor, so an agent that is not really there is safe. What is missing here is the
way to find out why from afar; so instead of dying again and again the process stays, says what is wrong, and goes on as
soon as it can: when the journal can be opened, or when the configuration is good again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent import __version__, config
from agent.config.schema import LocalApi, Paths
from agent.journal.errors import JournalError, JournalLockedError
from agent.journal.journal import Journal
from agent.local.roles import roles_of
from agent.local.rpc import RpcError
from agent.local.server import LocalApiError, LocalServer
from agent.local.status import StatusDocument
from agent.logs import configure
from agent.notify import notify, watchdog_period_s
from agent.slots.here import may_carry_back, slots_here
from agent.slots.preset import preset
from agent.station.documents import EvseDocument, ReasonDocument, moment

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 2

LOOK_AGAIN_S = 2.0
"""Between two tries of what was not possible."""
NOTIFY_S = 10.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the agent cannot do its work."""

    code: str
    text: str
    remedy: str


class Face:
    """The local API without an agent behind it. ``gone`` tells whether the trouble has gone."""

    def __init__(self, configuration: config.Config | None, trouble: Trouble, gone: Callable[[], bool]) -> None:
        self._config = configuration
        self._trouble = trouble
        self._gone = gone

    async def stay(self) -> bool:
        """Return True when the trouble has gone, False when a signal ends it. Raises LocalApiError."""
        path = self._config.api_path if self._config is not None else Paths().runtime_dir / "api.sock"
        groups = self._config.local_api if self._config is not None else LocalApi()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        server = LocalServer(path, self, roles=roles_of(groups))
        await server.start()
        feeding = asyncio.create_task(self._feed(), name="watchdog")
        notify("READY=1")
        notify(f"STATUS=cannot work: {self._trouble.text.splitlines()[0]}")
        try:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), LOOK_AGAIN_S)
                if not ended.is_set() and await asyncio.to_thread(self._gone):
                    return True
            return False
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await server.close()

    async def _feed(self) -> None:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(watchdog_period_s() or NOTIFY_S)

    def set_uplink(self, online: bool) -> None:
        _ = online
        raise RpcError(f"the agent cannot work: {self._trouble.text}; {self._trouble.remedy}")

    def status(self) -> StatusDocument:
        known, trouble = self._config, self._trouble
        reason = ReasonDocument(code=trouble.code, text=trouble.text, remedy=trouble.remedy)
        return {
            "station": {
                "identity": known.identity if known else "",
                "vendor": known.station.vendor if known else "",
                "model": known.station.model if known else "",
                "version": __version__,
            },
            "uplink": {
                "state": "disconnected",
                "url": known.ocpp.url if known else "",
                "since": None,
                "last_error": trouble.text,
                "queue": {"pending": 0, "oldest_at": None, "parked": 0},
            },
            "control": {"connected": False, "instance": ""},
            "clock": {"synced": False, "utc": moment(time.time()) or ""},
            "trouble": [reason],
            "evses": [_evse(evse.id, reason) for evse in known.evses] if known else [],
        }


def _evse(number: int, reason: ReasonDocument) -> EvseDocument:
    """Nothing is known of it, but why it does not charge."""
    return {
        "id": number,
        "state": "?",
        "status": "Faulted",
        "available": False,
        "plugged": None,
        "contactor_closed": None,
        "locked": None,
        "offered_a": 0.0,
        "limit_a": 0.0,
        "limited_by": "",
        "power_w": None,
        "energy_wh": None,
        "temperature_c": None,
        "transaction": None,
        "reasons": [reason],
        "faults": [],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """``evse-agent serve``: run the agent process alone, as a service manager does."""
    parser = argparse.ArgumentParser(prog="evse-agent serve", description=f"the agent process, {__version__}")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--stay", action="store_true", help="stay reachable with a configuration that is refused")
    options = parser.parse_args(arguments)
    # Someone at a terminal reads there what is wrong; a service manager restarts what ends.
    stay: bool = options.stay or "NOTIFY_SOCKET" in os.environ
    while True:
        status = _once(options.config, stay)
        if status is not None:
            return status


def _once(path: Path, stay: bool) -> int | None:
    """Run until the end. Return the exit status; None to begin anew, because what was wrong is well again."""
    from agent.app import App
    from agent.station.settings import SettingError

    try:
        configuration = config.load(path, drivers=False)  # the agent opens no device
        configuration = replace(configuration, update=preset(configuration.update, slots_here()))
    except config.ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _refused(path, str(error)) if stay else EXIT_CONFIG
    configure(configuration.logging.level, "evse-agent")

    async def run() -> int:
        for folder in (configuration.paths.state_dir, configuration.paths.runtime_dir):
            # A service manager makes these; by hand we do. What cannot be made is explained by who needs it.
            with contextlib.suppress(OSError):
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        return await App(configuration, path).run()

    try:
        return asyncio.run(run())
    except SettingError as error:
        log.critical("%s: ocpp.settings: %s", path, error)
        return _refused(path, f"{path}: ocpp.settings: {error}") if stay else EXIT_CONFIG
    except (JournalLockedError, LocalApiError) as error:
        log.critical("%s", error)
        return EXIT_FAILED
    except JournalError as error:
        log.critical("%s; no EVSE charges until then", error)
        text, _, remedy = str(error).rpartition(": ")
        trouble = Trouble("no_books", f"the journal cannot be opened: {text}", remedy)
        return _stay(Face(configuration, trouble, lambda: _opens(configuration)))


def _refused(path: Path, text: str) -> int | None:
    """Nobody charges by a configuration that nobody checked, nor by an older one: the fuse may be smaller now."""
    configure("info", "evse-agent")
    log.critical("configuration refused: %s", text)
    trouble = Trouble("configuration_refused", text, f"correct {path}; the agent reads it again by itself")
    return _stay(Face(None, trouble, lambda: _loads(path)))


def _stay(face: Face) -> int | None:
    try:
        gone = asyncio.run(face.stay())
    except LocalApiError as error:
        log.critical("%s", error)
        return EXIT_FAILED
    return None if gone else 0


def _opens(configuration: config.Config) -> bool:
    """The journal takes a commit."""
    try:
        journal = Journal.open(configuration.journal_path, "probe", from_newer=may_carry_back())
    except JournalError:
        return False
    try:
        journal.keep("journal", "probe", time.monotonic())
    except JournalError:
        return False
    finally:
        journal.close()
    return True


def _loads(path: Path) -> bool:
    try:
        config.load(path, drivers=False)
    except config.ConfigError:
        return False
    return True
