"""The last lines of the agent's log, kept in memory for the support bundle."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

MAX_LINES = 4000
MAX_CHARACTERS = 400_000
MAX_LINE = 1000


class LogRing(logging.Handler):
    """Add it to the root logger."""

    def __init__(self) -> None:
        super().__init__()
        self.listener: Callable[[str], None] | None = None
        """Gets each line as it comes, in whatever thread it was logged."""
        self._lines: deque[tuple[float, str]] = deque()
        self._characters = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            text += f" [{type(record.exc_info[1]).__name__}: {record.exc_info[1]}]"
        line = f"{record.levelname:<7} {record.name}: {text}"[:MAX_LINE].replace("\n", " ⏎ ")
        self._lines.append((record.created, line))
        if self.listener is not None:
            self.listener(written(record.created, line))
        self._characters += len(line)
        while len(self._lines) > MAX_LINES or self._characters > MAX_CHARACTERS:
            self._characters -= len(self._lines.popleft()[1])

    def text(self, since_utc_s: float | None = None, until_utc_s: float | None = None) -> str:
        """Return the lines of a span of time (by the system's clock), oldest first."""
        lines = [
            written(at, line) + "\n"
            for at, line in tuple(self._lines)
            if (since_utc_s is None or at >= since_utc_s) and (until_utc_s is None or at <= until_utc_s)
        ]
        return "".join(lines)


def written(at_utc_s: float, line: str) -> str:
    """Return a line with its time."""
    return f"{datetime.fromtimestamp(at_utc_s, UTC).isoformat(timespec='milliseconds')} {line}"
