"""The journal: what happened and is not delivered yet, and the documents the station lives by.

One SQLite file, durable at every commit. Only one thread uses it.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from agent.journal import history, old_boots
from agent.journal.checksum import checksum
from agent.journal.codec import CodecError, decode, encode
from agent.journal.database import DamagedError, begin_anew, explain, mark_read, open_database
from agent.journal.errors import JournalDamagedError, JournalError
from agent.journal.events import Event, Stamp
from agent.journal.history import TransactionSummary
from agent.journal.local_list import StoredList
from agent.journal.records import Parked, ParkedKey, Pending, QueueFigures
from agent.journal.salvage import salvage
from agent.journal.schema import MIGRATIONS, Migration
from agent.journal.space import Space
from agent.journal.undelivered import Undelivered, undelivered

__all__ = [
    "Journal",
    "JournalDamagedError",
    "JournalError",
    "Parked",
    "ParkedKey",
    "Pending",
    "QueueFigures",
    "TransactionSummary",
]

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_RECORD = "kind, body, boot, monotonic_s, utc_s, synced, message_id, crc"
_READ = "seq, kind, body, boot, name, monotonic_s, utc_s, synced, offset_s, message_id, crc, attempts"


class Journal:
    """Use ``Journal.open``. Every method raises JournalError when the disk or the file fails; it may be called again
    later, and nothing of the failed step was kept."""

    def __init__(self, path: Path, boot: str, connection: sqlite3.Connection, lock: int) -> None:
        self.path = path
        self.boot = boot
        self.quarantined: Path | None = None
        """Where a damaged file was put that was found at opening; None when all was well."""
        self.salvaged = 0
        """Rows taken over from it."""
        self.unreadable = 0
        """Records and documents found damaged one by one since the opening."""
        self.thinned = 0
        """Samples thinned out since the opening."""
        self.damaged = False
        """Found damaged while in use: call ``repair``."""
        self._migrations: Sequence[Migration] = MIGRATIONS
        self._failed = False
        self._db = connection
        self._lock = lock
        self._depth = 0
        self._boots: dict[str, int] = {}
        self._local_list: StoredList | None = None
        self._space = Space()

    @classmethod
    def open(
        cls, path: Path, boot: str, migrations: Sequence[Migration] = MIGRATIONS, *, from_newer: bool = False
    ) -> Journal:
        """Open or create the journal. ``boot`` names this boot of the machine (``agent.clock.boot_id``).

        A damaged file is put aside and what is readable taken over. A file of a newer version is refused, untouched;
        with ``from_newer`` (after a roll-back of the software) its rows are taken back.
        """
        opened = open_database(path, migrations, from_newer=from_newer)
        journal = cls(path, boot, opened.connection, opened.lock)
        journal._migrations = migrations
        if opened.quarantined is not None:
            try:
                journal._take_over(opened.quarantined)
            except BaseException:
                journal.close()
                raise
        journal._check_flags()
        return journal

    def _check_flags(self) -> None:
        """A record that left the line has no body. One with a body and the mark lost its place by a flipped bit."""
        count = self._read(
            lambda: self._db.execute("SELECT count(*) FROM record WHERE delivered AND body <> ''").fetchone()[0]
        )
        if count:
            self.unreadable += count
            log.error("journal: %d records were marked as delivered and are not; they are back in the line", count)
            with self._write():
                self._db.execute("UPDATE record SET delivered = 0 WHERE delivered AND body <> ''")

    def repair(self) -> None:
        """Put the file aside that turned out to be damaged, and go on with what can be read of it."""
        self._db.close()
        self._boots.clear()
        try:
            quarantined, self._db = begin_anew(self.path, self._migrations, "found while in use")
        except DamagedError as error:
            raise JournalError(f"{self.path}: {error}, and so is a fresh one: replace the storage") from error
        self._take_over(quarantined)
        self.damaged = False

    def _take_over(self, quarantined: Path) -> None:
        self.salvaged = salvage(quarantined, self._db)
        self.quarantined = mark_read(quarantined)
        log.error("journal: %d rows taken over from %s", self.salvaged, self.quarantined)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._lock < 0:
            return
        self._db.close()
        os.close(self._lock)
        self._lock = -1

    # ---- commits ------------------------------------------------------------------------------------------------

    def write(self) -> AbstractContextManager[None]:
        """One durable commit for all inside; an exception rolls all of it back. May be nested."""
        return self._write()

    @contextmanager
    def _write(self) -> Iterator[None]:
        if self._depth:
            yield
            return
        self._depth = 1
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
            if self._failed:
                self._clear_log()
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            self._failed = True
            raise self._explained(error) from error
        except (OverflowError, UnicodeError) as error:
            self._roll_back()
            raise JournalError(f"{self.path}: a value cannot be stored: {error}") from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._depth = 0

    def _clear_log(self) -> None:
        """What a failed commit left in the write-ahead log must not look like a damaged one later (``wal``)."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            log.warning("journal: clearing the log after a failure: %s", error)
        else:
            self._failed = False

    def _explained(self, error: sqlite3.Error | OSError) -> JournalError:
        explained = explain(self.path, error)
        if isinstance(explained, JournalDamagedError):
            self.damaged = True
        return explained

    def _roll_back(self) -> None:
        self._boots.clear()
        self._space.rolled_back()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.warning("journal: rollback after a failed step: %s", error)

    def _read(self, query: Callable[[], _Result]) -> _Result:
        try:
            return query()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    # ---- the line of events -------------------------------------------------------------------------------------

    def append(self, event: Event, stamp: Stamp) -> int:
        """Add a record to the end of the line. Return its number, which rises for ever."""
        try:
            kind, body = encode(event)
        except CodecError as error:
            raise JournalError(f"{self.path}: cannot store {error}") from error
        with self._write():
            boot = self._boot_id(stamp.boot)
            times = (float(stamp.monotonic_s), float(stamp.utc_s), int(stamp.synced))
            row = (kind, body, boot, *times, str(uuid.uuid4()))
            cursor = self._db.execute(
                f"INSERT INTO record ({_RECORD}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(*row))
            )
            seq = cursor.lastrowid
            assert seq is not None
            history.note(self._db, event, stamp, boot, seq)
        return seq

    def pending(self, limit: int = 1, after: int = 0) -> list[Pending]:
        """Return undelivered records, oldest first, numbered above ``after``. Damaged ones are parked on the way."""
        found: list[Pending] = []
        while len(found) < limit:
            rows = self._read(
                lambda: self._db.execute(
                    f"SELECT {_READ} FROM record JOIN boot ON boot.id = record.boot "
                    "WHERE seq > ? AND NOT delivered ORDER BY seq LIMIT ?",
                    (after, limit - len(found)),  # noqa: B023 (called at once)
                ).fetchall()
            )
            if not rows:
                break
            for row in rows:
                after = row[0]
                record = self._decoded(row)
                if record is not None:
                    found.append(record)
        return found

    def _decoded(self, row: tuple[Any, ...]) -> Pending | None:
        seq, kind, body, boot, boot_name, monotonic_s, utc_s, synced, offset_s, message_id, crc, attempts = row
        try:
            if crc != checksum(kind, body, boot, monotonic_s, utc_s, synced, message_id):
                raise CodecError("checksum does not match: the stored bytes changed on the disk")
            event = decode(kind, body)
        except CodecError as error:
            self.unreadable += 1
            log.error("journal: record %d cannot be read and leaves the line: %s", seq, error)
            try:
                self.park(seq, f"unreadable: {error}")
            except JournalError as trouble:
                log.error("journal: record %d could not be parked: %s", seq, trouble)
            return None
        true_utc_s = utc_s if offset_s is None else monotonic_s + offset_s
        return Pending(seq, event, Stamp(boot_name, monotonic_s, utc_s, bool(synced)), true_utc_s, attempts, message_id)

    def delivered(self, seq: int) -> None:
        """The network has it: the record leaves the line for good."""
        with self._write():
            self._db.execute("UPDATE record SET delivered = 1, body = '' WHERE seq = ?", (seq,))
            self._db.execute("DELETE FROM parked WHERE seq = ?", (seq,))  # its answer came late
            self._db.execute(
                "DELETE FROM record WHERE seq <= ? AND delivered AND seq < (SELECT max(seq) FROM record)", (seq,)
            )
            history.delivered(self._db, seq)

    def attempt_failed(self, seq: int, error: str) -> int:
        """Count a failed delivery. Return the attempts so far (0 for a record that is no longer there)."""
        with self._write():
            self._db.execute("UPDATE record SET attempts = attempts + 1, error = ? WHERE seq = ?", (error[:500], seq))
            row = self._db.execute("SELECT attempts FROM record WHERE seq = ?", (seq,)).fetchone()
        return int(row[0]) if row else 0

    def park(self, seq: int, reason: str) -> None:
        """Take a record out of the line without losing it."""
        with self._write():
            self._db.execute(
                f"INSERT INTO parked (seq, {_RECORD}, attempts, reason) SELECT seq, {_RECORD}, attempts, ? "
                "FROM record WHERE seq = ? AND NOT delivered",
                (reason[:500], seq),
            )
            # The row's number must stay taken while it is the highest.
            self._db.execute("UPDATE record SET delivered = 1, body = '' WHERE seq = ?", (seq,))
            self._db.execute("DELETE FROM record WHERE seq = ? AND seq < (SELECT max(seq) FROM record)", (seq,))

    def parked(self, limit: int = 100, after: int = 0) -> list[Parked]:
        """Return parked records by number."""
        rows = self._read(
            lambda: self._db.execute(
                "SELECT seq, kind, body, coalesce(monotonic_s + offset_s, utc_s), attempts, reason FROM parked "
                "JOIN boot ON boot.id = parked.boot WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        )
        return [Parked(*row) for row in rows]

    def unpark(self, seq: int | None = None) -> int:
        """Put one parked record (or all) back at its old place in the line, attempts at 0. Return how many."""
        where, values = ("WHERE seq = ?", (seq,)) if seq is not None else ("", ())
        with self._write():
            count = self._db.execute(f"SELECT count(*) FROM parked {where}", values).fetchone()[0]
            self._db.execute(
                f"INSERT OR REPLACE INTO record (seq, {_RECORD}) SELECT seq, {_RECORD} FROM parked {where}", values
            )
            self._db.execute(f"DELETE FROM parked {where}", values)
        return int(count)

    def parked_keys(self, limit: int = 100, after: int = 0) -> list[ParkedKey]:
        """Return what parked records belong to, by number. Those that cannot be read are left out."""
        rows = self._read(
            lambda: self._db.execute("SELECT seq, kind, body FROM parked WHERE seq > ? ORDER BY seq", (after,))
        )
        return list(islice((key for row in rows if (key := _key(*row)) is not None), limit))

    def held_transactions(self, reason: str) -> set[str]:
        """Return the transactions whose start is parked, or of which something is parked for this reason."""
        query = "SELECT seq, kind, body FROM parked WHERE kind = 'started' OR reason = ?"
        rows = self._read(lambda: self._db.execute(query, (reason,)).fetchall())
        return {key.transaction for row in rows if (key := _key(*row)) is not None}

    def unpark_transaction(self, transaction: str) -> int:
        """Put all parked records of a transaction back at their old places. Return how many."""
        rows = self._read(lambda: self._db.execute("SELECT seq, kind, body FROM parked").fetchall())
        seqs = [row[0] for row in rows if (key := _key(*row)) is not None and key.transaction == transaction]
        with self._write():
            return sum(self.unpark(seq) for seq in seqs)

    def undelivered(self, limit: int = 100, after: int = 0) -> list[Undelivered]:
        """Return what waits and what is parked, by number above ``after``."""
        return self._read(lambda: undelivered(self._db, limit, after))

    def figures(self) -> QueueFigures:
        """Return how much waits, and since when."""

        def query() -> QueueFigures:
            pending = self._db.execute("SELECT count(*) FROM record WHERE NOT delivered").fetchone()[0]
            parked = self._db.execute("SELECT count(*) FROM parked").fetchone()[0]
            oldest = self._db.execute(
                "SELECT coalesce(monotonic_s + offset_s, utc_s) FROM record JOIN boot ON boot.id = record.boot "
                "WHERE NOT delivered ORDER BY seq LIMIT 1"
            ).fetchone()
            return QueueFigures(pending, parked, oldest[0] if oldest else None)

        return self._read(query)

    def newest(self) -> int:
        """Return the number of the newest record; 0 before there was any."""
        return self._read(lambda: int(self._db.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()[0]))

    def waits(self, transaction: str) -> bool:
        """Tell whether records wait for delivery, of this transaction or (empty) of any. Parked ones do not."""
        mine = "CASE WHEN json_valid(body) THEN json_extract(body, '$.transaction') END"
        query = f"SELECT EXISTS (SELECT 1 FROM record WHERE NOT delivered AND (? = '' OR {mine} = ?))"
        return self._read(lambda: bool(self._db.execute(query, (transaction, transaction)).fetchone()[0]))

    # ---- space --------------------------------------------------------------------------------------------------

    def keep_below(self, most_bytes: int) -> None:
        """From this size on ``make_room`` thins samples."""
        self._space.most_bytes = most_bytes

    def make_room(self) -> int:
        """Thin samples one portion further when the journal is too large. Return how many have gone in all, ever.

        Cheap while there is room. Call it after each write that grew the journal.
        """
        with self._write():
            gone = int((self.kept_one("journal", "thinned") or {}).get("samples", 0))
            now_gone = self._space.thin(self._db)
            if now_gone:
                self.keep("journal", "thinned", {"samples": gone + now_gone})
        self.thinned += now_gone
        return gone + now_gone

    @property
    def crowded(self) -> bool:
        """Larger than it should be, with nothing left to thin: starts and ends are all that wait."""
        return self._space.crowded

    # ---- transactions -------------------------------------------------------------------------------------------

    def set_network_transaction(self, transaction: str, number: int) -> None:
        """Remember which number the network gave this transaction."""
        with self._write():
            history.set_number(self._db, transaction, number)

    def network_transaction(self, transaction: str) -> int | None:
        return self._read(lambda: history.number_of(self._db, transaction))

    def transaction_of(self, number: int) -> str | None:
        """Return the identity of the latest transaction to which the network gave this number."""
        if abs(number) >= 1 << 63:  # more than the file can hold, so never given
            return None
        return self._read(lambda: history.identity_of(self._db, number))

    def summary(self, transaction: str) -> TransactionSummary | None:
        return self._read(lambda: history.of(self._db, transaction))

    def open_transactions(self) -> int:
        return self._read(lambda: history.count_open(self._db))

    def forget_network_numbers(self) -> None:
        """Another network takes what is left to deliver: numbers that the one before gave mean nothing to it."""
        with self._write():
            history.forget_numbers(self._db)

    def transactions(self, limit: int = 100) -> list[TransactionSummary]:
        """Return the latest transactions, newest first."""
        return self._read(lambda: history.latest(self._db, limit))

    def transactions_of(self, key: str) -> list[TransactionSummary]:
        """Return the transactions of a token (``Token.key``) that are still known, oldest first."""
        return self._read(lambda: history.of_token(self._db, key))

    def forget_token(self, key: str) -> None:
        """Take a token out of the history of transactions that are with the network."""
        with self._write():
            history.forget_token(self._db, key)

    # ---- clock --------------------------------------------------------------------------------------------------

    def fix_clock(self, boot: str, offset_s: float) -> None:
        """From now on, times of that boot are its monotonic time plus ``offset_s`` (UTC in seconds since 1970).

        Earlier boots whose clock was never set get the best that can still be said (``agent.journal.old_boots``).
        """
        with self._write():
            number = self._boot_id(boot)
            self._db.execute("UPDATE boot SET offset_s = ? WHERE id = ?", (offset_s, number))
            for guess in old_boots.place(self._db, number, offset_s):
                self.keep("clock", guess.boot, {"latest_offset_s": guess.offset_s, "guessed": guess.guessed})

    def boot_offset(self, boot: str) -> float | None:
        """Return UTC minus monotonic time of that boot, in seconds, once a trusted clock told."""
        row = self._read(lambda: self._db.execute("SELECT offset_s FROM boot WHERE name = ?", (boot,)).fetchone())
        return row[0] if row else None

    def _boot_id(self, name: str) -> int:
        known = self._boots.get(name)
        if known is None:
            row = self._read(lambda: self._db.execute("SELECT id FROM boot WHERE name = ?", (name,)).fetchone())
            if row is None:
                with self._write():
                    row = (self._db.execute("INSERT INTO boot (name) VALUES (?)", (name,)).lastrowid,)
            known = self._boots[name] = int(row[0])
        return known

    # ---- documents ----------------------------------------------------------------------------------------------

    def keep(self, table: str, key: str, value: Any | None) -> None:
        """Store a JSON document; None deletes it."""
        with self._write():
            if value is None:
                self._db.execute("DELETE FROM document WHERE tbl = ? AND key = ?", (table, key))
                return
            text = json.dumps(value, separators=(",", ":"))
            # An unchanged document costs no page.
            self._db.execute(
                "INSERT INTO document (tbl, key, value, crc) VALUES (?, ?, ?, ?) ON CONFLICT (tbl, key) "
                "DO UPDATE SET value = excluded.value, crc = excluded.crc WHERE crc IS NOT excluded.crc",
                (table, key, text, checksum(table, key, text)),
            )

    def kept(self, table: str) -> dict[str, Any]:
        """Return all documents of a table. One that cannot be read is left out, and logged."""
        rows = self._read(
            lambda: self._db.execute("SELECT key, value, crc FROM document WHERE tbl = ?", (table,)).fetchall()
        )
        return {row[0]: value for row in rows if (value := self._document(table, *row)) is not None}

    def kept_one(self, table: str, key: str) -> Any | None:
        row = self._read(
            lambda: self._db.execute(
                "SELECT key, value, crc FROM document WHERE tbl = ? AND key = ?", (table, key)
            ).fetchone()
        )
        return self._document(table, *row) if row else None

    def _document(self, table: str, key: str, text: str, crc: int | None) -> Any | None:
        try:
            if crc != checksum(table, key, text):
                raise ValueError("checksum does not match: the stored bytes changed on the disk")
            return json.loads(text)
        except ValueError as error:
            self.unreadable += 1
            log.error("journal: document %s/%s cannot be read and is ignored: %s", table, key, error)
            return None

    @property
    def local_list(self) -> StoredList:
        """The local authorisation list."""
        if self._local_list is None:
            self._local_list = self._read(lambda: StoredList(self._db, self.write))
        return self._local_list

    def forget_all(self, table: str) -> None:
        with self._write():
            self._db.execute("DELETE FROM document WHERE tbl = ?", (table,))


def _key(seq: int, kind: str, body: str) -> ParkedKey | None:
    try:
        return ParkedKey(seq, kind == "started", decode(kind, body).transaction)
    except CodecError:
        return None
