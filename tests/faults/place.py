"""A charger in its world, as the attacks' drivers meet it: on the quick stand-in, or on the lab with real control."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulators.csms import CallRefused, Csms, asking
from simulators.lab import hardware as simulated
from simulators.lab.configuration import write_configuration
from simulators.lab.process import Lab
from simulators.lab.settings import LabSettings
from tests.faults.oracle import Charge, Deed, Hardware, Verdict, charges, judge, lab_hardware
from tests.faults.speech import speech
from tests.faults.standin import StandIn

POLL_S = 0.02
ROOT = Path(os.path.realpath(__file__)).parents[2]
AGENT = ("-m", "agent.app")
CONTROL = ("-m", "agent.control")

SETTINGS: dict[str, Any] = {
    "control.realtime_priority": 0,
    "control.lock_memory": False,
    "ocpp.settings.MeterValueSampleInterval": "1",
    "ocpp.settings.TransactionMessageRetryInterval": "0",
    "ocpp.settings.TransactionMessageAttempts": "5",
    "ocpp.settings.MessageTimeout": "2",
    "ocpp.settings.ConnectionTimeOut": "600",
    "ocpp.back_off_minimum_s": 0.1,
    "ocpp.back_off_random_s": 0.1,
    "ocpp.back_off_repeats": 1,
}


class StuckError(Exception):
    """The day did not go on: something that should happen did not."""


class Process:
    """A process of the product that is started again whenever it dies, as a service manager would."""

    def __init__(self, command: Sequence[str], config: Path, log: Path) -> None:
        self._command = command
        self._config = config
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._prefixes: list[Sequence[str]] = []
        self.deaths = 0

    def start(self, *prefixes: Sequence[str]) -> None:
        """The first prefix goes before the command of the first life, the next before that of the second, and so on."""
        self._prefixes = list(prefixes)
        self._wanted.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    def kill(self) -> bool:
        """SIGKILL, as a crash would. False when there is nobody to kill."""
        if self._process is None or self._process.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        return True

    def hold(self) -> None:
        """Do not start it again until ``start``."""
        self._wanted.clear()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            prefix = self._prefixes.pop(0) if self._prefixes else ()
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *prefix,
                    sys.executable,
                    *self._command,
                    "--config",
                    str(self._config),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                )
            await self._process.wait()
            self.deaths += 1

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self.running:
            assert self._process is not None
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()
            finally:
                self.kill()  # whatever interrupted us: nothing is left behind


class Place:
    """What both kinds of place share: the CSMS, the agent process, its display, and the deeds noted."""

    kind = ""
    patience_s = 45.0
    """How long a step may take, crashes included, before the day counts as stuck."""
    repeat_s = 0.6
    """How long a driver waits for an effect before showing the card again."""
    launcher_as_shipped: Sequence[str] = AGENT

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.deeds: list[Deed] = []
        self.speech = speech()
        self.csms = Csms(versions=[self.speech.subprotocol])
        self.launcher: Sequence[str] = AGENT
        self._kept_port: socket.socket | None = None
        self.agent: Process
        self._api = directory / "run" / "api.sock"

    # What differs

    async def plug(self, evse: int) -> None:
        raise AssertionError

    async def unplug(self, evse: int) -> None:
        raise AssertionError

    async def tap(self, token: str, evse: int) -> None:
        raise AssertionError

    async def closed(self, evse: int) -> bool:
        raise AssertionError

    async def hardware(self) -> list[Hardware]:
        raise AssertionError

    def control_lives(self) -> float:
        """Changes whenever control dies or starts."""
        raise AssertionError

    # What is shared

    def _spoken(self) -> dict[str, Any]:
        """Configuration that makes the charger speak this attack's version."""
        return {} if self.speech.old else {"ocpp.versions": [self.speech.subprotocol]}

    @property
    def identity(self) -> str:
        return "LAB-0001"

    def online(self) -> bool:
        """The present connection's boot was accepted (by the CSMS's own frames)."""
        station = self.csms.station(self.identity)
        if not station.sessions:
            return False
        number = station.sessions[-1].number
        return any(call.connection == number and call.action != "BootNotification" for call in self.csms.calls[-40:])

    async def display(self) -> Any:
        """What the charger shows; None while no agent answers."""
        try:
            async with asyncio.timeout(3):
                reader, writer = await asyncio.open_unix_connection(str(self._api), limit=1 << 20)
                try:
                    writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}}).encode())
                    writer.write(b"\n")
                    return json.loads(await reader.readline())["result"]
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError, KeyError):
            return None

    async def shown(self, evse: int) -> Any:
        """The display's part for one EVSE, once control and agent are both there; else None."""
        status = await self.display()
        return status["evses"][evse - 1] if status and status["control"]["connected"] else None

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float | None = None) -> None:
        deadline = time.monotonic() + (timeout_s or self.patience_s)
        while not await condition():
            if time.monotonic() >= deadline:
                raise StuckError(f"{what}: not within {timeout_s or self.patience_s:g} s")
            await asyncio.sleep(POLL_S)

    async def within(self, condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        try:
            await self.until(condition, "", seconds)
        except StuckError:
            return False
        return True

    async def cut_uplink(self) -> None:
        """The network is gone: connections break and new ones are refused.

        The port stays taken meanwhile. Else another program might get it, or the agent's own connection, which then
        would talk to itself.
        """
        await self.csms.stop_listening()
        self._kept_port = socket.socket()
        self._kept_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept_port.bind(("127.0.0.1", self.csms.port))

    async def restore_uplink(self) -> None:
        """The network is back at the same address. Harmless when it never was away."""
        if self._kept_port is not None:
            self._kept_port.close()
            self._kept_port = None
        await self.csms.listen()

    async def wait_online(self) -> None:
        async def accepted() -> bool:
            return self.online()

        await self.until(accepted, "boot accepted")

    # Drivers

    async def begin(self, evse: int, token: str, online: bool) -> float:
        """Plug in and show the card until energy flows. Return when the card was first shown."""

        async def free() -> bool:
            shown = await self.shown(evse)
            return shown is not None and shown["plugged"] is False

        async def seen() -> bool:
            shown = await self.shown(evse)
            return shown is not None and shown["plugged"] is True

        await self.until(free, f"EVSE {evse} free")
        await self.plug(evse)
        first: float | None = None
        deadline = time.monotonic() + self.patience_s
        while not await self.closed(evse):
            if time.monotonic() > deadline:
                raise StuckError(f"EVSE {evse} does not charge for {token}: display {await self.shown(evse)}")
            if online:
                await self.wait_online()
            await self.until(seen, f"EVSE {evse} sees the car")
            shown = await self.shown(evse)
            if shown is not None and shown["transaction"] is None:
                first = first if first is not None else time.time()
                await self.tap(token, evse)
            await self.within(lambda: self.closed(evse), self.repeat_s)
        # Contacts that closed before anybody asked are the judge's business: the charge is dated after them.
        return first if first is not None else time.time()

    async def end(self, evse: int, token: str, first: float, how: Callable[[], Awaitable[None]] | None = None) -> Deed:
        """Show the card (or do ``how``) until the contacts are open, then drive away. Notes the deed."""

        async def opened() -> bool:
            return not await self.closed(evse)

        async def over() -> bool:
            shown = await self.shown(evse)
            return shown is not None and (shown["transaction"] is None or shown["transaction"]["state"] == "finished")

        async def finished() -> bool:
            return await opened() and await over()

        ended_by = last = time.time()
        deadline = time.monotonic() + self.patience_s
        while True:
            if time.monotonic() > deadline:
                raise StuckError(f"EVSE {evse} does not end: display {await self.shown(evse)}")
            shown = await self.shown(evse)
            if shown is not None and shown["transaction"] is not None and shown["transaction"]["state"] != "stopping":
                if await over():
                    break
                last = time.time()
                await (self.tap(token, evse) if how is None else how())
            if await self.within(finished, self.repeat_s):
                break
        gone = time.time()
        await self.unplug(evse)
        deed = Deed(evse, token, first, ended_by, ended_until_s=last, gone_s=gone)
        self.deeds.append(deed)
        return deed

    async def pull(self, evse: int, token: str, first: float) -> Deed:
        """Pull the plug under load, whoever is there to see it. Notes the deed.

        Control tells the agent when the vehicle left. Only where control itself died meanwhile, nobody knows, and the
        end may be told as late as it was found.
        """

        async def over() -> bool:
            shown = await self.shown(evse)
            return shown is not None and (shown["transaction"] is None or shown["transaction"]["state"] == "finished")

        lives = self.control_lives()
        gone = time.time()
        await self.unplug(evse)
        await self.until(over, f"EVSE {evse} ends after the plug was pulled")
        found = time.time() if self.control_lives() != lives else 0.0
        deed = Deed(evse, token, first, gone, ended_until_s=found, gone_s=gone)
        self.deeds.append(deed)
        return deed

    async def remote_stop(self, evse: int) -> bool:
        """The operator's command; False when it had no effect, as when the charger is not there to take it."""
        books = self.csms.ledger()["transactions"]
        entries = [t for t in books if t["connector_id"] == evse and t["stopped_at"] is None]
        if not entries:
            return False
        try:
            session = self.csms.session()
            action, payload = asking.stop(session.dialect, entries[-1]["transaction_id"])
            return bool(await session.call_raw(action, payload, 2) == {"status": "Accepted"})
        except (OSError, CallRefused, ValueError):
            return False

    async def remote_stop_or_tap(self, evse: int, token: str) -> None:
        """The operator's command, and the card where that does not help."""
        if not await self.remote_stop(evse):
            await self.tap(token, evse)

    async def settled(self, timeout_s: float = 30.0) -> bool:
        """Wait until the books hold an end for every deed and nothing waits any more. False when that never comes."""

        async def done() -> bool:
            status = await self.display()
            return status is not None and self.online() and status["uplink"]["queue"]["pending"] == 0

        return await self.within(done, timeout_s)

    async def verdict(
        self, forgive: frozenset[str] = frozenset(), without: frozenset[int | str] = frozenset()
    ) -> Verdict:
        """Judge what was lived against the books, ``without`` the transactions of these ids."""
        deadline = time.monotonic() + 5
        while True:
            hardware = await self.hardware()
            try:
                lived: list[Charge] = charges(self.deeds, hardware)
                break
            except LookupError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(0.2)
        ledger = self.csms.ledger()
        ledger["transactions"] = [t for t in ledger["transactions"] if t["transaction_id"] not in without]
        return judge(lived, hardware, ledger, self.csms.frames, forgive)

    async def __aenter__(self) -> Self:
        raise AssertionError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise AssertionError


class QuickPlace(Place):
    """The real agent against the stand-in."""

    kind = "quick"

    def __init__(self, directory: Path, settings: dict[str, Any] | None = None) -> None:
        super().__init__(directory)
        self._settings = SETTINGS | self._spoken() | (settings or {})
        self.standin = StandIn(directory / "run" / "control.sock")

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "logs").mkdir(exist_ok=True)
        await self.csms.__aenter__()
        lab = LabSettings(
            self.directory, evses=2, readers_per_evse=True, csms_url=self.csms.url, overrides=self._settings
        )
        write_configuration(lab, simulated.Hardware(lab).configuration())
        self.standin.start()
        self.agent = Process(self.launcher, lab.config_path, self.directory / "logs" / "agent.log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.agent.close()
        self.standin.close()
        if self._kept_port is not None:
            self._kept_port.close()
        await self.csms.__aexit__(None, None, None)

    async def plug(self, evse: int) -> None:
        self.standin.plug(evse)

    async def unplug(self, evse: int) -> None:
        self.standin.unplug(evse)

    async def tap(self, token: str, evse: int) -> None:
        self.standin.tap(token, evse)

    async def closed(self, evse: int) -> bool:
        return self.standin.outlets[evse].closed

    async def hardware(self) -> list[Hardware]:
        return self.standin.hardware()

    def control_lives(self) -> float:
        return self.standin.lives + (0.0 if self.standin.running else 0.5)


class FullPlace(Place):
    """Agent and control as they are, on the lab's hardware at the wire."""

    kind = "full"
    patience_s = 90.0
    repeat_s = 9.0

    def __init__(self, directory: Path, settings: dict[str, Any] | None = None, energy_factor: float = 4.0) -> None:
        super().__init__(directory)
        self._settings = SETTINGS | self._spoken() | (settings or {})
        self._energy_factor = energy_factor
        self.lab: Lab
        self.control: Process

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        await self.csms.__aenter__()
        self.lab = Lab(
            self.directory,
            self._settings,
            evses=2,
            readers_per_evse=True,
            energy_factor=self._energy_factor,
            csms=self.csms.url,
        )
        await asyncio.to_thread(self.lab.start)
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        self.control = Process(CONTROL, self.lab.config_path, logs / "control.log")
        self.agent = Process(self.launcher, self.lab.config_path, logs / "agent.log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.agent.close()
        finally:
            try:
                await self.control.close()
            finally:
                await asyncio.to_thread(self.lab.stop)
        if self._kept_port is not None:
            self._kept_port.close()
        await self.csms.__aexit__(None, None, None)

    async def plug(self, evse: int) -> None:
        await asyncio.to_thread(self.lab.control.plug, evse, "renault-zoe-r135")

    async def unplug(self, evse: int) -> None:
        await asyncio.to_thread(self.lab.control.unplug, evse)

    async def tap(self, token: str, evse: int) -> None:
        await asyncio.to_thread(self.lab.control.tap, token, evse)

    async def closed(self, evse: int) -> bool:
        state = await asyncio.to_thread(self.lab.control.evse, evse)
        return bool(state["contactor"]["closed"])

    def control_lives(self) -> float:
        return self.control.deaths + (0.0 if self.control.running else 0.5)

    async def hardware(self) -> list[Hardware]:
        return [lab_hardware(self.directory / "logs", evse) for evse in (1, 2)]
