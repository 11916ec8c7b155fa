"""USB readers that type a card's number as a keyboard does. ``DRIVER`` is loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.drivers.hid_reader.driver import DRIVER as DRIVER


def __getattr__(name: str) -> object:
    if name == "DRIVER":
        from hal.drivers.hid_reader.driver import DRIVER

        return DRIVER
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
