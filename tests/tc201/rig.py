"""A quick rig for cases of OCPP 2.0.1 and 2.1 over a real websocket: the whole agent, a plain CSMS, a stand-in control.

    @case(evses=2, settings={"TxCtrlr.EVConnectionTimeOut": "1"})
    async def test_tc_e_09_cs_plug_first(rig: Rig201) -> None:
        rig.hardware.plug(1)
        await rig.status("Occupied")
        rig.hardware.tap("CARD")
        assert (await rig.expect("Authorize"))["idToken"]["idToken"] == "CARD"
        started = await rig.event("Started", trigger="CablePluggedIn")

``expect`` takes the messages of each action in the order they come: each one looks behind the one of that action found
before. At the end of a case nothing may stand among the CSMS's problems (schemas, books) but what the case names.
``settings`` are those of ``agent.station.settings``, as if the network had set them before.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import defaultdict
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
from agent.journal.journal import Journal
from tests.tc16.hardware import Hardware, Outlet
from tests.tc201.csms201 import SILENCE, TIMEOUT_S, Answer, CallRefused, Csms201, Payload, Refusal, Seen

ID = "CS-TC201"
SILENCE_S = 0.25

SETTINGS = {
    "SampledDataCtrlr.TxUpdatedInterval": "0",
    "OCPPCommCtrlr.MessageAttemptInterval": "0",
    "OCPPCommCtrlr.WebSocketPingInterval": "0",
    "OCPPCommCtrlr.MessageTimeout": "5",
}
"""What every case begins with, unless it says otherwise."""


class Rig201:
    """One charging station and its CSMS. Use ``case``."""

    def __init__(
        self,
        place: Path,
        csms: Csms201,
        *,
        evses: int = 1,
        socket: bool = True,
        feed_a: float = 80.0,
        settings: Mapping[str, str] | None = None,
        change: Callable[[Config], Config] = lambda config: config,
        hardware: Callable[[Path, dict[int, Outlet]], Hardware] = Hardware,
    ) -> None:
        self.csms = csms
        self.settings = {**SETTINGS, **(settings or {})}
        """Put among the agent's kept settings at its first start."""
        self._cursors: dict[str, int] = defaultdict(int)
        self._behind = 0
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
                    versions=csms.versions,
                    back_off_minimum_s=0.1,
                    back_off_random_s=0.0,
                    back_off_repeats=0,
                ),
                paths=Paths(state_dir=place, runtime_dir=place),
            )
        )
        self.hardware = hardware(self.config.link_path, {n: Outlet(n, socket) for n in range(1, evses + 1)})
        self.app: App | None = None
        self.boot = "boot-1"
        """Which boot of the machine this is, as the agent sees it."""
        self._run: asyncio.Task[int] | None = None

    # ---- life ----

    async def start_agent(self, *, wait: bool = True) -> None:
        """Start the agent; with ``wait`` until it is registered and has told all statuses."""
        agent.clock.boot_id = lambda: self.boot
        if self.settings:
            self.preset(self.settings)
            self.settings = {}
        before = self.csms.now
        self.app = App(self.config)
        self._run = asyncio.create_task(self.app.run())
        if wait:
            await self.ready(after=before)

    def preset(self, settings: Mapping[str, str]) -> None:
        """Put settings among those the agent has kept. Only while it does not run."""
        journal = Journal.open(self.config.journal_path, self.boot)
        try:
            with journal.write():
                for name, text in settings.items():
                    journal.keep("setting", name, text)
        finally:
            journal.close()

    async def ready(self, after: int | None = None) -> None:
        """Wait for a boot and the statuses that follow it, and look behind them from now on."""
        behind = self._behind if after is None else after
        boot = await self.csms.wait(lambda: self.csms.sent("BootNotification", behind))
        number = boot[0].number
        await self.csms.wait(lambda: len(self.csms.sent("StatusNotification", number)) >= len(self.config.evses))
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

    async def power_back(self, *, wait: bool = True) -> None:
        self.boot += "+"
        self.hardware.start()
        await self.csms.listen()
        await self.start_agent(wait=wait)

    async def go_offline(self) -> None:
        """The network goes away, connections and all."""
        await self.csms.stop_listening()
        await self.until(lambda: not self.online)

    async def go_online(self) -> None:
        await self.csms.listen()
        await self.until(lambda: self.online)

    @property
    def online(self) -> bool:
        return self.app is not None and self.app.status()["uplink"]["state"] == "accepted"

    # ---- the network's side ----

    async def call(self, action: str, **payload: Any) -> Payload:
        """Send a request of the network; returns the answer's payload. Raises CallRefused on a CALLERROR."""
        return await self.csms.call(action, payload)

    async def refused(self, action: str, *, check: bool = False, **payload: Any) -> str:
        """Send a request that is answered with a CALLERROR; returns its code."""
        try:
            answer = await self.csms.call(action, payload, check=check)
        except CallRefused as refusal:
            return refusal.code
        raise AssertionError(f"{action} was answered: {answer}")

    async def set_variable(self, component: str, variable: str, value: str, **more: Any) -> str:
        """Set one variable's actual value; returns the attributeStatus. ``instance``: of the variable."""
        name = {"name": variable} | ({"instance": more.pop("instance")} if "instance" in more else {})
        data = {"component": {"name": component, **more}, "variable": name, "attributeValue": value}
        (result,) = (await self.call("SetVariables", setVariableData=[data]))["setVariableResult"]
        return str(result["attributeStatus"])

    async def configure(self, **variables: str) -> None:
        """Set variables named ``Component__Variable``; each must be accepted."""
        for name, value in variables.items():
            component, _, variable = name.partition("__")
            assert await self.set_variable(component, variable, value) == "Accepted", name

    async def variable(self, component: str, variable: str, **more: Any) -> str:
        """Read one variable's actual value."""
        name = {"name": variable} | ({"instance": more.pop("instance")} if "instance" in more else {})
        data = {"component": {"name": component, **more}, "variable": name}
        (result,) = (await self.call("GetVariables", getVariableData=[data]))["getVariableResult"]
        assert result["attributeStatus"] == "Accepted", result
        return str(result["attributeValue"])

    def answer(self, action: str, answer: Answer) -> None:
        """Answer this action so from now on, in the place of the default."""
        self.csms.answers[action] = answer

    def token(self, uid: str, status: str = "Accepted", **info: Any) -> None:
        """What the CSMS knows of an idToken; unknown ones are accepted."""
        self.csms.tokens[uid] = {"status": status, **info}

    # ---- what the charging station says ----

    def mark(self) -> None:
        """Look only at what comes from now on."""
        self._behind = self.csms.now
        self._cursors.clear()

    async def expect(
        self, action: str, where: Callable[[Payload], Any] | None = None, timeout_s: float = TIMEOUT_S, **fields: Any
    ) -> Payload:
        """Wait for the next such message of this action and return its payload."""
        return (await self.expect_seen(action, where, timeout_s, **fields)).payload

    async def expect_seen(
        self, action: str, where: Callable[[Payload], Any] | None = None, timeout_s: float = TIMEOUT_S, **fields: Any
    ) -> Seen:
        """The same, with its number and message id."""

        def find() -> Seen | None:
            for seen in self.csms.sent(action, max(self._behind, self._cursors[action])):
                same = all(seen.payload.get(name) == value for name, value in fields.items())
                if same and (where is None or where(seen.payload)):
                    return seen
            return None

        try:
            found: Seen = await self.csms.wait(find, timeout_s)
        except TimeoutError:
            came = [seen.payload for seen in self.csms.sent(action, max(self._behind, self._cursors[action]))]
            raise AssertionError(f"no such {action} {fields or ''}; what came: {came}") from None
        self._cursors[action] = found.number
        return found

    async def status(self, word: str, evse: int = 1) -> Payload:
        """Wait for the next StatusNotification of this EVSE's connector, which must be this one."""
        payload = await self.expect("StatusNotification", evseId=evse)
        assert payload["connectorStatus"] == word, payload
        return payload

    async def event(
        self,
        kind: str = "",
        trigger: str = "",
        state: str = "",
        where: Callable[[Payload], Any] | None = None,
        **fields: Any,
    ) -> Payload:
        """Wait for the next TransactionEvent of this eventType, triggerReason and chargingState (empty: any)."""

        def fits(payload: Payload) -> bool:
            info = payload["transactionInfo"]
            return (
                kind in ("", payload["eventType"])
                and trigger in ("", payload["triggerReason"])
                and state in ("", info.get("chargingState"))
                and (where is None or bool(where(payload)))
            )

        return await self.expect("TransactionEvent", fits, **fields)

    async def silent(self, action: str, seconds: float = SILENCE_S, **fields: Any) -> None:
        """Nothing of this kind comes for a while."""
        try:
            found = await self.expect(action, timeout_s=seconds, **fields)
        except AssertionError:
            return
        raise AssertionError(f"came unasked: {found}")

    def sent(self, action: str) -> list[Payload]:
        """Every payload of this kind since the mark."""
        return [seen.payload for seen in self.csms.sent(action, self._behind)]

    async def until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 (the agent has no event for what is waited for)
                await asyncio.sleep(0.01)

    # ---- often needed ----

    async def charge(self, uid: str = "CARD", evse: int = 1) -> str:
        """Plug, present a card, and wait until energy flows. Returns the transaction's identity."""
        self.hardware.plug(evse)
        await self.status("Occupied", evse)
        self.hardware.tap(uid, evse)
        charging = await self.event(state="Charging")
        return str(charging["transactionInfo"]["transactionId"])


def case(
    *,
    start: bool = True,
    versions: tuple[str, ...] = ("ocpp2.0.1",),
    problems: tuple[str, ...] = (),
    **options: Any,
) -> Callable[[Callable[[Rig201], Awaitable[None]]], Callable[[Path], None]]:
    """Make a test of a scenario. ``options`` go to ``Rig201``; ``start`` False: the case starts the agent itself.

    ``problems``: pieces of text; a problem of the CSMS that holds one of them is what the case wants.
    """

    def decorate(scenario: Callable[[Rig201], Awaitable[None]]) -> Callable[[Path], None]:
        async def story(place: Path) -> None:
            async with Csms201(*versions) as csms:
                rig = Rig201(place, csms, **options)
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
                found = [text for text in csms.problems if not any(piece in text for piece in problems)]
                assert not found, found

        def test(tmp_path: Path) -> None:
            asyncio.run(story(tmp_path))

        test.__name__, test.__qualname__ = scenario.__name__, scenario.__qualname__
        test.__doc__, test.__module__ = inspect.getdoc(scenario), scenario.__module__
        return test

    return decorate


__all__ = ["ID", "SILENCE", "CallRefused", "Refusal", "Rig201", "Seen", "case", "replace"]
