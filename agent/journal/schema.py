"""The journal's tables, their version and how an older file becomes a current one.

``PRAGMA user_version`` holds the version. Each migration takes the file from one version to the next; all that are
due run in one transaction, after a backup beside the file, so a crash in the middle leaves the old version whole.

From version 3 on a migration only adds: tables, and columns that may be NULL or have a default. So an older version can
take its rows back out of a newer file after a roll-back (``agent.journal.carry_back``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from agent.durable import sync_folder

Migration = tuple[str, ...]
"""Statements that raise the version by one."""

MIGRATIONS: Sequence[Migration] = (
    (
        # Which moment of wall time a boot's monotonic zero was; unknown (NULL) until a trusted clock told.
        """CREATE TABLE boot (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            offset_s REAL
        )""",
        # What waits for delivery, oldest first. The row of the highest seq stays (delivered = 1, body empty) until a
        # later one exists, so that a number is never used twice; a counter elsewhere would cost a page per commit.
        """CREATE TABLE record (
            seq INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            boot INTEGER NOT NULL REFERENCES boot (id),
            monotonic_s REAL NOT NULL,
            utc_s REAL NOT NULL,
            synced INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            crc INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            error TEXT NOT NULL DEFAULT '',
            delivered INTEGER NOT NULL DEFAULT 0
        )""",
        # What left the line without being delivered. Only an operator's command removes from here.
        """CREATE TABLE parked (
            seq INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            boot INTEGER NOT NULL REFERENCES boot (id),
            monotonic_s REAL NOT NULL,
            utc_s REAL NOT NULL,
            synced INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            crc INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            reason TEXT NOT NULL
        )""",
        # One line per transaction: its number in the network, and what a person wants to look up afterwards.
        """CREATE TABLE history (
            id INTEGER PRIMARY KEY,
            identity TEXT NOT NULL UNIQUE,
            evse INTEGER NOT NULL,
            token TEXT NOT NULL DEFAULT '',
            start_boot INTEGER REFERENCES boot (id),
            start_monotonic_s REAL,
            start_utc_s REAL,
            start_wh REAL,
            end_boot INTEGER REFERENCES boot (id),
            end_monotonic_s REAL,
            end_utc_s REAL,
            end_wh REAL,
            reason TEXT NOT NULL DEFAULT '',
            network_number INTEGER,
            end_seq INTEGER,
            delivered INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX history_number ON history (network_number) WHERE network_number IS NOT NULL",
        "CREATE INDEX history_end_seq ON history (end_seq) WHERE end_seq IS NOT NULL",
        """CREATE TABLE document (
            tbl TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (tbl, key)
        ) WITHOUT ROWID""",
    ),
    (
        # What a flipped bit would turn into another, quite readable truth: a session's register, a number's owner.
        "ALTER TABLE document ADD COLUMN crc INTEGER",
        "UPDATE document SET crc = journal_crc(tbl, key, value)",
        "ALTER TABLE history ADD COLUMN number_crc INTEGER",
        "UPDATE history SET number_crc = journal_crc(identity, network_number) WHERE network_number IS NOT NULL",
    ),
    (
        # The local authorisation list may be long: one row per token, looked up by its key.
        """CREATE TABLE local_list (
            key TEXT PRIMARY KEY,
            status TEXT NOT NULL,
            token_group TEXT NOT NULL,
            expires_utc_s REAL,
            crc INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE local_list_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    ),
)


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Bring the open file to the version ``len(migrations)``. A file that already holds data is backed up first."""
    version = version_of(connection)
    if version == len(migrations):
        return
    if version > 0:
        back_up(connection, path.with_name(f"{path.name}.v{version}.backup"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for steps in migrations[version:]:
            for statement in steps:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the database to ``target``, complete and on disk before the name exists."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    copy = sqlite3.connect(partial)
    try:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)
