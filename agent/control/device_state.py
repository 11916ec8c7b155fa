"""A device in the loop, and calls into its driver that never raise."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hal.ports import Device, PortKind

log = logging.getLogger("evse-control")

WELL_S = 10.0
"""A device whose driver raised must work for this long before it is trusted again. Own."""


@dataclass(slots=True)
class DeviceState:
    """A device in the loop."""

    device: Device
    wake_at: float
    evses: list[int] = field(default_factory=list)
    """EVSEs that it serves with any port."""
    failed_at: float | None = None
    failure: str = ""
    told: tuple[bool, str] | None = None
    """Health as last reported."""

    def fail(self, error: BaseException, now: float) -> bool:
        """Note that the driver raised. Returns True when that is news."""
        news = self.failed_at is None
        self.failed_at = now
        self.failure = f"{self.device.name}: its driver failed ({type(error).__name__}: {error}); restart evse-control"
        return news

    def recover(self, now: float) -> None:
        if self.failed_at is not None and now - self.failed_at >= WELL_S:
            self.failed_at, self.failure = None, ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a port of an EVSE comes from: a unit of a device, with everything that this unit offers."""

    device: DeviceState
    unit: Any
    kinds: frozenset[PortKind]

    @property
    def supervised(self) -> bool:
        """The unit has a life sign of its own (``Board``), by which the age of all its readings is judged."""
        return PortKind.BOARD in self.kinds


def guarded(state: DeviceState, call: Callable[[], Any], now: float) -> Any:
    """Call into a driver; what it raises makes the device fail and is logged once."""
    try:
        return call()
    except Exception as error:
        if state.fail(error, now):
            log.error("%s", state.failure, exc_info=True)
        return None


def illness(state: DeviceState, now: float) -> str:
    """Return what a device says is wrong with it; empty when it is well."""
    health = guarded(state, lambda: state.device.health(now), now)
    return "" if health is None or health.ok else health.detail or f"{state.device.name} is not well"
