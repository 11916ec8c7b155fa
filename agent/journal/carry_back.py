"""After a roll-back of the software: the older version takes its books over from the journal of the newer one.

A backup from before the migration would lack what was recorded since. So the older version copies, out of the newer
file, every row of every table that it knows, and puts its own file in the place in one rename. The newer file stays as
``journal.db.slot-<version>``, whole, so nothing is ever lost, not even what only the newer version understands. This
needs one promise of each migration, which tests hold: it only adds (``agent.journal.schema``). Where a table or column
is gone that this version needs, it refuses and leaves everything as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from agent.durable import sync_folder
from agent.journal.checksum import checksum
from agent.journal.errors import JournalError
from agent.journal.schema import Migration, back_up, migrate, version_of

log = logging.getLogger(__name__)


def carry_back(path: Path, migrations: Sequence[Migration]) -> Path | None:
    """Replace a newer version's file by one of this version with the same rows. Hold the journal's lock.

    Return where the newer file is kept; None when it was not newer. Raises JournalError, and then nothing has changed.
    May be cut short at any point and begun again.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        version = version_of(newer)
        if version <= len(migrations):
            return None
        if newer.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise JournalError(f"{path}: damaged, and written by a newer agent: install that version again")
        kept = path.with_name(f"{path.name}.slot-{version}")
        back_up(newer, kept)
    fresh = path.with_name(f"{path.name}.carried")
    for suffix in ("", "-journal"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    rows, strange = _copy(kept, fresh, migrations, version)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        # Folds its log in and removes it, so that no log of the newer file is left beside the older one.
        newer.execute("PRAGMA journal_mode = DELETE").fetchall()
    fresh.replace(path)
    sync_folder(path.parent)
    log.warning(
        "journal: %d rows taken back from version %d of the file, which is kept as %s", rows, version, kept.name
    )
    if strange:
        log.error("journal: %d rows that only the newer version understands wait in %s", strange, kept.name)
    return kept


def _copy(kept: Path, fresh: Path, migrations: Sequence[Migration], version: int) -> tuple[int, int]:
    """Return how many rows were copied, and how many are of tables that this version does not know."""
    with closing(sqlite3.connect(fresh, isolation_level=None)) as target:
        target.create_function("journal_crc", -1, checksum, deterministic=True)
        target.execute("PRAGMA synchronous = FULL")
        migrate(target, fresh, migrations)
        target.execute("ATTACH ? AS newer", (str(kept),))
        known, theirs = _tables(target, "main"), _tables(target, "newer")
        rows = 0
        target.execute("BEGIN IMMEDIATE")
        for table in known:
            columns = _columns(target, "main", table)
            gone = columns if table not in theirs else [c for c in columns if c not in _columns(target, "newer", table)]
            if gone:
                raise JournalError(
                    f"{kept}: version {version} of the journal has no {table}.{gone[0]} any more, which this version "
                    "needs: install the newer version again; nothing was changed"
                )
            names = ", ".join(columns)
            rows += target.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}").rowcount
            missing = target.execute(
                f"SELECT count(*) FROM (SELECT {names} FROM newer.{table} EXCEPT SELECT {names} FROM main.{table})"
            ).fetchone()[0]
            if missing:
                raise JournalError(f"{kept}: {missing} rows of {table} could not be taken over; nothing was changed")
        target.execute("COMMIT")
        strange = sum(
            int(target.execute(f"SELECT count(*) FROM newer.{table}").fetchone()[0])
            for table in theirs
            if table not in known
        )
        with contextlib.suppress(sqlite3.Error):
            target.execute("DETACH newer")
    return rows, strange


def _tables(connection: sqlite3.Connection, schema: str) -> list[str]:
    """Parents before those that refer to them: as they were made."""
    rows = connection.execute(
        f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    )
    return [str(row[0]) for row in rows]


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA {schema}.table_info({table})")]
