"""The whole agent in virtual time: application, station, journal and session are real; sockets are not there.

``VirtualAgent`` is the agent's own application with a link that is a list and a network that is a function. The
stand-in hardware of the cases over websockets drives it, on the same clock. Time leaps from deadline to deadline.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Coroutine
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agent.app
import tests.tc16.hardware
from agent.app import App
from agent.clock import Clock
from agent.config.schema import Config
from agent.journal.journal import Journal
from agent.link.messages import (
    PROTOCOL,
    EvseInfo,
    HoldCable,
    Permit,
    SetOperative,
    ToAgent,
    ToControl,
    Welcome,
    Withdraw,
)
from agent.ocpp.networks import Networks
from agent.ocpp.ports import UplinkReport, UplinkState
from agent.ocpp.session import FileSurroundings, SecuritySurroundings, Session, Surroundings, new_session
from agent.security.security import Security
from agent.station.effects import Effect, Restart
from agent.station.settings import Settings
from agent.station.tokens import Token
from tests.tc16.hardware import CLOSE_S, Hardware, Outlet

LATENCY_S = 0.05


class World:
    """Time, and what happens when."""

    def __init__(self, utc_s: float) -> None:
        self.now = 1000.0
        self._utc_at_0_s = utc_s - self.now
        self._script: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self.now

    @property
    def utc_s(self) -> float:
        return self.now + self._utc_at_0_s

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._script, (self.now + seconds, self._count, work))

    def due(self) -> float | None:
        return self._script[0][0] if self._script else None

    def happen(self) -> None:
        """Do the first thing that is due."""
        heapq.heappop(self._script)[2]()


class VirtualHardware(Hardware):
    """Outlets without a wire; ``deliver`` takes what they say."""

    def __init__(self, world: World, outlets: dict[int, Outlet]) -> None:
        super().__init__(Path(), outlets)
        self._world = world
        self.deliver: Callable[[ToAgent], None] | None = None

    def welcome(self) -> None:
        """What control says first to a new agent."""
        infos = tuple(EvseInfo(o.evse, 32.0, o.phases, o.socket, True) for o in self.outlets.values())
        self._send(Welcome(PROTOCOL, "virtual", "virtual", infos))
        self.tell_all()

    def tell_all(self) -> None:
        for outlet in self.outlets.values():
            self._tell(outlet)

    def hear(self, message: ToControl) -> None:
        outlet = self.outlets.get(getattr(message, "evse", 0))
        if outlet is None:
            return
        match message:
            case Permit():
                outlet.permits.append(message)
                wait_s = CLOSE_S if outlet.permit is None else 0.0
                self._world.after(wait_s, lambda: self._grant(message))
                return
            case Withdraw():
                outlet.permit = None
                outlet.permits.clear()
            case SetOperative(_, operative):
                outlet.operative = operative
            case HoldCable(_, hold):
                outlet.hold = hold
            case _:
                return
        self._world.after(0.0, lambda: self._tell(outlet))

    def _send(self, message: ToAgent) -> None:
        if self.deliver is not None:
            self.deliver(message)


class VirtualLink:
    """In the place of the link to control."""

    connected = True

    def __init__(self, hardware: VirtualHardware) -> None:
        self._hardware = hardware
        self.sent: list[ToControl] = []
        """The latest, for those who want to know."""

    def send(self, message: ToControl) -> None:
        self.sent.append(message)
        del self.sent[:-100]
        self._hardware.hear(message)


class VirtualTunnel:
    """In the place of the tunnel: the real session; frames are carried by whoever calls ``take``."""

    def __init__(
        self,
        agent: VirtualAgent,
        subprotocol: str,
        config: Config,
        journal: Journal,
        settings: Settings,
        clock: Clock,
        security: Security,
        files: FileSurroundings,
        device: Any,
    ) -> None:
        self._agent = agent
        self.tasks: set[asyncio.Task[None]] = set()
        self.networks = Networks(config, security.folder / "networks.json")
        surroundings = Surroundings(
            config,
            journal,
            settings,
            agent,
            agent.world.monotonic,
            self._spawn,
            lambda: None,
            lambda: None,
            SecuritySurroundings(security, self.networks, clock, lambda: None),
            files,
            device,
        )
        self._make = lambda: new_session(subprotocol, surroundings)

    @cached_property
    def session(self) -> Session:
        """Made when it is first wanted, as the tunnel's: the application is whole by then."""
        return self._make()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def authorise(self, request: int, token: Token) -> None:
        now = self._agent.world
        now.after(0.0, lambda: self.session.authorise(request, token, now.now))

    def report_status(self, report: Any) -> None:
        self.session.report_status(report, self._agent.world.now)

    def report_meter(self, evse: int, at_utc_s: float, samples: Any) -> None:
        self.session.report_meter(evse, at_utc_s, samples, self._agent.world.now)

    def wake(self) -> None:
        self.session.journal_grew(self._agent.world.now)

    def report(self) -> UplinkReport:
        return UplinkReport(self.session.state, self._agent.world.utc_s)


