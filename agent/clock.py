"""The agent's two clocks: monotonic time for every timer, and wall time with its quality for records.

The agent has no right to set the system's clock (and needs none): it keeps its own offset between the monotonic
clock and UTC. The offset comes from the system clock until the operator's network, or a system clock that says it
is synchronised, gives a better one. A step of the system clock therefore never moves a timer or a record.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.journal.events import Stamp

STEP_S = 2.0
"""A network time that differs by less is taken as the delay of the message, not as a wrong clock."""

EARLIEST_PLAUSIBLE_UTC_S = 1_735_689_600.0
"""2025-01-01. A clock before this was never set (no RTC, or an empty battery)."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, in both clocks. Passed into every step of the station so that its core needs no clock."""

    monotonic_s: float
    utc_s: float
    synced: bool
    boot: str

    def stamp(self, monotonic_s: float | None = None) -> Stamp:
        """Stamp something that happened at ``monotonic_s`` (now when None)."""
        at = self.monotonic_s if monotonic_s is None else monotonic_s
        return Stamp(self.boot, at, self.utc_at(at), self.synced)

    def utc_at(self, monotonic_s: float) -> float:
        """Wall time, in seconds since 1970, of a moment of the monotonic clock of this boot."""
        return self.utc_s - (self.monotonic_s - monotonic_s)


class Clock:
    """Keeps the offset from monotonic to wall time. ``now()`` gives the Moment."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
        boot: str = "",
    ) -> None:
        self._monotonic = monotonic
        self._offset_s = utc() - monotonic()
        self._synced = False
        self.boot = boot or boot_id()

    def now(self) -> Moment:
        at = self._monotonic()
        return Moment(at, at + self._offset_s, self._synced, self.boot)

    @property
    def offset_s(self) -> float:
        """UTC minus monotonic time, in seconds."""
        return self._offset_s

    @property
    def plausible(self) -> bool:
        return self._monotonic() + self._offset_s >= EARLIEST_PLAUSIBLE_UTC_S

    def network_time(self, utc_s: float) -> bool:
        """Take the network's time. Return True when records of this boot must be corrected by the new offset."""
        corrected = abs(utc_s - (self._monotonic() + self._offset_s)) > STEP_S
        if corrected:
            self._offset_s = utc_s - self._monotonic()
        first = not self._synced
        self._synced = True
        return corrected or first


def boot_id() -> str:
    """Return what tells this boot of the machine from every other; a fresh value where the kernel hides its own."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())
