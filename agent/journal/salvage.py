"""Taking what can still be read out of a damaged journal into a fresh one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_TABLES = {"boot": "id", "record": "seq", "parked": "seq", "history": "id", "document": "tbl, key"}
"""Each table and its order, parents first."""


def salvage(damaged: Path, fresh: sqlite3.Connection) -> int:
    """Copy every row that SQLite still reads, in one commit. Return how many.

    Each table is read from both ends up to the damage, so one bad page costs only its own rows. Rows whose
    content suffered show by their checksum when they are read.
    """
    count = 0
    # A row may name a boot whose own row is lost; it gets one back below.
    fresh.execute("PRAGMA foreign_keys = OFF")
    try:
        fresh.execute("BEGIN IMMEDIATE")
        with closing(sqlite3.connect(damaged, isolation_level=None)) as source:
            for table, order in _TABLES.items():
                count += _copy(source, fresh, table, order)
        for table, column in (
            ("record", "boot"),
            ("parked", "boot"),
            ("history", "start_boot"),
            ("history", "end_boot"),
        ):
            fresh.execute(
                f"INSERT OR IGNORE INTO boot (id, name) SELECT DISTINCT {column}, 'lost-' || {column} FROM {table} "
                f"WHERE {column} IS NOT NULL"
            )
        fresh.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if fresh.in_transaction:
            fresh.execute("ROLLBACK")
        log.error("journal: nothing could be salvaged from %s: %s", damaged, error)
        return 0
    finally:
        fresh.execute("PRAGMA foreign_keys = ON")
    return count


def _copy(source: sqlite3.Connection, fresh: sqlite3.Connection, table: str, order: str) -> int:
    count = 0
    wanted = [row[1] for row in fresh.execute(f"PRAGMA table_info({table})")]
    for direction in ("ASC", "DESC"):
        keys = ", ".join(f"{key} {direction}" for key in order.split(", "))
        for row in _rows(source, f"SELECT * FROM {table} NOT INDEXED ORDER BY {keys}"):
            values = {name: row[name] for name in wanted if name in row}
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            try:
                done = fresh.execute(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", tuple(values.values())
                )
            except sqlite3.IntegrityError:
                continue
            count += done.rowcount
    return count


def _rows(source: sqlite3.Connection, query: str) -> Iterator[dict[str, Any]]:
    """Yield rows up to the first that cannot be read."""
    try:
        cursor = source.execute(query)
        names = [column[0] for column in cursor.description]
        while (row := cursor.fetchone()) is not None:
            yield dict(zip(names, row, strict=True))
    except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError):
        return
