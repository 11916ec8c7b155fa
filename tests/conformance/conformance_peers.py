"""Any kind of the lab as a counterpart for the kit, in a process of its own, with a vehicle that asks for energy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hal.conformance.subject import Account
from simulators.lab import kinds
from simulators.meters.register import Sample
from simulators.oracle import EventLog
from simulators.vehicle.circuit import NOTHING, R_PRESENT_OHM, R_READY_OHM, Load, parallel_ohm, peaks_v

VEHICLE = Load(parallel_ohm(R_PRESENT_OHM, R_READY_OHM))
"""State C."""
NO_CURRENT = (0.0, 0.0, 0.0)
CHARGING = Sample(current_a=(16.0, 16.0, 16.0))
TABLES = {"boards": kinds.BOARDS, "meters": kinds.METERS, "readers": kinds.READERS}
OFF_S = 0.5
"""How long the supply is gone when the peer is restarted."""


class LabKind:
    """``options`` holds the entries under ``devices:``, by name, and the EVSE's ``references`` to them."""

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop, table: str, name: str) -> None:
        self._loop = loop
        self._table = table
        self._wants = False
        self._stepping = False
        self._powered = True
        self._peer: Any = None
        site = kinds.Site(1, directory, loop, EventLog(), time.monotonic(), self._wake)
        kind = kinds.load(TABLES[table], name)
        self._peer = kind.build(site, {1: 1000}) if table == "meters" else kind.build(site)
        for port in self._peer.ports():
            port.open(loop)
        if table == "meters":
            self._peer.core(1).integrate(0.0, CHARGING)
        references = self._peer.references() if table == "boards" else {}
        self.options: Mapping[str, Any] = {"devices": self._peer.devices(), "references": references}

    def _wake(self) -> None:
        self.step(time.monotonic())

    def step(self, now: float) -> None:
        if self._peer is None or self._stepping:
            return
        self._stepping = True
        try:
            self._step(now)
        finally:
            self._stepping = False

    def _step(self, now: float) -> None:
        if self._table != "boards":
            self._peer.step(now)
            return
        high_v, low_v = peaks_v(self._peer.duty_pct, VEHICLE if self._wants else NOTHING)
        current_a = CHARGING.current_a if self._wants and any(self._peer.poles) else NO_CURRENT
        cable_a = 32 if self._wants else 0
        self._peer.step(now, kinds.Surroundings(high_v, low_v, cable_a, current_a, energy_wh=1000.0))

    def account(self) -> Account | None:
        if self._table != "boards":
            return None
        state = self._peer.state()
        return Account(bool(state["closed"] or state["coil"]), 0.0 < self._peer.duty_pct < 100.0)

    def ask(self, wants: bool) -> None:
        self._wants = wants
        self._wake()

    def restart(self) -> None:
        self._power(False)
        self._loop.call_later(OFF_S, self._power, True)

    def _power(self, on: bool) -> None:
        now = time.monotonic()
        if self._table != "boards":
            self._peer.power(on, now)
        elif on:
            self._peer.power_up(now)
        else:
            self._peer.power_down(now)
        self._wake()

    def close(self) -> None:
        for port in self._peer.ports():
            port.close()
