"""When the next Heartbeat is due (OCPP 1.6 §4.6)."""

from __future__ import annotations

LONGEST_S = 86_400.0
"""§4.6: other traffic may stand in for heartbeats, but one per 24 hours keeps the clock right."""


class Heartbeat:
    """Other answered traffic pushes the next heartbeat out, never beyond a day. Times are monotonic seconds."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s = interval_s
        self._last_traffic = 0.0
        self._last_beat = 0.0
        self._running = False

    def start(self, now: float, at_once: bool) -> None:
        """Registration stands. ``at_once``: the first beat is due now (the clock may be old)."""
        self._running = True
        self._last_traffic = now
        self._last_beat = now - LONGEST_S if at_once else now

    def stop(self) -> None:
        self._running = False

    def traffic(self, now: float) -> None:
        """The network answered a call of ours."""
        self._last_traffic = now

    def sent(self, now: float) -> None:
        self._last_beat = now
        self._last_traffic = now

    def next_at(self) -> float | None:
        """When the next one is due; interval 0 leaves only the daily one."""
        if not self._running:
            return None
        daily = self._last_beat + LONGEST_S
        return min(daily, self._last_traffic + self.interval_s) if self.interval_s > 0 else daily
