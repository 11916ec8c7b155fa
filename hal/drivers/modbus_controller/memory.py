"""What a controller is known to hold, from what it acknowledged and from reading back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hal.drivers.modbus.pdu import Read
from hal.drivers.modbus_controller.model import Place, Registers, Setting

MOMENTARY_S = 2.0
"""A command register is written again after so long, while what it asks for is still wanted."""
STUBBORN_WRITES = 3
"""Writes in a row that were acknowledged and never showed, before the register is called stubborn."""


@dataclass(slots=True)
class _Held:
    """What is known of one place that we write."""

    value: int
    written_at: float | None = None
    """Acknowledged then, and not yet settled since; None: settled, by reading."""
    clamped: int | None = None
    """The lower value that the device made of a limit."""
    seen: bool = False
    """It has been read back as it was written."""
    writes: int = 0
    """In a row without the device showing what it was told."""


class Memory:
    """``readback``: where a setting is read from, if not where it is written. ``settle_s``: how long after a write the
    register may show its old value."""

    def __init__(self, readback: Mapping[Place, Place], settle_s: float) -> None:
        self.registers = Registers()
        self._readback = readback
        self._settle_s = settle_s
        self._held: dict[Place, _Held] = {}
        self._outdated: set[Place] = set()
        """Places written since they were last read: what was read of them says nothing any more."""
        self._said: dict[Setting, float] = {}

    def clear(self) -> None:
        """Know nothing any more."""
        self.registers.clear()
        self._outdated.clear()
        self.forget_settings()

    def forget_settings(self) -> None:
        """Whatever it holds: everything wanted is to be written once more."""
        self._held.clear()
        self._said.clear()

    def forget(self, setting: Setting) -> None:
        """Its write went unanswered: it may have taken it or not."""
        self._held.pop(setting.place, None)

    def store(self, read: Read, data: bytes) -> None:
        self.registers.store(read, data)
        self._outdated -= {(read.function, read.address + index) for index in range(read.count)}

    def lacks(self, setting: Setting, now: float) -> bool:
        """The device must be told this now."""
        if setting.momentary:
            return now - self._said.get(setting, float("-inf")) >= MOMENTARY_S
        held = self._held.get(setting.place)
        return held is None or bool((held.value ^ setting.value) & setting.mask)

    def said(self, setting: Setting, now: float) -> None:
        """The device has answered to a write of it."""
        if setting.momentary:
            self._said[setting] = now
            return
        before = self._held.get(setting.place)
        writes = before.writes + 1 if before is not None and before.written_at is not None else 1
        self._held[setting.place] = _Held(setting.value, now, writes=writes)
        self._outdated.add(self._source(setting))

    def compare(self, settings: Iterable[Setting], now: float) -> list[int]:
        """Take over what was read of the places we write; return the addresses of those that do not hold what they
        were told, though they have had the time."""
        changed = []
        for setting in settings:
            source = self._source(setting)
            read = self.registers.get(source)
            if setting.momentary or read is None or source in self._outdated:
                continue
            read &= setting.mask
            held = self._held.get(setting.place)
            if held is None:
                self._held[setting.place] = _Held(read)
            elif not self._agrees(setting, held, read, now):
                changed.append(setting.place[1])
                self._held[setting.place] = _Held(read, held.written_at, writes=held.writes)
        return changed

    def stubborn(self) -> int | None:
        """Address of a register that does not take what it is told."""
        return next((place[1] for place, held in self._held.items() if held.writes >= STUBBORN_WRITES), None)

    def _source(self, setting: Setting) -> Place:
        return self._readback.get(setting.place, setting.place)

    def _agrees(self, setting: Setting, held: _Held, read: int, now: float) -> bool:
        settling = held.written_at is not None and now - held.written_at < self._settle_s
        if not (read ^ held.value) & setting.mask:
            held.seen = True
            if not settling:
                held.written_at, held.writes = None, 0
            return True
        lower = setting.limit and 0 < read < held.value  # 0 is no limit but the end of the offer: it was restarted
        if settling and (lower or not held.seen):
            return True  # not yet to be judged: it may still show the old value, or not yet what it makes of the new
        if lower and held.written_at is not None:
            held.clamped, held.written_at, held.writes = read, None, 0
        return lower and read == held.clamped
