"""Card readers on a serial line (PN532, RDM6300). ``DRIVER`` is loaded on first use: whoever only needs the wire
formats (``pn532``, ``rdm6300``) does not pay for the serial line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hal.drivers.serial_reader.driver import DRIVER as DRIVER


def __getattr__(name: str) -> object:
    if name == "DRIVER":
        from hal.drivers.serial_reader.driver import DRIVER

        return DRIVER
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
