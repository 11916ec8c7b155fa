"""The driver of a Modbus charge controller on the real wire, against its simulated box; both in one thread.

``high_v`` plays the vehicle: the pilot level that the box senses. Time is the machine's; each wait ends as soon as
what is waited for is there.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hal.drivers.modbus_controller import DRIVER, ModbusControllerOptions, ModelName
from hal.drivers.modbus_controller.driver import ModbusController
from simulators.controllers.kinds import MANNERS, ControllerPeer
from simulators.lab.kinds import Site, Surroundings
from simulators.oracle import EventLog

A_V, B_V, C_V = 12.0, 9.0, 6.0
PATIENCE_S = 20.0
"""Longest real wait; only a failing test waits that long."""
LOW_V = -12.0


class Rig:
    def __init__(self, box: str, folder: Path, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.log = EventLog()
        manner = next(manner for manner in MANNERS if manner.model == box)
        site = Site(1, folder, self.loop, self.log, time.monotonic(), lambda: None, max_current_a=32.0)
        self.peer = ControllerPeer(manner, site)
        self.around = Surroundings(A_V, LOW_V)
        self.peer.port.open(self.loop)
        entry = {name: value for name, value in self.peer.devices()["board1"].items() if name != "driver"}
        entry |= {"model": ModelName(entry["model"]), "poll_interval_s": 0.05, **options}
        self.options = ModbusControllerOptions(**entry)
        self.device = self.make()
        self.unit = self.device.unit(self.options.controllers[0].name)
        self.started = False
        self.slowest_s = 0.0
        """The longest that any callback took."""

    def make(self) -> ModbusController:
        device = DRIVER.create("board1", self.options)
        assert isinstance(device, ModbusController)
        return device

    def start(self) -> None:
        self.started = True
        self.device.start(time.monotonic())

    @property
    def high_v(self) -> float:
        return self.around.high_v

    @high_v.setter
    def high_v(self, value: float) -> None:
        self.around = replace(self.around, high_v=value)

    def turn(self) -> None:
        """Let the box, the wire and the device each do what is due."""
        self.peer.step(time.monotonic(), self.around)
        self.loop.call_later(0.002, self.loop.stop)
        self.loop.run_forever()
        if not self.started:
            return
        fd = self.device.fileno()
        readable = fd is not None and bool(select.select([fd], [], [], 0)[0])
        began = time.monotonic()
        if readable:
            self.device.on_readable(began)
        wake = self.device.on_timer(began)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        assert wake > began

    def until(self, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, self.device.health(time.monotonic()).detail or "it never came"
            self.turn()

    def during(self, seconds: float, check: Callable[[], object]) -> None:
        """``check`` holds all that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()
            assert check()

    def command(self, duty_pct: float, *, closed: bool = False) -> None:
        now = time.monotonic()
        self.unit.set_contactor(closed, now)
        self.unit.set_pilot(duty_pct, now)

    def verified(self) -> None:
        self.until(lambda: self.unit.verified)

    def charge(self, duty_pct: float = 26.67) -> None:
        """From nothing to closed contacts."""
        self.verified()
        self.high_v = B_V
        self.command(duty_pct)
        self.until(lambda: self.peer.box.offering)
        self.high_v = C_V
        self.until(lambda: self.peer.box.contactor.closed)
        self.until(lambda: (reading := self.unit.contactor()) is not None and reading.closed)
        self.command(duty_pct, closed=True)

    @property
    def detail(self) -> str:
        return self.device.health(time.monotonic()).detail

    def close(self) -> None:
        self.device.close()
        self.peer.port.close()
        self.loop.close()
