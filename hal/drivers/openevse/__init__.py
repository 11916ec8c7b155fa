"""OpenEVSE controllers over their serial protocol (RAPI). ``DRIVER`` is loaded on first use: whoever only needs the
wire format (``rapi``) does not pay for the serial line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.drivers.openevse.driver import DRIVER as DRIVER


def __getattr__(name: str) -> object:
    if name == "DRIVER":
        from hal.drivers.openevse.driver import DRIVER

        return DRIVER
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
