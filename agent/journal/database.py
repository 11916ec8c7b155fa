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

from agent.durable import sync_folder
from agent.journal import wal
from agent.journal.carry_back import carry_back
from agent.journal.checksum import checksum
from agent.journal.errors import JournalDamagedError, JournalError, JournalLockedError
from agent.journal.schema import Migration, migrate, version_of

log = logging.getLogger(__name__)

_PRAGMAS = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 100",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -512",
    "PRAGMA temp_store = MEMORY",
    # What is deleted is gone, so that nothing delivered comes back out of a damaged file (``carving``).
    "PRAGMA secure_delete = ON",
)
_OUTWARD = ("-shm", "-wal", "")
"""A database's files; its own last, so that an interrupted move can be told and finished."""

UNREAD = ".unread"


class DamagedError(Exception):
    """The file is not a healthy database."""


@dataclass(slots=True)
class Opened:
    connection: sqlite3.Connection
    lock: int
    """Descriptor that holds the exclusive lock."""
    quarantined: Path | None
    """Where a damaged file went that was found instead (or left unread by an earlier opening)."""


def open_database(path: Path, migrations: Sequence[Migration], *, from_newer: bool = False) -> Opened:
    """Open or create the file at ``path``. Raises JournalError (with remedy).

    A newer version is left untouched, unless ``from_newer``: then its rows are taken back (``carry_back``).
    """
    lock = _lock(path)
    try:
        quarantined = left_unread(path)
        if quarantined is not None and not quarantined.exists():
            set_aside(path)
        if from_newer and path.exists():
            _take_back(path, migrations)
        try:
            connection = _open_healthy(path, migrations)
        except DamagedError as damage:
            quarantined, connection = begin_anew(path, migrations, str(damage))
        return Opened(connection, lock, quarantined)
    except DamagedError as damage:
        os.close(lock)
        raise JournalError(f"{path}: {damage}, and so is a fresh one: replace the storage") from damage
    except BaseException:
        os.close(lock)
        raise


def _take_back(path: Path, migrations: Sequence[Migration]) -> None:
    try:
        carry_back(path, migrations)
    except (sqlite3.DatabaseError, OSError) as error:
        if not _is_damage(error):  # of a damaged file the opening takes what can be read
            raise explain(path, error) from error


def begin_anew(path: Path, migrations: Sequence[Migration], damage: str) -> tuple[Path, sqlite3.Connection]:
    """Put a damaged file aside and begin a new one. Return where the old one went, and the new one opened."""
    quarantined = set_aside(path)
    log.error("journal %s is damaged (%s); it is kept as %s", path, damage, quarantined.name.removesuffix(UNREAD))
    return quarantined, _open_healthy(path, migrations)


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
        return JournalDamagedError(f"{path}: {text}: the file is damaged; it is kept aside, salvaged and begun anew")
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
        remedy = "stop it, or set another state_dir"
        raise JournalLockedError(f"{path}: another agent uses this journal: {remedy}") from error
    return handle


def _open_healthy(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    try:
        fresh = not path.exists()
        if fresh:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        else:
            _refuse_newer(path, len(migrations))
            if bad := wal.damage(path):
                raise DamagedError(bad)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            # Bytes that are no text any more are for the checksums to find, one record at a time.
            connection.text_factory = lossy
            connection.create_function("journal_crc", -1, checksum, deterministic=True)
            for pragma in _PRAGMAS:
                connection.execute(pragma).fetchall()
            if not fresh:
                _check(connection)
            migrate(connection, path, migrations)
            if fresh:
                sync_folder(path.parent)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:
        if _is_damage(error):
            raise DamagedError(str(error)) from error
        raise explain(path, error) from error
    return connection


def lossy(text: bytes) -> str:
    return text.decode(errors="replace")


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, UnicodeDecodeError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _refuse_newer(path: Path, known: int) -> None:
    """Look at the version through a read-only connection: not one byte of a newer file may change."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
        try:
            version = version_of(reader)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            # A crash while a new file was changed to WAL left a rollback journal, which only a writer may play back.
            # No file that has got past that point ever has one, so nothing of a newer version is at stake.
            return
    if version > known:
        raise JournalError(
            f"{path}: written by a newer agent (schema {version}, this one knows {known}): "
            "install that version again, or move the file away to begin a new journal"
        )


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedError(found)


def set_aside(path: Path) -> Path:
    """Move the damaged file and its companions aside, under a free name. Return the name.

    It ends in ``UNREAD`` until ``mark_read``: whatever interrupts the move or the reading, the next opening goes on.
    """
    target = left_unread(path)
    if target is not None and target.exists() and not path.exists():
        return target  # all of it is there already
    if target is None or target.exists():
        number = 1
        while any(path.parent.glob(f"{path.name}.damaged-{number}*")):
            number += 1
        target = path.with_name(f"{path.name}.damaged-{number}{UNREAD}")
    try:
        for suffix in _OUTWARD:
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.replace(target.with_name(target.name + suffix))
        sync_folder(path.parent)
    except OSError as error:
        raise explain(path, error) from error
    return target


def left_unread(path: Path) -> Path | None:
    """Return a file that was put aside (in part) and not read yet."""
    found = sorted(path.parent.glob(f"{path.name}.damaged-*{UNREAD}*"))
    if not found:
        return None
    name = found[0].name
    return path.with_name(name[: name.rindex(UNREAD)] + UNREAD)


def mark_read(unread: Path) -> Path:
    """What can be read of it is in the new journal: give it its final name, and return that."""
    final = unread.with_name(unread.name.removesuffix(UNREAD))
    try:
        for suffix in _OUTWARD:
            source = unread.with_name(unread.name + suffix)
            if source.exists():
                source.replace(final.with_name(final.name + suffix))
        sync_folder(final.parent)
    except OSError as error:
        raise explain(final, error) from error
    return final
