"""Pilot boards with their own safety controller (Yeti, TIDA-010939). ``DRIVER`` is loaded on first use: whoever only
needs the wire codec (``messages``, ``wire``) does not pay for the serial line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.drivers.mcu_board.driver import DRIVER as DRIVER


def __getattr__(name: str) -> object:
    if name == "DRIVER":
        from hal.drivers.mcu_board.driver import DRIVER

        return DRIVER
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
