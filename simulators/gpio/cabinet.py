"""What stands around the pins of a charger: contactors, lock, monitor, switches, lights, and a watchdog on the coil.
Pure: levels go in and out by name, time comes in."""

from __future__ import annotations

from typing import Protocol

from simulators.boards.contactor import Contactor
from simulators.boards.lock import LockMotor
from simulators.gpio.monitor import ResidualMonitor

WATCHDOG_S = 1.0
"""So long after the last edge of the heartbeat, the watchdog cuts the coils and takes the pilot to −12 V."""
LEAKAGE_MA = 100.0
"""What flows to earth in the fault ``rcd``: smooth DC."""

INPUTS = ("K1_NC", "K2_NC", "BOLT", "RCM_TRIP", "STOP", "COVER", "UPRIGHT", "BUTTON")
OUTPUTS = ("K1", "K2", "LOCK", "UNLOCK", "RCM_TEST", "HEARTBEAT", "RED", "GREEN", "BLUE")
LINES = (*INPUTS, *OUTPUTS)


class Pins(Protocol):
    """A chip, as the electronics see it."""

    def drive(self, name: str, level: bool | None) -> None: ...

    def output(self, name: str) -> bool | None: ...


class Cabinet:
    """Contacts to ground, so an input that is active is driven low, and let go of otherwise."""

    def __init__(self, pins: Pins, now: float) -> None:
        self._pins = pins
        self.first, self.rest = Contactor(), Contactor()
        self.lock = LockMotor()
        self.monitor = ResidualMonitor()
        self.stopped = False
        self.open_cover = False
        self.tilted = False
        self.pressed = False
        self.mirror_lost = False
        self.reason = ""
        """Why a coil was last released."""
        self._beat: bool | None = None
        self._beat_at = now
        self._alive = False
        self._drives: tuple[bool, bool] = (False, False)

    @property
    def alive(self) -> bool:
        """The heartbeat is there: coils have supply."""
        return self._alive

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        return (self.first.closed, self.rest.closed, self.rest.closed)

    def power_down(self, now: float) -> None:
        self._alive = False
        for contactor in (self.first, self.rest):
            contactor.energise(False, now)
            contactor.step(now + 1.0)
        self.reason = "no supply"

    def step(self, now: float) -> bool:
        """Let everything move. True while something does."""
        beat = self._pins.output("HEARTBEAT")
        if beat is not None and beat != self._beat:
            self._beat_at, self._alive = now, True
        self._beat = beat
        if now - self._beat_at > WATCHDOG_S:
            self._alive = False
        moving = self._move_contactors(now)
        moving = self._move_lock(now) or moving
        moving = self.monitor.step(bool(self._pins.output("RCM_TEST")), now) or moving
        self._tell()
        return moving or self._alive

    def _move_contactors(self, now: float) -> bool:
        obstacle = "" if self._alive else "the watchdog saw no heartbeat"
        obstacle = "the emergency stop is pressed" if self.stopped else obstacle
        for name, contactor in (("K1", self.first), ("K2", self.rest)):
            wanted = bool(self._pins.output(name))
            if contactor.coil and not (wanted and not obstacle):
                self.reason = obstacle or "told to open"
            contactor.energise(wanted and not obstacle, now)
        moving = self.first.step(now)
        return self.rest.step(now) or moving

    def _move_lock(self, now: float) -> bool:
        drives = (bool(self._pins.output("LOCK")), bool(self._pins.output("UNLOCK")))
        if drives != self._drives and drives[0] != drives[1]:
            self.lock.drive(drives[0], now)
        self._drives = drives
        return self.lock.step(now)

    def _tell(self) -> None:
        active = {
            "K1_NC": not self.first.feedback and not self.mirror_lost,
            "K2_NC": not self.rest.feedback and not self.mirror_lost,
            "BOLT": self.lock.locked is True,
            "RCM_TRIP": not self.monitor.tripped,  # a closed loop while all is well: a broken wire is a trip
            "STOP": not self.stopped,
            "COVER": not self.open_cover,
            "UPRIGHT": not self.tilted,
            "BUTTON": self.pressed,
        }
        for name, closed in active.items():
            self._pins.drive(name, False if closed else None)
