"""The motor or bolt that locks the plug: timed drive, never longer than its limit, and a switch that tells."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit
from hal.drivers.lock_motor import MAX_PULSE_MS, LockMotor
from hal.gpio.address import check_input, check_output
from hal.options import option
from hal.values import LockReading


@dataclass(frozen=True, slots=True)
class LockOptions:
    lock: str = option(
        help="output: drives the motor towards locked (alone: holds the bolt while it is active)",
        exclusive="GPIO line",
        check=check_output,
    )
    feedback: str = option(help="input: active while the bolt is locked", exclusive="GPIO line", check=check_input)
    unlock: str = option(
        "",
        help="output: drives the motor towards unlocked; empty for a bolt that a spring pulls back",
        exclusive="GPIO line",
        check=check_output,
    )
    pulse_ms: float = option(600.0, help="how long the motor is driven", unit="ms", ge=50, le=MAX_PULSE_MS)
    settle_ms: float = option(
        100.0, help="after the pulse, before the switch is believed", unit="ms", ge=0, le=MAX_PULSE_MS
    )


class LockUnit(Unit):
    """Implements CableLock. Control decides on further tries."""

    def __init__(self, options: LockOptions, consumer: str) -> None:
        self._lock = Pin(options.lock, output=True, consumer=consumer)
        self._unlock = Pin(options.unlock, output=True, consumer=consumer) if options.unlock else None
        self._switch = Pin(options.feedback, output=False, consumer=consumer)
        self._motor = LockMotor(
            self._drive, options.pulse_ms / 1000, options.settle_ms / 1000, bolt=self._unlock is None
        )
        super().__init__(self._lock, self._unlock, self._switch)

    def set_lock(self, locked: bool, now: float) -> None:
        if self._ready:
            self._motor.set(locked, now)

    def lock(self) -> LockReading | None:
        """None for ``locked`` while the motor turns or the switch settles."""
        if self._switch.level is None:
            return None
        return LockReading(self._switch.at, None if self._motor.moving(self._switch.at) else self._switch.level)

    def on_timer(self, now: float) -> float:
        if not self._ready:
            self._motor.forget(now)
        return min(self._motor.on_timer(now), super().on_timer(now))

    def make_safe(self, now: float) -> None:
        """Motor off. A plug stays as it is: whether to free it is control's decision, made before it closes."""
        self._motor.stop(now)

    @property
    def _ready(self) -> bool:
        return self._lock.is_open and (self._unlock is None or self._unlock.is_open)

    def _drive(self, towards_locked: bool, on: bool) -> bool:
        pin = self._lock if towards_locked else self._unlock
        return pin is not None and pin.set(on)
