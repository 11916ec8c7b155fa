"""Keeps repeated log lines from filling a disk."""

from __future__ import annotations


class RateLimit:
    """Allows one in every ``interval_s`` seconds."""

    __slots__ = ("_interval_s", "_next")

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next = float("-inf")

    def allows(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + self._interval_s
        return True
