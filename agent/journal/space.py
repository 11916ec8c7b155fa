"""Keeps the journal within its bound: measures it, and thins samples portion by portion when it has grown beyond."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator

from agent.journal.thinning import Line, Walk, level

log = logging.getLogger(__name__)

PORTION = 1000
"""Records looked at in one commit: bounds its size and the time it takes."""

_LINE = (
    "SELECT seq, CASE WHEN json_valid(body) THEN json_extract(body, '$.transaction') END, boot, monotonic_s, kind "
    "FROM record WHERE seq > ? AND NOT delivered AND seq < (SELECT max(seq) FROM record) "
    "AND CAST(seq AS TEXT) NOT IN (SELECT key FROM document WHERE tbl = 'seq_no') ORDER BY seq LIMIT ?"
)
"""The last one stays: its number must not be given again. So do those that have a number in their transaction already:
the network would miss them (``agent.ocpp.told_numbers``)."""


class Space:
    """``most_bytes``: what the file may use; None: no bound."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes
        self._crowded_at: int | None = None
        """Highest number when the bound was crossed with nothing left to thin."""
        self._walk: Walk | None = None
        self._cursor = 0

    @property
    def crowded(self) -> bool:
        """Above the bound though nothing is left to thin."""
        return self._crowded_at is not None

    def thin(self, db: sqlite3.Connection) -> int:
        """Take one portion further when it is needed. Return how many samples went. Call inside a write."""
        if self._walk is None:
            if self.most_bytes is None or used_bytes(db) <= self.most_bytes:
                self._crowded_at = None
                return 0
            highest = int(db.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()[0])
            if self._crowded_at is not None and highest < self._crowded_at + PORTION:
                return 0
            level_s = level(_lines(db))
            if level_s is None:
                self._crowded_at = highest
                log.error("journal: more than %d MB wait, and nothing is left to thin", self.most_bytes >> 20)
                return 0
            log.warning("journal: more than %d MB wait; samples closer than %.0f s go", self.most_bytes >> 20, level_s)
            self._walk, self._cursor = Walk(level_s), 0
        rows = db.execute(_LINE, (self._cursor, PORTION)).fetchall()
        if not rows:
            self._walk = None
            return 0
        dropped = [row[0] for row in rows if self._walk.drops(_line(row))]
        first, self._cursor = self._cursor, rows[-1][0]
        if dropped:
            _rewrite(db, first, self._cursor, dropped)
        return len(dropped)

    def rolled_back(self) -> None:
        """The portion was not kept: begin the level again."""
        self._walk, self._cursor = None, 0


def used_bytes(db: sqlite3.Connection) -> int:
    """Return what is in use of the file; free pages within it are used before it grows."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _rewrite(db: sqlite3.Connection, after: int, last: int, dropped: list[int]) -> None:
    """Write what stays of a stretch anew: single deletions would leave its pages half empty and free none."""
    db.execute("CREATE TEMP TABLE IF NOT EXISTS staying AS SELECT * FROM record WHERE 0")
    db.execute("DELETE FROM temp.staying")
    db.execute("INSERT INTO temp.staying SELECT * FROM record WHERE seq > ? AND seq <= ?", (after, last))
    db.executemany("DELETE FROM temp.staying WHERE seq = ?", [(seq,) for seq in dropped])
    db.execute("DELETE FROM record WHERE seq > ? AND seq <= ?", (after, last))
    db.execute("INSERT INTO record SELECT * FROM temp.staying ORDER BY seq")
    db.execute("DELETE FROM temp.staying")


def _lines(db: sqlite3.Connection) -> Iterator[Line]:
    cursor = 0
    while rows := db.execute(_LINE, (cursor, PORTION)).fetchall():
        yield from map(_line, rows)
        cursor = rows[-1][0]


def _line(row: tuple[int, str | None, int, float, str]) -> Line:
    seq, transaction, boot, monotonic_s, kind = row
    readable = transaction is not None
    return Line(seq, transaction or "", boot, monotonic_s, readable and kind == "sampled", kind == "ended")
