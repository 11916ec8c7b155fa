"""When a limit that changes all the time is written: lower ones at once, others at most once a minute.

An energy manager may say a new limit every second. Written each time it would wear out flash memory; so after a power
cut a limit may hold for a while that is lower than the last one, never one that is higher.
"""

from __future__ import annotations

EVERY_S = 60.0


class Thrift:
    """Pure; numbers are those of profiles, times monotonic seconds."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[float, float]] = {}
        self._waiting: set[int] = set()

    def changed(self, number: int, limit: float, now: float) -> bool:
        """Tell whether the profile is to be written now; else it waits."""
        written = self._written.get(number)
        if written is None or limit < written[0] or now - written[1] >= EVERY_S:
            self._written[number] = (limit, now)
            self._waiting.discard(number)
            return True
        self._waiting.add(number)
        return False

    def due(self, now: float) -> list[int]:
        """Return those that have waited long enough."""
        return [number for number in self._waiting if now - self._written[number][1] >= EVERY_S]

    def wake(self) -> float | None:
        """When the next one has waited long enough."""
        return min((self._written[number][1] + EVERY_S for number in self._waiting), default=None)

    def forget(self, number: int) -> None:
        """It is gone, or written by itself."""
        self._written.pop(number, None)
        self._waiting.discard(number)
