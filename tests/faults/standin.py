"""A quick stand-in for the control process and the hardware behind it, for attacks that need hundreds of days.

It speaks the real link and keeps the rules that matter to the books: energy flows only through closed contacts, which
close on a permit alone and open on a withdrawal, an unplugged cable, an ended lease or its own restart. What takes the
hardware seconds (settling, soft start, locks) takes it milliseconds. It outlives the agent, as control does.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent.link.messages import (
    EvseInfo,
    Hello,
    Hold,
    MeterSample,
    Observation,
    Permit,
    ToControl,
    TokenPresented,
    Withdraw,
)
from tests.faults.oracle import Hardware
from tests.link_end import LinkEnd

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
        self._link = LinkEnd(link_path, self._infos, self._take, self._tell_all, self._dropped)
        self._greeted = False
        self.connected_at = math.inf
        """When the present agent came (monotonic); inf while there is none."""
        self._reader = 0
        self.lives = 0
        """How often it was started."""
        self._tick: asyncio.TimerHandle | None = None
        self.outlets = {number: Outlet(number, 12_000.0 * number + 0.4) for number in range(1, evses + 1)}

    # ---- life ----

    def start(self) -> None:
        """Start (again), as a control process that forgets every permit."""
        self.lives += 1
        self._link.open()
        self._ticking()

    def close(self) -> None:
        """End, as a killed control does: the hardware behind it opens."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._link.close()
        for outlet in self.outlets.values():
            outlet.serial, outlet.plugged_at, outlet.left_at = 0, None, None
            outlet.move(False)
            outlet.step()

    @property
    def running(self) -> bool:
        return self._link.is_open

    @property
    def connected(self) -> bool:
        return self._link.connected and self._greeted

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
        outlet.plugged_at = time.monotonic() if self._link.is_open else None
        self._tell(outlet)

    def unplug(self, evse: int) -> None:
        outlet = self.outlets[evse]
        outlet.plugged, outlet.serial, outlet.plugged_at = False, 0, None
        outlet.left_at = time.monotonic() if self._link.is_open else None
        outlet.move(False)
        self._tell(outlet)

    def tap(self, token: str, evse: int) -> None:
        """Present a card at the EVSE's own readers; nobody hears it while no agent is there.

        Each of several readers in turn, because the same card at the same reader soon after is the same presentation.
        """
        self._reader = self._reader % READERS + 1
        self._link.send(TokenPresented(f"reader{evse}-{self._reader}", time.monotonic(), token, "ISO14443", evse))

    # ---- the link ----

    def _infos(self) -> tuple[EvseInfo, ...]:
        return tuple(EvseInfo(evse, CURRENT_A, PHASES, True, True) for evse in self.outlets)

    def _tell_all(self) -> None:
        for outlet in self.outlets.values():
            self._tell(outlet)

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

    def _dropped(self) -> None:
        self._greeted, self.connected_at = False, math.inf

    # ---- what happens ----

    def _ticking(self) -> None:
        for outlet in self.outlets.values():
            self._settle(outlet)
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._ticking)

    def _settle(self, outlet: Outlet) -> None:
        if not self._link.is_open:
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
        self._link.send(
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
        self._link.send(
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
