"""A line with two residual-current monitors as a counterpart for the conformance kit, in a process of its own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from hal.conformance.subject import Account
from simulators.pty_port import PtyPort
from simulators.rcm.modbus_monitor import RcmLine, Unit
from simulators.rcm.monitor import Monitor

OWN_MAP = Path(__file__).parents[2] / "docs" / "examples" / "residual-monitor.yaml"
OFF_S = 0.5


class RcmCounterpart:
    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._units = {address: Unit(address, Monitor()) for address in (1, 2)}
        self._port = PtyPort(directory / "rcm", self._hear)
        self._line = RcmLine(self._units, self._port.write)
        self._port.open(loop)
        # A pty has no parity.
        self.options: dict[str, Any] = {
            "driver": "modbus-rcm",
            "port": str(self._port.link),
            "parity": "N",
            "monitors": [
                {"name": "left", "address": 1, "map": "rcmb300"},
                {"name": "right", "address": 2, "map": str(OWN_MAP)},
            ],
        }

    def _hear(self, data: bytes) -> None:
        self._line.receive(data, time.monotonic())

    def step(self, now: float) -> None:
        for unit in self._units.values():
            unit.monitor.step(now)

    def account(self) -> Account | None:
        return None

    def ask(self, wants: bool) -> None:
        """There is no vehicle here."""

    def restart(self) -> None:
        self._silence(True)
        self._loop.call_later(OFF_S, self._silence, False)

    def _silence(self, silent: bool) -> None:
        for unit in self._units.values():
            unit.silent = silent

    def close(self) -> None:
        self._port.close()
