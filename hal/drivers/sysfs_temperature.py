"""What the kernel's temperature files say. Pure: text in, degrees Celsius out.

Sources: kernel documentation, hwmon sysfs interface (tempN_input in millidegrees) and w1_therm (w1_slave: the nine
bytes of the scratchpad, the CRC's verdict, and the temperature); Maxim DS18B20 for the scratchpad.
"""

from __future__ import annotations

import re

LOWEST_C, HIGHEST_C = -55.0, 150.0
"""What sensors of this class can measure."""
POWER_ON_C = 85.0
"""What a DS18B20 holds before its first conversion: a conversion failed, or its supply did."""

_W1_SLAVE = re.compile(
    r"(?P<raw>(?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (?P<verdict>YES|NO)\s+"
    r"(?:[0-9a-f]{2} ){9}t=(?P<milli>-?\d{1,7})\s*"
)
_MILLIDEGREES = re.compile(r"-?\d{1,7}\s*")


class NoReadingError(ValueError):
    """A file holds no temperature. ``broken``: the sensor itself is, beyond doubt."""

    def __init__(self, text: str, *, broken: bool = False) -> None:
        super().__init__(text)
        self.broken = broken


def crc8(data: bytes) -> int:
    """CRC of 1-wire (x⁸ + x⁵ + x⁴ + 1, reflected, begun with 0)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def parse_millidegrees(text: str) -> float:
    """Read ``tempN_input`` or a 1-wire sensor's ``temperature``. Raises NoReadingError."""
    if not _MILLIDEGREES.fullmatch(text):
        raise NoReadingError("holds no number; check the sensor and its driver")
    return int(text) / 1000


def parse_w1_slave(text: str) -> float:
    """Read ``w1_slave``; the checksum is judged anew. Raises NoReadingError."""
    found = _W1_SLAVE.fullmatch(text)
    if found is None:
        raise NoReadingError("holds no 1-wire temperature; check the sensor and its driver")
    scratchpad = bytes.fromhex(found["raw"])
    if not any(scratchpad):  # its checksum is right
        raise NoReadingError("all zero: the 1-wire bus is shorted; check its wiring")
    if found["verdict"] != "YES" or crc8(scratchpad[:-1]) != scratchpad[-1]:
        raise NoReadingError("wrong checksum; check the wiring and the pull-up of the 1-wire bus")
    return int(found["milli"]) / 1000


def plausible(value_c: float, *, one_wire: bool) -> float:
    """Return the value, or raise NoReadingError for one that no sensor measures."""
    if one_wire and value_c == POWER_ON_C:
        raise NoReadingError("85 °C is what it shows before it has measured; check its supply")
    if not LOWEST_C <= value_c <= HIGHEST_C:
        raise NoReadingError(f"{value_c:g} °C is outside {LOWEST_C:g} … {HIGHEST_C:g}; check the sensor", broken=True)
    return value_c
