"""The motor or bolt that locks the plug: timed drive, never longer than its limit, and a switch that tells."""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit
from hal.gpio.address import check_input, check_output
from hal.options import option
from hal.values import LockReading

MAX_PULSE_MS = 4000.0
"""Motors are driven 600 ms as a rule and never longer than this (chargebyte)."""
DEAD_TIME_S = 0.1
"""Both halves of the bridge rest so long before the motor turns the other way. Own."""


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
    """Implements CableLock. Only a new command drives the motor: repeats do not. Control decides on further tries."""

    def __init__(self, options: LockOptions, consumer: str) -> None:
        self._lock = Pin(options.lock, output=True, consumer=consumer)
        self._unlock = Pin(options.unlock, output=True, consumer=consumer) if options.unlock else None
        self._switch = Pin(options.feedback, output=False, consumer=consumer)
        self._pulse_s = options.pulse_ms / 1000
        self._settle_s = options.settle_ms / 1000
        self._wanted: bool | None = None
        self._begins_at: float | None = None
        """A drive that waits for the bridge to rest."""
        self._driven_since: float | None = None
        self._rests_until = float("-inf")
        self._settled_at = float("-inf")
        super().__init__(self._lock, self._unlock, self._switch)

    def set_lock(self, locked: bool, now: float) -> None:
        if locked is self._wanted or not self._ready:
            return
        self._wanted = locked
        if self._unlock is None:
            self._lock.set(locked)
            self._settled_at = now + self._settle_s
            return
        if self._driven_since is not None:
            self._rest(now)
        self._begins_at = max(now, self._rests_until)
        self._work(now)

    def lock(self) -> LockReading | None:
        """None for ``locked`` while the motor turns or the switch settles."""
        if self._switch.level is None:
            return None
        moving = self._begins_at is not None or self._driven_since is not None or self._switch.at < self._settled_at
        return LockReading(self._switch.at, None if moving else self._switch.level)

    def on_timer(self, now: float) -> float:
        if not self._ready:
            self._wanted = self._begins_at = None
            if self._driven_since is not None:
                self._rest(now)
        self._work(now)
        if self._driven_since is not None:
            return self._driven_since + self._pulse_s
        if self._begins_at is not None:
            return self._begins_at
        return self._settled_at if now < self._settled_at else super().on_timer(now)

    def make_safe(self, now: float) -> None:
        """Motor off. A plug stays as it is: whether to free it is control's decision, made before it closes."""
        self._begins_at = None
        if self._unlock is not None and self._driven_since is not None:
            self._rest(now)

    @property
    def _ready(self) -> bool:
        return self._lock.is_open and (self._unlock is None or self._unlock.is_open)

    def _work(self, now: float) -> None:
        if self._driven_since is not None and now - self._driven_since >= self._pulse_s:
            self._rest(now)
        if self._begins_at is not None and now >= self._begins_at and self._unlock is not None:
            self._begins_at = None
            (self._lock if self._wanted else self._unlock).set(True)
            self._driven_since = now

    def _rest(self, now: float) -> None:
        self._lock.set(False)
        if self._unlock is not None:
            self._unlock.set(False)
        self._driven_since = None
        self._rests_until = now + DEAD_TIME_S
        self._settled_at = now + self._settle_s
