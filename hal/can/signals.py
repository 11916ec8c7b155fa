"""One number inside a frame: where its bits lie and what they stand for. Pure.

The two byte orders as DBC files mean them: in the little-endian one (Intel, ``@1``) ``start`` is the lowest bit,
counted from bit 0 of byte 0 upwards; in the big-endian one (Motorola, ``@0``) it is the highest bit, and the number
runs on through the lower bits of that byte and then through the next byte from its bit 7 down.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

FLOATS = {16: "<e", 32: "<f", 64: "<d"}


@dataclass(frozen=True, slots=True)
class Signal:
    """``start``, ``length`` in bits; physical value = raw × ``scale`` + ``offset``.

    ``shift`` is derived for a frame of ``size`` bytes read as one integer. ``low`` and ``high`` bound the physical
    value; None where the file sets none. ``absent`` are raw values (unsigned, as on the wire) that mean "no value".
    ``mux`` are the raw values of the message's multiplexor with which this signal is sent; empty: always.
    """

    name: str
    start: int
    length: int
    size: int
    big_endian: bool = False
    signed: bool = False
    is_float: bool = False
    scale: float = 1.0
    offset: float = 0.0
    low: float | None = None
    high: float | None = None
    absent: tuple[int, ...] = ()
    mux: tuple[int, ...] = ()
    meanings: tuple[tuple[int, Any], ...] = ()
    """Raw value (unsigned) → what it means, for flags and choices."""
    _shift: int = field(init=False, repr=False, compare=False, default=0)
    _mask: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        # Worked out once: every frame asks for them.
        object.__setattr__(self, "_mask", (1 << self.length) - 1 if self.length > 0 else 0)
        shift = self.start
        if self.big_endian:
            shift = self.size * 8 - (self.start // 8 * 8 + 7 - self.start % 8) - self.length
        object.__setattr__(self, "_shift", shift)

    @property
    def shift(self) -> int:
        """Places from the frame's last bit, when it is read as one integer in the signal's byte order."""
        return self._shift

    @property
    def mask(self) -> int:
        return self._mask

    def fits(self) -> bool:
        """All its bits lie inside the frame."""
        inside = 0 <= self.start < self.size * 8 and 1 <= self.length <= self.size * 8
        return inside and self.shift >= 0 and self.shift + self.length <= self.size * 8

    def bits(self, data: bytes) -> int:
        """Return its bits as an unsigned number. ``data`` has at least ``size`` bytes."""
        whole = int.from_bytes(data[: self.size], "big" if self.big_endian else "little")
        return whole >> self._shift & self._mask

    def number(self, data: bytes) -> float | None:
        """Return the physical value; None for an absent one, one out of its range, or one that is no number."""
        bits = self.bits(data)
        if bits in self.absent:
            return None
        raw: float
        if self.is_float:
            raw = struct.unpack(FLOATS[self.length], bits.to_bytes(self.length // 8, "little"))[0]
        elif self.signed and bits >> (self.length - 1):
            raw = bits - (1 << self.length)
        else:
            raw = bits
        if not math.isfinite(raw):
            return None
        value = raw * self.scale + self.offset
        slack = abs(self.scale) * 1e-6  # 25.5 may be 25.500000000000004 here and 25.5 in the file
        if (self.low is not None and value < self.low - slack) or (self.high is not None and value > self.high + slack):
            return None
        return value if math.isfinite(value) else None

    def meaning(self, data: bytes) -> Any:
        """Return what its raw value stands for; None for one that nobody has given a meaning."""
        bits = self.bits(data)
        for raw, meaning in self.meanings:
            if raw == bits:
                return meaning
        return None

    def raw_of(self, value: float) -> int:
        """Return the bits for a physical value, rounded down to the signal's step. OverflowError outside its range."""
        if self.is_float:
            packed = struct.pack(FLOATS[self.length], (value - self.offset) / self.scale)
            return int.from_bytes(packed, "little")
        steps = math.floor((value - self.offset) / self.scale + 1e-6)
        low = -(1 << (self.length - 1)) if self.signed else 0
        high = low + self.mask
        if not low <= steps <= high:
            raise OverflowError(f"{self.name}: {value:g} does not fit into its {self.length} bits")
        return steps & self.mask

    def raw_meaning(self, meaning: Any) -> int | None:
        """Return the bits that stand for ``meaning``, None when nothing does."""
        return next((raw for raw, known in self.meanings if known is meaning or known == meaning), None)

    def put(self, data: bytearray, bits: int) -> None:
        """Write its bits into a frame."""
        whole = int.from_bytes(data[: self.size], "big" if self.big_endian else "little")
        whole = whole & ~(self.mask << self.shift) | (bits & self.mask) << self.shift
        data[: self.size] = whole.to_bytes(self.size, "big" if self.big_endian else "little")
