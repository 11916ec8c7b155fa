"""The OpenEVSE driver on a pty, a simulated controller behind it, a vehicle at its cable; all in virtual time."""

from __future__ import annotations

import select
from pathlib import Path
from typing import Any

from hal_rig import PATIENCE_S, Plug

from hal.drivers.openevse.controller import OpenEvseUnit
from hal.drivers.openevse.driver import OpenEvse
from hal.drivers.openevse.options import OpenEvseOptions
from simulators.openevse.firmware import Around
from simulators.openevse.line import OpenEvse as Peer
from simulators.oracle import EventLog
from simulators.vehicle.cars import GENERIC
from simulators.vehicle.characters import CHARACTERS
from simulators.vehicle.circuit import NOTHING, peaks_v
from simulators.vehicle.vehicle import Vehicle

STEP_S = 0.01
X1, F = 100.0, 0.0
A16 = 26.66
"""16 A as control commands it."""


class Rig:
    """``hold(duty, closed)`` is what control asserts on every step from then on."""

    def __init__(self, folder: Path, *, start: bool = True, peer: dict[str, Any] | None = None, **options: Any) -> None:
        self.plug = Plug(folder)
        self.log = EventLog()
        self.now = 0.0
        self.said = self.heard = 0
        """Bytes on their way to the device, and those that it has taken."""
        self.device = OpenEvse("evse", OpenEvseOptions(str(self.plug.path), **options))
        self.peer = Peer(self._from_peer, self.log, 0.0, **(peer or {}))
        self.unit: OpenEvseUnit = self.device.unit("")
        self.vehicle: Vehicle | None = None
        self.current_a = 0.0
        self.energy_wh = 0.0
        self.cut = False
        self.held: tuple[float, bool] | None = None
        self.lines_out = 0
        self._wake = 0.0
        self._count_what_is_heard()
        self.step_peer(2.0)  # it booted long ago
        if start:
            self.device.start(self.now)

    def close(self) -> None:
        self.device.close()
        self.plug.close()

    # Control and vehicle

    def hold(self, duty_pct: float, closed: bool) -> None:
        self.held = (duty_pct, closed)

    def arrive(self, character: str = "normal") -> None:
        self.vehicle = Vehicle(GENERIC, CHARACTERS[character])

    def leave(self) -> None:
        self.vehicle = None
        self.current_a = 0.0

    # Time

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.step()

    def until(self, condition: Any, within_s: float = 10.0) -> float:
        """Let time pass until the condition holds. Returns how long that took."""
        begin = self.now
        while not condition():
            assert self.now - begin < within_s, "it never came"
            self.step()
        return self.now - begin

    def step(self) -> None:
        self.now = round(self.now + STEP_S, 3)
        self.step_peer(STEP_S)
        self._exchange()
        if self.held is not None:
            self.unit.set_pilot(self.held[0], self.now)
            self.unit.set_contactor(self.held[1], self.now)
        if self.now >= self._wake or self.device.fileno() is None:
            self._wake = self.device.on_timer(self.now)
        self._exchange()

    def step_peer(self, seconds: float) -> None:
        firmware = self.peer.firmware
        if self.vehicle is not None:
            mains = (firmware.contactor.closed, False, False)
            self.current_a = self.vehicle.step(seconds, firmware.duty_pct, mains).current_a[0]
        self.energy_wh += self.current_a * 230 * seconds / 3600
        high_v, low_v = peaks_v(firmware.duty_pct, self.vehicle.load() if self.vehicle else NOTHING)
        if seconds > 1:
            self.peer.step(seconds, Around(high_v, low_v))
            self.now = seconds
        else:
            self.peer.step(self.now, Around(high_v, low_v, self.current_a, self.energy_wh))

    # The wire

    def _count_what_is_heard(self) -> None:
        controller = self.device._controller
        feed = controller.feed

        def counted(data: bytes, now: float) -> None:
            self.heard += len(data)
            feed(data, now)

        controller.feed = counted  # type: ignore[method-assign]

    def pull(self) -> None:
        self.plug.pull()

    def push(self) -> None:
        self.plug.plug_in()
        self.lines_out = self.device._controller.lines_sent

    def _from_peer(self, data: bytes) -> None:
        if not self.cut and self.plug.is_in and self.device.fileno() is not None:
            self.plug.send(data)
            self.said += len(data)

    def _exchange(self) -> None:
        """Carry lines over and back until both are quiet."""
        controller = self.device._controller
        for _ in range(100):
            fd = self.device.fileno()
            if fd is None:
                self.said = self.heard
                return
            said = self.said != self.heard
            while self.said != self.heard and self.device.fileno() is not None:
                assert select.select([self.device.fileno()], [], [], PATIENCE_S)[0], "bytes were lost"
                self.device.on_readable(self.now)
            data = b""
            while self.lines_out + data.count(b"\r") < controller.lines_sent:
                more = self.plug.receive(wait=True)
                if not more:
                    break
                data += more
            self.lines_out = controller.lines_sent
            if data and not self.cut:
                self.peer.receive(data, self.now)
            if not data and not said:
                return
        raise AssertionError("they talk without end")
