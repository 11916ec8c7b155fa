"""A quick stand-in for the control process and the hardware behind it, for attacks that need hundreds of days.

It speaks the real link and keeps the rules that matter to the books: energy flows only through closed contacts, which
close on a permit alone and open on a withdrawal, an unplugged cable, an ended lease or its own restart. What takes the
hardware seconds (settling, soft start, locks) takes it milliseconds. It outlives the agent, as control does.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from agent.link.codec import LinkError, decode_to_control
from agent.link.messages import (
    PROTOCOL,
    EvseInfo,
    Hello,
    Hold,
    MeterSample,
    Observation,
    Permit,
    ToAgent,
    ToControl,
    TokenPresented,
    Welcome,
    Withdraw,
)
from agent.link.transport import Channel, LinkClosedError, Listener
from tests.faults.oracle import Hardware

TICK_S = 0.05
CLOSE_S = 0.02
OPEN_S = 0.03
POWER_W = 180_000.0
"""No car does; 50 Wh a second let a short charge have energy worth judging."""
PHASES = 3
NOMINAL_V = 230.0
CURRENT_A = 32.0
READERS = 8


@dataclass(slots=True)
class Outlet:
    """One EVSE with its meter and, at times, a car."""

    evse: int
    energy_wh: float
    plugged: bool = False
    plugged_at: float | None = None
    left_at: float | None = None
    serial: int = 0
    lease_until: float = 0.0
    closed: bool = False
    stepped_at: float = field(default_factory=time.monotonic)
    spans: list[list[float]] = field(default_factory=list)
    registers: list[tuple[float, float]] = field(default_factory=list)

    @property
    def register_wh(self) -> int:
        return math.floor(self.energy_wh)

    def step(self) -> None:
        """Count the energy up to now."""
        now = time.monotonic()
        if self.closed:
            self.energy_wh += POWER_W * (now - self.stepped_at) / 3600.0
        self.stepped_at = now
        if not self.registers or self.registers[-1][1] != self.register_wh or time.time() - self.registers[-1][0] > 0.5:
            self.note()

    def note(self) -> None:
        self.registers.append((time.time(), float(self.register_wh)))

    def move(self, closed: bool) -> None:
        """Move the contacts; the register is noted on both sides."""
        if closed == self.closed:
            return
        self.step()
        self.note()
        if closed:
            self.spans.append([time.time(), math.inf])
        else:
            self.spans[-1][1] = time.time()
            self.note()
        self.closed = closed


class StandIn:
    """Runs in the present event loop between ``start`` and ``close``."""

    def __init__(self, link_path: Path, evses: int = 2) -> None:
        self._path = link_path
        self._listener: Listener | None = None
        self._channel: Channel | None = None
        self._greeted = False
        self.connected_at = math.inf
        """When the present agent came (monotonic); inf while there is none."""
        self._instance = ""
        self._reader = 0
        self.lives = 0
        """How often it was started."""
        self._tick: asyncio.TimerHandle | None = None
        self.outlets = {number: Outlet(number, 12_000.0 * number + 0.4) for number in range(1, evses + 1)}

    # ---- life ----

    def start(self) -> None:
        """Start (again), as a control process that forgets every permit."""
        self._instance = uuid.uuid4().hex
        self.lives += 1
        self._listener = Listener(self._path)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)
        self._ticking()

    def close(self) -> None:
        """End, as a killed control does: the hardware behind it opens."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._drop()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for outlet in self.outlets.values():
            outlet.serial, outlet.plugged_at, outlet.left_at = 0, None, None
            outlet.move(False)
            outlet.step()

    @property
    def running(self) -> bool:
        return self._listener is not None

    @property
    def connected(self) -> bool:
        return self._channel is not None and self._greeted

    def hardware(self) -> list[Hardware]:
        """The witnesses' books."""
        for outlet in self.outlets.values():
            outlet.step()
            outlet.note()
        return [Hardware(o.evse, tuple((a, b) for a, b in o.spans), tuple(o.registers)) for o in self.outlets.values()]

    # ---- people ----

    def plug(self, evse: int) -> None:
        outlet = self.outlets[evse]
        outlet.plugged = True
        outlet.plugged_at = time.monotonic() if self._listener is not None else None
        self._tell(outlet)

    def unplug(self, evse: int) -> None:
        outlet = self.outlets[evse]
        outlet.plugged, outlet.serial, outlet.plugged_at = False, 0, None
        outlet.left_at = time.monotonic() if self._listener is not None else None
        outlet.move(False)
        self._tell(outlet)

    def tap(self, token: str, evse: int) -> None:
        """Present a card at the EVSE's own readers; nobody hears it while no agent is there.

        Each of several readers in turn, because the same card at the same reader soon after is the same presentation.
        """
        self._reader = self._reader % READERS + 1
        self._send(TokenPresented(f"reader{evse}-{self._reader}", time.monotonic(), token, "ISO14443", evse))

    # ---- the link ----

    def _accept(self) -> None:
        assert self._listener is not None
        channel = self._listener.accept()
        if channel is None:
            return
        self._drop()
        self._channel, self._greeted = channel, False
        asyncio.get_running_loop().add_reader(channel.fileno(), self._readable)
        infos = tuple(EvseInfo(evse, CURRENT_A, PHASES, True, True) for evse in self.outlets)
        self._send(Welcome(PROTOCOL, self._instance, "stand-in", infos))
        for outlet in self.outlets.values():
            self._tell(outlet)

    def _readable(self) -> None:
        while self._channel is not None:
            try:
                data = self._channel.receive()
                if data is None:
                    return
                self._take(decode_to_control(data))
            except (LinkClosedError, LinkError):
                self._drop()

    def _take(self, message: ToControl) -> None:
        if isinstance(message, Hello):
            self._greeted, self.connected_at = True, time.monotonic()
        elif isinstance(message, Permit):
            outlet = self.outlets[message.evse]
            outlet.serial = message.serial if message.current_a >= 6 else 0
            outlet.lease_until = time.monotonic() + message.lease_s
            asyncio.get_running_loop().call_later(CLOSE_S, self._settle, outlet)
        elif isinstance(message, Withdraw):
            outlet = self.outlets[message.evse]
            outlet.serial = 0
            asyncio.get_running_loop().call_later(OPEN_S, self._settle, outlet)

    def _drop(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
        self._channel, self._greeted, self.connected_at = None, False, math.inf

    def _send(self, message: ToAgent) -> None:
        if self._channel is not None:
            with contextlib.suppress(LinkClosedError):
                self._channel.send(message)

    # ---- what happens ----

    def _ticking(self) -> None:
        for outlet in self.outlets.values():
            self._settle(outlet)
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._ticking)

    def _settle(self, outlet: Outlet) -> None:
        if self._listener is None:
            return
        if outlet.serial and time.monotonic() > outlet.lease_until:
            outlet.serial = 0
        outlet.move(outlet.plugged and outlet.serial > 0)
        self._tell(outlet)

    def _tell(self, outlet: Outlet) -> None:
        outlet.step()
        at = time.monotonic()
        offering = outlet.plugged and outlet.serial > 0
        holds = () if outlet.closed else (Hold.NO_PERMIT,) if outlet.plugged else (Hold.NOT_PLUGGED,)
        self._send(
            Observation(
                evse=outlet.evse,
                at=at,
                pilot=("C2" if offering else "B1") if outlet.plugged else "A1",
                plugged=outlet.plugged,
                vehicle_ready=offering,
                duty_pct=53.3 if offering else 100.0,
                offered_a=CURRENT_A if offering else 0.0,
                phases=PHASES,
                contactor_closed=outlet.closed,
                locked=outlet.plugged,
                cable_a=32 if outlet.plugged else 0,
                permit_serial=outlet.serial,
                fail_safe=False,
                limit_a=CURRENT_A if offering else 0.0,
                limited_by="permit",
                holds=holds,
                faults=(),
                plugged_at=outlet.plugged_at,
                left_at=outlet.left_at,
            )
        )
        current_a = POWER_W / NOMINAL_V / PHASES if outlet.closed else 0.0
        self._send(
            MeterSample(
                evse=outlet.evse,
                at=at,
                energy_import_wh=float(outlet.register_wh),
                power_w=POWER_W if outlet.closed else 0.0,
                voltage_v=(NOMINAL_V,) * PHASES,
                current_a=(current_a,) * PHASES,
                frequency_hz=50.0,
                quality="good",
            )
        )
