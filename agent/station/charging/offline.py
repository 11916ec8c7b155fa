"""Since when the network is away, for profiles that say how long they are valid without it (OCPP 2.1 K01.FR.101)."""

from __future__ import annotations

from agent.clock import Moment


class Absence:
    """``since_utc_s``: since when it was away as a former run has written; None: away since now, as far as known."""

    def __init__(self, since_utc_s: float | None, moment: Moment) -> None:
        ago_s = 0.0 if since_utc_s is None else max(0.0, moment.utc_s - since_utc_s)
        self._since: float | None = moment.monotonic_s - ago_s

    @property
    def online(self) -> bool:
        return self._since is None

    def lasts_s(self, now: float) -> float:
        """How long it has been away; 0.0 while it is there."""
        return 0.0 if self._since is None else max(0.0, now - self._since)

    def since_utc_s(self, moment: Moment) -> int | None:
        """None while it is there."""
        return None if self._since is None else int(moment.utc_s - self.lasts_s(moment.monotonic_s))

    def left(self, now: float) -> None:
        self._since = now if self._since is None else self._since

    def back(self) -> None:
        self._since = None