class VirtualAgent(App):
    """The application, put together without sockets. ``hear(frame)`` of the network returns the frames it answers."""

    def __init__(
        self,
        config: Config,
        world: World,
        hardware: VirtualHardware,
        hear: Callable[[str], list[str]],
        boot: str = "boot-1",
        subprotocol: str = "ocpp1.6",
    ) -> None:
        self.world = world
        self.hardware = hardware
        self._hear = hear
        self.link = VirtualLink(hardware)
        self.resets = 0
        """Resets that would have ended the process."""
        self._connection = 0
        self.link_up = False

        def tunnel(*arguments: Any) -> VirtualTunnel:
            config, journal, settings, _station, clock, security, files, *more = arguments
            return VirtualTunnel(
                self, subprotocol, config, journal, settings, clock, security, files, more[0] if more else None
            )

        # No technician is there: nothing that control says is an answer to one.
        local = SimpleNamespace(
            publish=lambda _topic, _document: None, control=SimpleNamespace(heard=lambda _message: False)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent.app, "Clock", lambda: Clock(world.monotonic, lambda: world.utc_s, boot))
            patch.setattr(agent.app, "ControlLink", lambda *_: self.link)
            patch.setattr(agent.app, "Tunnel", tunnel)
            patch.setattr(agent.app, "LocalWork", lambda *_: local)
            super().__init__(config)
        self.config, self.clock, self.journal, self.settings = config, self._clock, self._journal, self._settings
        self.station, self.security, self.files = self._station, self._security, self._files
        self.tunnel: VirtualTunnel = self._tunnel  # type: ignore[assignment]
        self.session = self.tunnel.session
        hardware.deliver = self._from_control
        self.carry_out(self._station.recovered(self._clock.now()))
        hardware.welcome()

    def _set_timer(self) -> None:
        """``run`` asks the station when it wants to be woken."""

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Restart):
            self.resets += 1
        else:
            super()._perform(effect)

    # ---- the uplink ----

    @property
    def online(self) -> bool:
        return self.link_up and self.session.state is UplinkState.ACCEPTED

    def up(self) -> None:
        if not self.link_up:
            self.link_up = True
            self._connection += 1
            self.session.connected(self.world.now)

    def down(self) -> None:
        if self.link_up:
            self.link_up = False
            self._connection += 1
            self.session.lost(self.world.now)

    def receive(self, text: str) -> None:
        """A frame of the network arrives now."""
        self.session.receive(text, self.world.now)

    def _pump(self) -> None:
        while self.link_up and (frame := self.session.take_frame()) is not None:
            self.world.after(LATENCY_S, lambda f=frame, c=self._connection: self._arrive(f, c))  # type: ignore[misc]
        if self.link_up:
            self.session.settle(self.world.now)

    def _arrive(self, frame: str, connection: int) -> None:
        if connection != self._connection:
            return
        for text in self._hear(frame):
            self.world.after(LATENCY_S, lambda t=text: self._back(t, connection))  # type: ignore[misc]

    def _back(self, text: str, connection: int) -> None:
        if connection == self._connection:
            self.receive(text)

    # ---- time ----

    def run_until(self, until: float) -> None:
        """Let all happen that is due by then."""
        self._pump()
        while True:
            wakes = [
                self.world.due(),
                self._station.next_wake(),
                self.session.next_wake() if self.link_up else None,
            ]
            due = min((wake for wake in wakes if wake is not None), default=until + 1.0)
            if due > until:
                break
            self.world.now = max(self.world.now, due)
            first, station, session = wakes
            if first is not None and first <= self.world.now:
                self.world.happen()
            elif station is not None and station <= self.world.now:
                self._timer_due()
            elif session is not None:
                self.session.advance(self.world.now)
            self._pump()
            assert not self.session.drop_reason, self.session.drop_reason
        self.world.now = max(self.world.now, until)

    def run_for(self, seconds: float) -> None:
        self.run_until(self.world.now + seconds)

    def end(self) -> None:
        """Leave, as at SIGTERM."""
        self.down()
        self.hardware.deliver = None
        self._device.close()
        self._keeper.write(self._device.flush(), last=True)
        self._journal.close()


def on_this_clock(patch: pytest.MonkeyPatch, world: World) -> None:
    """Let the stand-in hardware live in the world's time."""
    patch.setattr(tests.tc16.hardware, "time", SimpleNamespace(monotonic=world.monotonic))


def call_text(message_id: str, action: str, payload: Any) -> str:
    return json.dumps([2, message_id, action, payload])
