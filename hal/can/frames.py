"""What passes on a CAN bus, and how the bus does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

MAX_DATA = 8
STANDARD_MASK, EXTENDED_MASK = 0x7FF, 0x1FFF_FFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """One classic CAN frame: 11-bit or (``extended``) 29-bit id, up to 8 bytes."""

    id: int
    data: bytes = b""
    extended: bool = False
    remote: bool = False

    @property
    def key(self) -> tuple[int, bool]:
        """What tells messages apart: an 11-bit and a 29-bit id of the same number are two messages."""
        return (self.id, self.extended)


def is_id(number: int, extended: bool) -> bool:
    return 0 <= number <= (EXTENDED_MASK if extended else STANDARD_MASK)


class BusState(IntEnum):
    """State of the controller's fault confinement (ISO 11898-1), the worst last."""

    ACTIVE = 0
    WARNING = 1
    PASSIVE = 2
    BUS_OFF = 3


# Error frames as Linux hands them out (linux/can/error.h): class in the id, details in the data.
_CONTROLLER, _BUS_OFF, _RESTARTED = 0x004, 0x040, 0x100
_WARNING, _PASSIVE, _ACTIVE = 0x04 | 0x08, 0x10 | 0x20, 0x40


def state_of_error(error_class: int, data: bytes, before: BusState) -> BusState:
    """Return the bus state after an error frame; ``before`` where it tells of none."""
    if error_class & _BUS_OFF:
        return BusState.BUS_OFF
    if error_class & _RESTARTED:
        return BusState.ACTIVE
    if error_class & _CONTROLLER and len(data) > 1:
        if data[1] & _PASSIVE:
            return BusState.PASSIVE
        if data[1] & _WARNING:
            return BusState.WARNING
        if data[1] & _ACTIVE:
            return BusState.ACTIVE
    return before
