"""From commands to frames: what we hold towards the other side. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from hal.can.frames import Frame
from hal.can.roles import WRITE_NUMBERS
from hal.can.table import Outgoing, Table

NOTHING = "none"
"""Meaning of the raw value by which nothing is commanded, where a signal has one."""


@dataclass(slots=True)
class Sender:
    """Holds a value per role; begins with the safe ones: pilot F, everything else off or uncommanded."""

    table: Table
    offset: int = 0
    _bits: dict[str, int] = field(default_factory=dict)
    _message: dict[str, Outgoing] = field(default_factory=dict)
    _counters: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for message in self.table.outgoing:
            self._message.update(dict.fromkeys(message.signals, message))
        self.make_safe()

    @property
    def keys(self) -> frozenset[tuple[int, bool]]:
        return frozenset((message.id + self.offset, message.extended) for message in self.table.outgoing)

    def make_safe(self) -> None:
        for role, message in self._message.items():
            signal = message.signals[role]
            if role in WRITE_NUMBERS:
                self._bits[role] = signal.raw_of(0.0)
                continue
            nothing = signal.raw_meaning(NOTHING) if role in ("lock", "three_phases") else None
            off = signal.raw_meaning(False) if nothing is None else nothing
            self._bits[role] = off or 0

    def set(self, role: str, value: float | bool) -> Outgoing | None:
        """Hold a value. Returns the message to send when that changes it; None too where there is no such signal."""
        message = self._message.get(role)
        if message is None:
            return None
        signal = message.signals[role]
        bits = signal.raw_of(float(value)) if role in WRITE_NUMBERS else signal.raw_meaning(bool(value))
        if bits is None or self._bits[role] == bits:
            return None
        self._bits[role] = bits
        return message

    def holds(self, role: str, value: bool) -> bool:
        message = self._message.get(role)
        return message is not None and message.signals[role].raw_meaning(value) == self._bits[role]

    def frame(self, message: Outgoing) -> Frame:
        """Return the message as it is to be sent now; each call counts its counter on."""
        data = bytearray(message.constant)
        for role, signal in message.signals.items():
            signal.put(data, self._bits[role])
        if message.counter is not None:
            count = self._counters.get(message.name, -1) + 1 & message.counter.mask
            self._counters[message.name] = count
            message.counter.put(data, count)
        if message.checksum is not None:
            data[message.checksum.byte] = message.checksum.of(bytes(data))
        return Frame(message.id + self.offset, bytes(data), message.extended)
