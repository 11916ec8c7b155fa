"""A part of a session that has messages of its own to send, and is told how the connection does."""

from __future__ import annotations

from collections import Counter


class Part:
    """Each method does nothing unless a part has something to do then. Times are monotonic seconds."""

    def offer(self, _now: float) -> bool:
        """Queue the next message that is due. Asked while registered and no call waits; False when none is due."""
        return False

    def next_wake(self) -> float | None:
        """When ``offer`` may have something again; None: when something else happens."""
        return None

    def online(self, everything: bool, now: float) -> None:
        """The registration stands on this connection; ``everything`` is False after a short absence."""

    def received(self, counters: Counter[str]) -> None:
        """A frame was taken; ``counters`` as ``agent.ocpp.rpc.Rpc`` keeps them."""

    def lost(self) -> None:
        """The connection is gone; calls have ended before."""

    def renew(self) -> None:
        """The next connection leads to another network."""
