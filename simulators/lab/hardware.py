"""All the hardware of one lab on one event loop: the peers, their ports, and the tick that moves them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from simulators.lab.assembly import Assembly, ReaderPost
from simulators.lab.configuration import configuration
from simulators.lab.evse import SimEvse
from simulators.lab.registers import save_registers
from simulators.lab.settings import LabSettings

BUSY_TICK_S = 0.01
IDLE_TICK_S = 0.1
METER_LOG_S = 1.0


class Hardware:
    """Build, ``start``, and ``stop`` it inside a running event loop. Raises SettingsError where it cannot be built."""

    def __init__(self, settings: LabSettings) -> None:
        self.settings = settings
        self.powered = True
        self.started_at = time.monotonic()
        self.wall_started_at = time.time()
        self._loop = asyncio.get_running_loop()
        self._tick_handle: asyncio.TimerHandle | None = None
        self._running = False
        self._ticking = False
        self._next_meter_log = 0.0
        self.assembly = Assembly(settings, self._loop, self.started_at, self.wake)
        self.evses = {number: SimEvse(number, place, settings) for number, place in self.assembly.places.items()}
        self.readers = self.assembly.readers
        self._meters = self.assembly.meters()

    def configuration(self) -> dict[str, Any]:
        """The agent's configuration for it, as plain data. Raises SettingsError."""
        return configuration(self.assembly)

    # Life

    def start(self) -> None:
        for name, log in self.assembly.logs.items():
            log.open(self.settings.directory / "logs" / f"{name}.jsonl")
        for port in self.assembly.ports():
            port.open(self._loop)
        self._running = True
        self.wake()

    def stop(self) -> None:
        self._running = False
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        save_registers(self.settings.directory, {n: evse.core.register_wh for n, evse in self.evses.items()})
        for port in self.assembly.ports():
            port.close()
        for log in self.assembly.logs.values():
            log.close()

    def wake(self) -> None:
        """Something was changed from outside: step now."""
        if not self._running or self._ticking:
            return
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._tick()

    def _tick(self) -> None:
        self._ticking = True
        try:
            busy = self._step(time.monotonic())
        finally:
            self._ticking = False
        self._tick_handle = self._loop.call_later(BUSY_TICK_S if busy else IDLE_TICK_S, self._tick)

    def _step(self, now: float) -> bool:
        busy = False
        for evse in self.evses.values():
            busy = evse.step(now) or busy
        for meter in self._meters:
            busy = meter.step(now) or busy
        for post in self.readers:
            busy = post.peer.step(now) or busy
        if now >= self._next_meter_log:
            self._next_meter_log = now + METER_LOG_S
            for evse in self.evses.values():
                self._log_meter(evse)
        return busy

    def _log_meter(self, evse: SimEvse) -> None:
        log, core = evse.meter_log, evse.core
        last = log.recent[-1] if log.recent else {}
        if last.get("event") != "register" or last.get("energy_mwh") != core.energy_mwh:
            evse.note_register()

    # From outside

    def reader_for(self, evse: int) -> ReaderPost | None:
        """The EVSE's own reader, or the common one. 0 asks for any. None in a lab without."""
        return next((post for post in self.readers if post.evse == evse), self.readers[0] if self.readers else None)

    def tap(self, post: ReaderPost, uid: bytes, hold_s: float) -> None:
        """Hold a card to the reader for that long."""
        if post.removal is not None:
            post.removal.cancel()
        post.peer.present(uid, time.monotonic())
        post.removal = self._loop.call_later(hold_s, post.peer.remove)
        self.wake()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def power(self, on: bool) -> None:
        """Take or give the charger's supply: boards, meters and readers die and boot with it."""
        if on == self.powered:
            return
        self.powered = on
        now = time.monotonic()
        for evse in self.evses.values():
            evse.step(now)
            evse.powered = on
            if on:
                evse.board.power_up(now)
            else:
                evse.board.power_down(now)
        for meter in self._meters:
            meter.power(on, now)
        for post in self.readers:
            post.peer.power(on, now)
        self.wake()

    def state(self) -> dict[str, Any]:
        """Everything, as JSON-ready data."""
        now = time.monotonic()
        for evse in self.evses.values():
            evse.step(now)
        return {
            "powered": self.powered,
            "board": self.settings.board,
            "energy_factor": self.settings.energy_factor,
            "mono_s": now,
            "wall_s": time.time(),
            "evses": [evse.state() for evse in self.evses.values()],
            "readers": [
                {
                    "name": post.name,
                    "evse": post.evse or None,
                    "kind": post.kind.name,
                    "card": None if post.peer.card is None else post.peer.card.hex().upper(),
                }
                for post in self.readers
            ],
        }
