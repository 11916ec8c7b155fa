"""How long something has been so."""

from __future__ import annotations


class Persistence:
    """Measures for how many seconds a condition has held without a break."""

    __slots__ = ("since",)

    def __init__(self) -> None:
        self.since: float | None = None

    def held(self, condition: bool, now: float, at_least_s: float) -> bool:
        """Note the condition and return whether it has held for that long."""
        if not condition:
            self.since = None
            return False
        if self.since is None:
            self.since = now
        return now - self.since >= at_least_s
