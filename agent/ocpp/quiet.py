"""Log lines that cannot flood: each kind at most once a minute, with the number of those left out."""

from __future__ import annotations

import logging

INTERVAL_S = 60.0


class QuietLog:
    """Rate-limits by kind. Times are monotonic seconds, passed in."""

    def __init__(self, logger: logging.Logger, interval_s: float = INTERVAL_S) -> None:
        self._logger = logger
        self._interval_s = interval_s
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def log(self, kind: str, now: float, text: str, level: int = logging.WARNING) -> None:
        """Log ``text`` unless this ``kind`` was logged within the interval. ``kind`` comes from a closed set.

        The record carries it as ``kind``: by it and the logger ``agent.logs`` knows what happened.
        """
        last = self._last.get(kind)
        if last is not None and now - last < self._interval_s:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        more = self._left_out.pop(kind, 0)
        left_out = f" (and {more} more like it since the last line)" if more else ""
        self._logger.log(level, "%s%s", text, left_out, extra={"kind": kind})
