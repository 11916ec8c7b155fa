"""The local authorisation list on disk: one row per token, looked up by its key, however many there are."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from agent.journal.checksum import checksum

log = logging.getLogger(__name__)

Row = tuple[str, str, str, float | None]
"""Key of the token, status, group (empty for none), expiry (seconds since 1970; None: never)."""


class _TooLongError(Exception):
    """Rolls the change back."""


class StoredList:
    """``write`` makes one durable commit of all inside (``Journal.write``)."""

    def __init__(self, connection: sqlite3.Connection, write: Callable[[], AbstractContextManager[None]]) -> None:
        self._db = connection
        self._write = write
        row = connection.execute("SELECT version FROM local_list_version").fetchone()
        self.version = int(row[0]) if row else 0
        self.size = self._count()

    def get(self, key: str) -> dict[str, Any] | None:
        """Return status, group and expires_utc_s of a token; None when it is not listed, or cannot be read."""
        try:
            row = self._db.execute(
                "SELECT status, token_group, expires_utc_s, crc FROM local_list WHERE key = ?", (key,)
            ).fetchone()
        except (sqlite3.Error, UnicodeError) as error:
            log.error("the local list cannot be read: %s", error)
            return None
        if row is None:
            return None
        status, group, expires_utc_s, crc = row
        if crc != checksum(key, status, group, expires_utc_s):
            log.error("an entry of the local list changed on the disk and is not believed")
            return None
        return {"status": status, "group": group, "expires_utc_s": expires_utc_s}

    def change(self, version: int, full: bool, rows: Iterable[Row], removed: Iterable[str], most: int) -> bool:
        """Change all or nothing. False when the list would be longer than ``most``. Raises JournalError."""
        try:
            with self._write():
                if full:
                    self._db.execute("DELETE FROM local_list")
                self._db.executemany("DELETE FROM local_list WHERE key = ?", ((key,) for key in removed))
                self._db.executemany(
                    "INSERT OR REPLACE INTO local_list (key, status, token_group, expires_utc_s, crc) "
                    "VALUES (?, ?, ?, ?, ?)",
                    ((*row, checksum(*row)) for row in rows),
                )
                size = self._count()
                if size > most:
                    raise _TooLongError
                self._db.execute("INSERT OR REPLACE INTO local_list_version (id, version) VALUES (1, ?)", (version,))
        except _TooLongError:
            return False
        self.version, self.size = version, size
        return True

    def _count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM local_list").fetchone()[0])
