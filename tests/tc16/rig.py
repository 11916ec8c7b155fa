"""A quick rig for cases over a real websocket: the whole agent, a CSMS that keeps the books, and a stand-in control.

    @case(evses=2, settings={"ConnectionTimeOut": "1"})
    async def test_tc_003_regular_start_plug_first(rig: Rig) -> None:
        rig.hardware.plug(1)
        await rig.status("Preparing")
        rig.hardware.tap("CARD")
        assert (await rig.expect("Authorize"))["idTag"] == "CARD"

``expect`` takes the messages of the charge point in the order they come: each one looks behind the one found before.
At the end of a case nothing may stand among the CSMS's anomalies but what the case names in ``anomalies``.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import agent.clock
from agent.app import App
from agent.config.schema import (
    Authorisation,
    Config,
    ConnectorType,
    Control,
    Evse,
    Installation,
    Ocpp,
    Paths,
    Station,
)
from simulators.csms import CallRefused, Csms
from simulators.csms.tokens import Token, TokenStatus
from tests.tc16.hardware import Hardware, Outlet

ID = "CP-TC16"
TIMEOUT_S = 10.0
SILENCE_S = 0.25

SETTINGS = {
    "MeterValueSampleInterval": "0",
    "TransactionMessageRetryInterval": "0",
    "WebSocketPingInterval": "0",
    "MessageTimeout": "5",
}
"""What every case begins with, unless it says otherwise."""


class Rig:
    """One charge point and its CSMS. Use ``case``."""

    def __init__(
        self,
        place: Path,
        csms: Csms,
        *,
        evses: int = 1,
        socket: bool = True,
        feed_a: float = 80.0,
        settings: Mapping[str, str] | None = None,
        change: Callable[[Config], Config] = lambda config: config,
    ) -> None:
        self.csms = csms
        self.cursor = 0
        """Frames up to this number have been looked at."""
        connector = ConnectorType.SOCKET if socket else ConnectorType.CABLE
        self.config = change(
            Config(
                station=Station("Nord", "Duo", "NORD-1"),
                installation=Installation(max_current_a=feed_a, phases=3),
                devices={},
                evses=tuple(Evse(n, "board", meter="meter", connector=connector) for n in range(1, evses + 1)),
                control=Control(lease_s=30.0),
                authorisation=Authorisation(),
                ocpp=Ocpp(
                    url=csms.url,
                    identity=ID,
                    back_off_minimum_s=0.1,
                    back_off_random_s=0.0,
                    back_off_repeats=0,
                    settings={**SETTINGS, **(settings or {})},
                ),
                paths=Paths(state_dir=place, runtime_dir=place),
            )
        )
        self.hardware = Hardware(self.config.link_path, {n: Outlet(n, socket) for n in range(1, evses + 1)})
        self.app: App | None = None
        self.exit_status: int | None = None
        self.boot = "boot-1"
        """Which boot of the machine this is, as the agent sees it."""
        self._run: asyncio.Task[int] | None = None

    # ---- life ----

    async def start_agent(self, *, wait: bool = True) -> None:
        """Start the agent; with ``wait`` until it is registered and has told all statuses."""
        agent.clock.boot_id = lambda: self.boot
        frame = self.now
        self.app = App(self.config)
        self._run = asyncio.create_task(self.app.run())
        if wait:
            await self.ready(after=frame)

    async def ready(self, after: int | None = None) -> None:
        """Wait for a boot and the statuses that follow it, and look behind them from now on."""
        boot = (await self._wait("BootNotification", after=self.cursor if after is None else after))[0]
        await self._wait("StatusNotification", count=len(self.config.evses) + 1, after=boot.frame)
        self.mark()

    async def stop_agent(self) -> None:
        """End the agent as SIGTERM does."""
        if self._run is not None:
            self._run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run
        self.app = self._run = None

    async def agent_left(self) -> int:
        """Wait until the agent leaves by itself (a reset); returns its exit status."""
        assert self._run is not None
        async with asyncio.timeout(TIMEOUT_S):
            status = await self._run
        self.app = self._run = None
        return status

    async def power_cut(self) -> None:
        """The machine goes off with no warning; ``power_back`` starts it again."""
        await self.csms.stop_listening()
        await self.stop_agent()
        self.hardware.close()

    async def power_back(self) -> None:
        self.boot += "+"
        self.hardware.start()
        await self.csms.listen()
        await self.start_agent()

    async def go_offline(self) -> None:
        """The network goes away, connections and all."""
        await self.csms.stop_listening()
        await self.until(lambda: not self._online())

    async def go_online(self) -> None:
        await self.csms.listen()
        await self.until(self._online)

    def _online(self) -> bool:
        assert self.app is not None
        return self.app.status()["uplink"]["state"] == "accepted"

    # ---- the network's side ----

    async def call(self, action: str, **payload: Any) -> dict[str, Any]:
        """Send a request of the network; returns the answer's payload. Raises CallRefused on a CALLERROR."""
        answer: dict[str, Any] = await self.csms.call(ID, action, payload, TIMEOUT_S)
        return answer

    async def refused(self, action: str, **payload: Any) -> str:
        """Send a request that is answered with a CALLERROR; returns its code."""
        try:
            answer = await self.call(action, **payload)
        except CallRefused as refusal:
            return str(refusal.code)
        raise AssertionError(f"{action} was answered: {answer}")

    async def configure(self, **keys: str) -> None:
        for key, value in keys.items():
            assert await self.call("ChangeConfiguration", key=key, value=value) == {"status": "Accepted"}, key

    async def configuration(self, key: str) -> str:
        (entry,) = (await self.call("GetConfiguration", key=[key]))["configurationKey"]
        value: str = entry["value"]
        return value

    def token(self, id_tag: str, status: str = "Accepted", *, parent: str | None = None, expiry: str | None = None):
        """What the CSMS knows of a card; unknown ones are accepted."""
        self.csms.tokens.put(Token(id_tag, TokenStatus(status), parent, expiry))

    # ---- what the charge point says ----

    @property
    def now(self) -> int:
        """Number of the latest frame."""
        return self.csms.frames[-1].number if self.csms.frames else 0

    def mark(self) -> None:
        """Look only at what comes from now on."""
        self.cursor = self.now

    async def expect(
        self, action: str, where: Callable[[dict[str, Any]], bool] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Wait for the next such message and return its payload."""

        def fits(payload: dict[str, Any]) -> bool:
            same = all(payload.get(name) == value for name, value in fields.items())
            return same and (where is None or where(payload))

        found = (await self._wait(action, fits, after=self.cursor))[0]
        self.cursor = found.frame
        return found.payload

    async def status(self, word: str, evse: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for the next StatusNotification of this connector, which must be this one."""
        payload = await self.expect("StatusNotification", connectorId=evse)
        assert payload["status"] == word, payload
        assert all(payload.get(name) == value for name, value in fields.items()), payload
        return payload

    async def silent(self, action: str, seconds: float = SILENCE_S, **fields: Any) -> None:
        """Nothing of this kind comes for a while."""
        try:
            found = await self.csms.wait_for(action, fields, after=self.cursor, charge_point=ID, timeout_s=seconds)
        except TimeoutError:
            return
        raise AssertionError(f"came unasked: {found[0].payload}")

    def sent(self, action: str, after: int = 0) -> list[dict[str, Any]]:
        """Everything of this kind so far."""
        return [call.payload for call in self.csms.calls if call.action == action and call.frame > after]

    async def _wait(self, action: str, where: Any = None, *, count: int = 1, after: int = 0) -> list[Any]:
        return await self.csms.wait_for(action, where, count=count, after=after, charge_point=ID, timeout_s=TIMEOUT_S)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():  # noqa: ASYNC110 (the agent has no event for what is waited for)
                await asyncio.sleep(0.01)

    _until = until

    # ---- often needed ----

    async def charge(self, id_tag: str = "CARD", evse: int = 1) -> int:
        """Plug, present a card, and wait until energy flows. Returns the transaction's number."""
        self.hardware.plug(evse)
        await self.status("Preparing", evse)
        self.hardware.tap(id_tag, evse)
        await self.expect("StartTransaction", connectorId=evse, idTag=id_tag)
        await self.status("Charging", evse)
        return self.transaction(evse)

    def transaction(self, evse: int = 1) -> int:
        """Number of the latest transaction at this connector."""
        books = self.csms.ledger()["transactions"]
        number: int = max(entry["transaction_id"] for entry in books if entry["connector_id"] == evse)
        return number


def case(
    *, start: bool = True, anomalies: tuple[str, ...] = (), **options: Any
) -> Callable[[Callable[[Rig], Awaitable[None]]], Callable[[Path], None]]:
    """Make a test of a scenario. ``options`` go to ``Rig``; ``start`` False: the case starts the agent itself."""

    def decorate(scenario: Callable[[Rig], Awaitable[None]]) -> Callable[[Path], None]:
        async def story(place: Path) -> None:
            async with Csms() as csms:
                rig = Rig(place, csms, **options)
                boot_id = agent.clock.boot_id
                rig.hardware.start()
                try:
                    if start:
                        await rig.start_agent()
                    await scenario(rig)
                finally:
                    await rig.stop_agent()
                    rig.hardware.close()
                    agent.clock.boot_id = boot_id
                found = [anomaly for anomaly in csms.anomalies if anomaly.kind.value not in anomalies]
                assert not found, found

        def test(tmp_path: Path) -> None:
            asyncio.run(story(tmp_path))

        test.__name__, test.__qualname__ = scenario.__name__, scenario.__qualname__
        test.__doc__, test.__module__ = inspect.getdoc(scenario), scenario.__module__
        return test

    return decorate


__all__ = ["ID", "CallRefused", "Rig", "case", "replace"]
