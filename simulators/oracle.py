"""What the simulated hardware saw and did, kept apart from anything the product says about itself.

One JSON object per line: ``mono_s`` (CLOCK_MONOTONIC, the same for every process of the machine), ``wall_s`` (Unix
time), ``event``, and the event's own fields.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

KEPT_IN_MEMORY = 4000


class EventLog:
    """Appends events to a file (when there is one) and keeps the latest in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self.recent: deque[Mapping[str, Any]] = deque(maxlen=KEPT_IN_MEMORY)
        self.count = 0
        self._file: TextIO | None = None
        if path is not None:
            self.open(path)

    def open(self, path: Path) -> None:
        """Write to that file from now on, and first what was recorded before there was one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        for entry in self.recent:
            self._write(entry)

    def add(self, event: str, **fields: Any) -> None:
        """Record an event at this very moment."""
        entry = {"mono_s": time.monotonic(), "wall_s": time.time(), "event": event, **fields}
        self.count += 1
        self.recent.append(entry)
        self._write(entry)

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def since(self, mono_s: float) -> list[Mapping[str, Any]]:
        """Return what is still in memory of the events later than ``mono_s``."""
        return [entry for entry in self.recent if entry["mono_s"] > mono_s]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
