"""The security log: every security event as one line of text, bounded, readable by its owner only.

``security.log`` is the newest part, ``security.log.1`` to ``.3`` the older ones.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from agent.durable import PRIVATE_MODE
from agent.security.events import printable
from agent.security.files import make_folder

LOGGER = logging.getLogger(__name__)

MAX_BYTES = 256 * 1024
"""Of one part."""

OLDER_PARTS = 3


class SecurityLog:
    """Appends lines; a disk that fails costs lines, never more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    @property
    def exists(self) -> bool:
        return bool(self.parts())

    def parts(self) -> list[Path]:
        """Return the files that hold the log, oldest first."""
        older = [self._part(number) for number in range(OLDER_PARTS, 0, -1)]
        return [path for path in (*older, self._path) if path.exists()]

    def append(self, utc_s: float, synced: bool, event: str, info: str) -> None:
        """Write one line: time (``~`` before it when the clock was not set), event, detail."""
        moment = datetime.fromtimestamp(max(0.0, min(utc_s, 4e9)), UTC).isoformat(timespec="milliseconds")
        line = f"{'' if synced else '~'}{moment.replace('+00:00', 'Z')} {event} {printable(info)}".rstrip() + "\n"
        try:
            make_folder(self._path.parent)
            self._rotate(len(line.encode()))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self._path, flags, PRIVATE_MODE)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            if not self._failing:
                LOGGER.error("%s: the security log cannot be written: %s", self._path, error)
            self._failing = True
        else:
            self._failing = False

    def clear(self) -> None:
        """Delete every part. Whoever does this records SecurityLogWasCleared."""
        for path in self.parts():
            path.unlink(missing_ok=True)

    def _rotate(self, coming: int) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return
        if size + coming <= MAX_BYTES:
            return
        for number in range(OLDER_PARTS, 0, -1):
            source = self._path if number == 1 else self._part(number - 1)
            if source.exists():
                source.replace(self._part(number))

    def _part(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
