"""What a charge controller's model is, as data: its line, registers, states, and how a wish becomes registers. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from hal.drivers.following import Wish
from hal.drivers.modbus.pdu import (
    READ_COILS,
    READ_HOLDING,
    WRITE_COIL,
    WRITE_REGISTER,
    Read,
    Request,
    WriteCoil,
    WriteRegister,
    WriteRegisters,
)
from hal.ports import PortKind
from hal.values import BoardError, Cable, PilotState

Place = tuple[int, int]
"""Function that reads it, and address from 0: one register or one bit."""


class Wire(Enum):
    RTU = "rtu"
    ASCII = "ascii"
    TCP = "tcp"


class Registers:
    """What has been read of one device so far: one word, or 0 and 1, per place. KeyError for what was not read."""

    def __init__(self) -> None:
        self._words: dict[Place, int] = {}

    def clear(self) -> None:
        self._words.clear()

    def store(self, read: Read, data: bytes) -> None:
        for index in range(read.count):
            if read.reads_bits:
                value = data[index // 8] >> index % 8 & 1
            else:
                value = int.from_bytes(data[2 * index : 2 * index + 2], "big")
            self._words[read.function, read.address + index] = value

    def get(self, place: Place) -> int | None:
        return self._words.get(place)

    def __contains__(self, place: Place) -> bool:
        return place in self._words

    def word(self, function: int, address: int) -> int:
        return self._words[function, address]

    def signed(self, function: int, address: int) -> int:
        value = self.word(function, address)
        return value - 0x10000 if value & 0x8000 else value

    def bit(self, function: int, address: int) -> bool:
        return bool(self._words[function, address])

    def high_first(self, function: int, address: int) -> int:
        """Unsigned 32 bits, the high word first."""
        return self.word(function, address) << 16 | self.word(function, address + 1)

    def low_first(self, function: int, address: int) -> int:
        """Signed 32 bits, the low word first."""
        value = self.word(function, address + 1) << 16 | self.word(function, address)
        return value - 0x1_0000_0000 if value & 0x8000_0000 else value

    def float32(self, function: int, address: int) -> float | None:
        """Big-endian float; None for what is no number."""
        raw = self.high_first(function, address).to_bytes(4, "big")
        value = float(struct.unpack(">f", raw)[0])
        return value if math.isfinite(value) else None

    def text(self, function: int, address: int, count: int) -> str:
        """ASCII, two characters a word, up to the first NUL; other bytes are shown as '?'."""
        raw = b"".join(self.word(function, address + index).to_bytes(2, "big") for index in range(count))
        return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in raw.split(b"\0")[0]).strip()


@dataclass(frozen=True, slots=True)
class Setting:
    """A register or coil that shall hold a value."""

    place: Place
    value: int
    write: int
    """Function that writes it: 5, 6 or 16."""
    mask: int = 0xFFFF
    """Bits that count when it is read back."""
    momentary: bool = False
    """A command, not a value: it is not read back, and said again after a pause while it is still asked for."""
    limit: bool = False
    """The device may hold less than it was told (its own maximum) without anything being wrong."""

    def request(self) -> Request:
        address = self.place[1]
        if self.write == WRITE_COIL:
            return WriteCoil(address, bool(self.value))
        if self.write == WRITE_REGISTER:
            return WriteRegister(address, self.value)
        return WriteRegisters(address, (self.value,))


def coil(address: int, on: bool) -> Setting:
    return Setting((READ_COILS, address), int(on), WRITE_COIL)


def holding(address: int, value: int, *, write: int, limit: bool = False, mask: int = 0xFFFF) -> Setting:
    return Setting((READ_HOLDING, address), value, write, mask, limit=limit)


def command(address: int, value: int, *, write: int) -> Setting:
    return Setting((READ_HOLDING, address), value, write, momentary=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """What the device said of itself when it was recognised."""

    hardware: str = ""
    software: str = ""
    min_current_a: float = 6.0
    max_current_a: float = 80.0
    scale: float = 1.0
    """Amperes per unit of its current register, where that depends on the device."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the configuration wants of the device's own safety net."""

    watchdog_s: float
    failsafe_current_a: float


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be commanded now."""

    wish: Wish
    force_open: bool
    """The contacts are closed and must open at once; False: the vehicle is given the time to stop by itself."""


@dataclass(frozen=True, slots=True)
class Measured:
    energy_import_wh: float
    current_a: tuple[float, ...] = ()
    voltage_v: tuple[float, ...] = ()
    power_w: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the device."""

    state: PilotState
    closed: bool | None
    phases: int | None = None
    errors: frozenset[BoardError] = frozenset()
    cable: Cable | None = None
    locked: bool | None = None
    temperatures_c: tuple[float | None, ...] = ()
    remark: str = ""
    """What holds the device back by itself, and the remedy."""
    uptime_counter: int | None = None
    """Counts up while it runs and begins anew when it was restarted."""


class UnreadableError(Exception):
    """The registers hold what this model never holds. The text says what, and the remedy."""


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    summary: str
    wire: Wire
    default_unit: int
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    gap_s: float = 0.0
    """Pause that the device wants between requests, beyond what the wire wants."""
    response_timeout_s: float = 0.5
    says_twice: bool = False
    """Every request is said twice: the first may find the device asleep."""
    settle_s: float = 1.0
    """After a write the register may show its old value for so long."""
    step_a: float = 1.0
    """Resolution of its current."""
    max_current_a: float = 80.0
    identity: tuple[Read, ...] = ()
    recognise: Callable[[Registers], Identity] = field(default=lambda _: Identity())
    """Raises UnreadableError when this is another device."""
    polls: tuple[Read, ...] = ()
    """Read in every cycle; the state comes first."""
    look: Callable[[Registers], Seen] = field(default=lambda _: Seen(PilotState.INVALID, None))
    """Raises UnreadableError. Everything of ``identity`` and ``polls`` has been read."""
    measures: tuple[Read, ...] = ()
    measure: Callable[[Registers], Measured] | None = None
    """None: the device does not measure energy."""
    prepare: Callable[[Preparation], tuple[Setting, ...]] = field(default=lambda _: ())
    command: Callable[[Order, Identity, Registers], tuple[Setting, ...]] = field(default=lambda *_: ())
    """What the registers shall hold, in the order of writing. The first one alone must end the offer."""
    reset: tuple[Setting, ...] = ()
    """Written for ``reset_board``; empty where it cannot be reset over the wire."""
    readback: Mapping[Place, Place] = field(default_factory=dict)
    """Where a setting is read back from, if not where it is written."""
    own_watchdog: bool = False
    """It can be told to open (or to fall to a low current) by itself when we fall silent."""
    ports: frozenset[PortKind] = frozenset()
    """Beside those that every charge controller has."""
    reads_proximity: bool = False
    """It tells the coding of the plugged cable, if that is wired."""
