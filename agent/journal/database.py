"""Opening the journal's file: exclusive use, version, health, and what happens to a damaged one.

Mode: WAL with ``synchronous=FULL``. Of SQLite's modes that keep every commit over a power cut it is the cheapest by
far: one flush and about 10 KB to the disk per commit; rollback journals take four to six flushes and 25 to 60 KB.
``synchronous=NORMAL`` would lose what was acknowledged. A small autocheckpoint (100 pages) makes the WAL file be
reused soon, so that commits stop growing it, which would cost another flush each.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.journal.errors import JournalError
from agent.journal.schema import Migration, migrate, sync_directory, version_of

log = logging.getLogger(__name__)

_PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 100",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -512",
    "PRAGMA temp_store = MEMORY",
)
_COMPANIONS = ("", "-wal", "-shm")


class DamagedError(Exception):
    """The file is not a healthy database."""


@dataclass(slots=True)
class Opened:
    connection: sqlite3.Connection
    lock: int
    """Descriptor that holds the exclusive lock."""
    quarantined: Path | None
    """Where a damaged file went that was found instead."""


def open_database(path: Path, migrations: Sequence[Migration]) -> Opened:
    """Open or create the file at ``path``. Raises JournalError (with remedy); a newer version is left untouched."""
    lock = _lock(path)
    try:
        quarantined = None
        try:
            connection = _open_healthy(path, migrations)
        except DamagedError as damage:
            quarantined = _quarantine(path)
            log.error("journal %s is damaged (%s); kept as %s and begun anew", path, damage, quarantined)
            connection = _open_healthy(path, migrations)
        return Opened(connection, lock, quarantined)
    except DamagedError as damage:
        os.close(lock)
        raise JournalError(f"{path}: {damage}, and so is a fresh one: replace the storage") from damage
    except BaseException:
        os.close(lock)
        raise


def explain(path: Path, error: Exception) -> JournalError:
    """Say what a failure of SQLite or the disk means and what to do."""
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = error.errno if isinstance(error, OSError) else None
    if code == sqlite3.SQLITE_FULL or number == errno.ENOSPC:
        remedy = "the disk is full: free space on its partition; nothing of this step was kept"
    elif code == sqlite3.SQLITE_IOERR or number == errno.EIO:
        remedy = "the disk fails to read or write: check the kernel log and replace the storage if this repeats"
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or number in (
        errno.EROFS,
        errno.EACCES,
        errno.ENOENT,
        errno.EPERM,
    ):
        remedy = "the directory must exist, be mounted read-write and belong to the agent's user"
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        remedy = "the file is damaged: restart the agent; it keeps the file aside, salvages it and begins a new one"
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        remedy = "another program holds the file: close it"
    else:
        remedy = "see the kernel log for the disk's own messages"
    return JournalError(f"{path}: {text}: {remedy}")


def _lock(path: Path) -> int:
    """Hold the file for this process alone: two agents on one journal would deliver everything twice."""
    name = path.with_name(path.name + ".lock")
    try:
        handle = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explain(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise JournalError(f"{path}: another agent uses this journal: stop it, or set another state_dir") from error
    return handle


def _open_healthy(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    try:
        fresh = not path.exists()
        if fresh:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        else:
            _refuse_newer(path, len(migrations))
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            if not fresh:
                _check(connection)
            migrate(connection, path, migrations)
            if fresh:
                sync_directory(path.parent)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.DatabaseError, OSError) as error:
        if _is_damage(error):
            raise DamagedError(str(error)) from error
        raise explain(path, error) from error
    return connection


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _refuse_newer(path: Path, known: int) -> None:
    """Look at the version through a read-only connection: not one byte of a newer file may change."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
        version = version_of(reader)
    if version > known:
        raise JournalError(
            f"{path}: written by a newer agent (schema {version}, this one knows {known}): "
            "install that version again, or move the file away to begin a new journal"
        )


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedError(found)


def _quarantine(path: Path) -> Path:
    """Move the damaged file and its companions aside, under a free name."""
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        for suffix in reversed(_COMPANIONS):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.replace(target.with_name(target.name + suffix))
        sync_directory(path.parent)
    except OSError as error:
        raise explain(path, error) from error
    return target
