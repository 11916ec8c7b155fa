"""Taking what can still be read out of a damaged journal into a fresh one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from agent.journal import carving, wal
from agent.journal.checksum import checksum
from agent.journal.old_boots import EARLIEST_PLAUSIBLE_UTC_S

log = logging.getLogger(__name__)

_TABLES = {
    "boot": "id",
    "record": "seq",
    "parked": "seq",
    "history": "id",
    "document": "tbl, key",
    "local_list": "key",
    "local_list_version": "id",
}
"""Each table and its order, parents first."""

_PROVEN = ("kind", "body", "boot", "monotonic_s", "utc_s", "synced", "message_id")
_PARKED_NAMES = ("seq", *_PROVEN, "crc", "attempts", "reason")
_RECORD_NAMES = ("seq", *_PROVEN, "crc", "attempts", "error", "delivered")


def salvage(damaged: Path, fresh: sqlite3.Connection) -> int:
    """Copy every row that SQLite still reads, in one commit. Return how many.

    Each table is read from both ends up to the damage, so one bad page costs only its own rows. Rows whose
    content suffered show by their checksum when they are read.
    """
    count = carved = 0
    # A row may name a boot whose own row is lost; it gets one back below.
    fresh.execute("PRAGMA foreign_keys = OFF")
    try:
        fresh.execute("BEGIN IMMEDIATE")
        with _whole(damaged) as readable:
            with closing(sqlite3.connect(readable, isolation_level=None)) as source:
                source.text_factory = lambda text: text.decode(errors="replace")
                for table, order in _TABLES.items():
                    count += _copy(source, fresh, table, order)
            carved = _carve(readable, fresh)
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
        # What a lost boot's clock was, its own records tell: they were stamped by it.
        fresh.execute(
            "UPDATE boot SET offset_s = (SELECT utc_s - monotonic_s FROM record WHERE record.boot = boot.id "
            "AND utc_s >= ? ORDER BY synced DESC, seq DESC LIMIT 1) WHERE name LIKE 'lost-%' AND offset_s IS NULL",
            (EARLIEST_PLAUSIBLE_UTC_S,),
        )
        _drop_delivered(fresh)
        # An older file had no checksums yet.
        fresh.execute("UPDATE document SET crc = journal_crc(tbl, key, value) WHERE crc IS NULL")
        fresh.execute(
            "UPDATE history SET number_crc = journal_crc(identity, network_number) "
            "WHERE number_crc IS NULL AND network_number IS NOT NULL"
        )
        fresh.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        if fresh.in_transaction:
            fresh.execute("ROLLBACK")
        log.error("journal: nothing could be salvaged from %s: %s", damaged, error)
        return 0
    finally:
        fresh.execute("PRAGMA foreign_keys = ON")
    if carved:
        log.warning("journal: %d records had to be found page by page", carved)
    return count + carved


def _carve(readable: Path, fresh: sqlite3.Connection) -> int:
    """Take what no table of contents leads to. Each row proves itself by its checksum."""
    count = 0
    try:
        for values in carving.rows(readable):
            if len(values) not in (len(_RECORD_NAMES), len(_PARKED_NAMES)):
                continue
            names = _RECORD_NAMES if len(values) == len(_RECORD_NAMES) else _PARKED_NAMES
            row = dict(zip(names, values, strict=True))
            if not _proven(row):
                continue
            table = "record" if names is _RECORD_NAMES else "parked"
            count += fresh.execute(
                f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                tuple(row.values()),
            ).rowcount
    except OSError as error:
        log.warning("journal: %s could not be searched page by page: %s", readable, error)
    return count


def _proven(row: dict[str, Any]) -> bool:
    try:
        for name in ("monotonic_s", "utc_s"):
            row[name] = float(row[name])  # SQLite stores a whole number shorter
    except (TypeError, ValueError):
        return False
    return bool(row["crc"] == checksum(*(row[name] for name in _PROVEN)))


def _drop_delivered(fresh: sqlite3.Connection) -> None:
    """The older image of a page may show what was delivered since; the history knows better."""
    mine = "CASE WHEN json_valid(record.body) THEN json_extract(record.body, '$.transaction') END"
    fresh.execute(
        f"UPDATE record SET delivered = 1, body = '' WHERE NOT delivered AND EXISTS (SELECT 1 FROM history "
        f"WHERE history.identity = {mine} AND (history.delivered OR kind = 'started' AND network_number IS NOT NULL))"
    )
    fresh.execute("DELETE FROM record WHERE delivered AND seq < (SELECT max(seq) FROM record)")
    # What is in both was parked, or put back, in between.
    fresh.execute("DELETE FROM parked WHERE seq IN (SELECT seq FROM record WHERE NOT delivered)")


@contextmanager
def _whole(damaged: Path) -> Iterator[Path]:
    """A copy with every good frame of the log folded in, so that the damaged file stays as it was found."""
    copy = damaged.with_name(damaged.name + ".reading")
    try:
        try:
            wal.fold(damaged, copy)
        except OSError as error:
            log.warning("journal: no room for a copy of %s (%s); it is read itself", damaged, error)
            yield damaged
        else:
            yield copy
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


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
