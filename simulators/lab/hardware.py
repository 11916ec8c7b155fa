"""All the hardware of one lab on one event loop: ports, boards, meters, readers, and the tick that moves them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from hal.drivers.mcu_board.messages import Variant
from simulators.boards.board import Board
from simulators.lab.evse import SimEvse
from simulators.lab.registers import load_registers, save_registers
from simulators.lab.settings import FIRST_REGISTER_WH, METER_BAUD, LabSettings
from simulators.meters.modbus_line import ModbusLine, Slave
from simulators.meters.register import MeterCore
from simulators.oracle import EventLog
from simulators.pty_port import PtyPort
from simulators.readers.pn532 import Pn532
from simulators.readers.rdm6300 import Rdm6300

BUSY_TICK_S = 0.01
IDLE_TICK_S = 0.1
METER_LOG_S = 1.0


@dataclass(slots=True)
class ReaderPost:
    """A reader on its port. ``evse`` is 0 for one that serves all."""

    name: str
    evse: int
    port: PtyPort
    device: Pn532 | Rdm6300
    removal: asyncio.TimerHandle | None = None


class Hardware:
    """Build, ``start``, and ``stop`` it inside a running event loop."""

    def __init__(self, settings: LabSettings) -> None:
        self.settings = settings
        self.powered = True
        self.started_at = time.monotonic()
        self.wall_started_at = time.time()
        self._loop = asyncio.get_running_loop()
        self._tick_handle: asyncio.TimerHandle | None = None
        self._pulled: set[PtyPort] = set()
        self._next_meter_log = 0.0
        self._logs: list[EventLog] = []
        now = time.monotonic()
        registers = load_registers(settings.directory)
        slaves = {
            n: Slave(n, settings.meter_map, MeterCore(registers.get(n, FIRST_REGISTER_WH * n)), self._log(f"meter{n}"))
            for n in range(1, settings.evses + 1)
        }
        self.meter_port = PtyPort(settings.meter_port, self._to_meters, seed=100)
        self.meter_line = ModbusLine(slaves, self._from_meters, METER_BAUD)
        self.evses = {n: self._build_evse(n, slaves[n], now) for n in slaves}
        self.readers = [
            self._build_reader(name, number if settings.readers_per_evse else 0)
            for number, name in enumerate(settings.reader_names(), 1)
        ]

    def _log(self, name: str) -> EventLog:
        log = EventLog(self.settings.directory / "logs" / f"{name}.jsonl")
        self._logs.append(log)
        return log

    def _build_evse(self, number: int, slave: Slave, now: float) -> SimEvse:
        settings = self.settings
        port = PtyPort(settings.board_port(number), lambda data: self._to_board(number, data), seed=number)
        board = Board(
            Variant(settings.board),
            port.write,
            self._log(f"board{number}"),
            now,
            ventilation=settings.ventilation,
            seed=number,
        )
        board.hardware_max_a = settings.max_current_a
        board.phases = settings.phases
        evse = SimEvse(number, board, port, slave, settings.phases, tethered=settings.connector == "cable")
        evse.energy_factor = settings.energy_factor
        return evse

    def _build_reader(self, name: str, evse: int) -> ReaderPost:
        port = PtyPort(self.settings.directory / name, lambda data: self._to_reader(name, data), seed=200 + evse)
        device = Pn532(port.write) if self.settings.reader == "pn532" else Rdm6300(port.write)
        return ReaderPost(name, evse, port, device)

    # Life

    def ports(self) -> list[PtyPort]:
        return [*(evse.port for evse in self.evses.values()), self.meter_port, *(post.port for post in self.readers)]

    def start(self) -> None:
        for port in self.ports():
            port.open(self._loop)
        self.wake()

    def stop(self) -> None:
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        save_registers(self.settings.directory, {n: evse.meter.core.register_wh for n, evse in self.evses.items()})
        for port in self.ports():
            port.close()
        for log in self._logs:
            log.close()

    def wake(self) -> None:
        """Something was changed from outside: step now."""
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._tick()

    def _tick(self) -> None:
        now = time.monotonic()
        busy = False
        for evse in self.evses.values():
            busy = evse.step(now) or busy
        for post in self.readers:
            busy = post.device.step(now) or busy
        if now >= self._next_meter_log:
            self._next_meter_log = now + METER_LOG_S
            for evse in self.evses.values():
                self._log_meter(evse)
        self._tick_handle = self._loop.call_later(BUSY_TICK_S if busy else IDLE_TICK_S, self._tick)

    def _log_meter(self, evse: SimEvse) -> None:
        log, core = evse.meter.log, evse.meter.core
        last = log.recent[-1] if log.recent else {}
        if last.get("event") != "register" or last.get("energy_mwh") != core.energy_mwh:
            log.add("register", register_wh=core.register_wh, energy_mwh=core.energy_mwh)

    # Lines

    def _to_board(self, number: int, data: bytes) -> None:
        evse = self.evses[number]
        evse.board.receive(data, time.monotonic())
        self.wake()  # a new pilot or a withdrawn permission acts at once

    def _to_meters(self, data: bytes) -> None:
        if not self.powered:
            return
        now = time.monotonic()
        for evse in self.evses.values():
            evse.step(now)
        self.meter_line.receive(data, now)

    def _from_meters(self, reply: bytes, delay_s: float) -> None:
        self._loop.call_later(delay_s, self._deliver, reply)

    def _deliver(self, reply: bytes) -> None:
        if self.powered:
            self.meter_port.write(reply)

    def _to_reader(self, name: str, data: bytes) -> None:
        if not self.powered:
            return
        post = next(post for post in self.readers if post.name == name)
        post.device.receive(data, time.monotonic())
        self.wake()

    # From outside

    def reader_for(self, evse: int) -> ReaderPost:
        """The EVSE's own reader, or the common one. 0 asks for any."""
        return next((post for post in self.readers if post.evse == evse), self.readers[0])

    def tap(self, uid: bytes, evse: int, hold_s: float) -> str:
        """Hold a card to the reader for that long; returns the reader's name."""
        post = self.reader_for(evse)
        if post.removal is not None:
            post.removal.cancel()
        post.device.present(uid, time.monotonic())
        post.removal = self._loop.call_later(hold_s, post.device.remove)
        self.wake()
        return post.name

    def unplug(self, port: PtyPort) -> None:
        self._pulled.add(port)
        port.close()

    def replug(self, port: PtyPort) -> None:
        self._pulled.discard(port)
        port.open(self._loop)

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
        for post in self.readers:
            post.device.remove()
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
                    "card": None if post.device.card is None else post.device.card.hex().upper(),
                }
                for post in self.readers
            ],
        }
