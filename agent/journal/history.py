"""One line per transaction: the number the network gave it, and what a person looks up afterwards."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from typing import Any

from agent.journal.events import Event, Stamp, TransactionEnded, TransactionStarted, TransactionUpdated

log = logging.getLogger(__name__)

KEEP = 200
"""Delivered transactions that stay to be looked up. Undelivered ones always stay."""


@dataclass(frozen=True, slots=True)
class TransactionSummary:
    """Times in seconds since 1970, corrected; registers in Wh. None or empty while (or where) not known."""

    transaction: str
    evse: int
    token: str
    start_utc_s: float | None
    start_wh: float | None
    end_utc_s: float | None
    end_wh: float | None
    reason: str
    network_number: int | None
    delivered: bool
    """Start and end are with the network."""


def note(db: sqlite3.Connection, event: Event, stamp: Stamp, boot: int, seq: int) -> None:
    """Take what the event says of its transaction."""
    if isinstance(event, TransactionStarted):
        db.execute(
            "INSERT INTO history (identity, evse, token, start_boot, start_monotonic_s, start_utc_s, start_wh) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO NOTHING",
            (event.transaction, event.evse, event.token, boot, stamp.monotonic_s, stamp.utc_s, event.meter_wh),
        )
    elif isinstance(event, TransactionUpdated) and event.start_wh is not None:
        # Driver or EVSE were not known when it began (OCPP 2.x).
        db.execute(
            "UPDATE history SET evse = ?, token = ?, start_wh = ? WHERE identity = ?",
            (event.evse, event.token, event.start_wh, event.transaction),
        )
    elif isinstance(event, TransactionEnded):
        # The start's line may be lost with a damaged file; the end still gets one.
        db.execute(
            "INSERT INTO history (identity, evse, token) VALUES (?, ?, ?) ON CONFLICT (identity) DO NOTHING",
            (event.transaction, event.evse, event.token),
        )
        db.execute(
            "UPDATE history SET end_boot = ?, end_monotonic_s = ?, end_utc_s = ?, end_wh = ?, reason = ?, end_seq = ? "
            "WHERE identity = ?",
            (
                boot,
                stamp.monotonic_s,
                stamp.utc_s,
                event.meter_wh,
                event.reason.value,
                seq,
                event.transaction,
            ),
        )


def delivered(db: sqlite3.Connection, seq: int) -> None:
    """Record ``seq`` was delivered: when it was an end, its transaction is done and old ones may go."""
    if db.execute("UPDATE history SET delivered = 1 WHERE end_seq = ?", (seq,)).rowcount:
        # The oldest are delivered first, so the search ends at once even behind thousands that still wait.
        db.execute(
            "DELETE FROM history WHERE id IN (SELECT id FROM history "
            "WHERE delivered AND id <= (SELECT max(id) FROM history) - ? ORDER BY id LIMIT 4)",
            (KEEP,),
        )


def set_number(db: sqlite3.Connection, identity: str, number: int) -> None:
    db.execute(
        "INSERT INTO history (identity, evse, network_number, number_crc) VALUES (?1, 0, ?2, journal_crc(?1, ?2)) "
        "ON CONFLICT (identity) DO UPDATE SET network_number = excluded.network_number, "
        "number_crc = excluded.number_crc",
        (identity, number),
    )


def number_of(db: sqlite3.Connection, identity: str) -> int | None:
    row = db.execute(
        "SELECT network_number, number_crc = journal_crc(identity, network_number) FROM history WHERE identity = ?",
        (identity,),
    ).fetchone()
    if row is None or row[0] is None:
        return None
    if not row[1]:
        log.error("journal: the network's number of transaction %s changed on the disk and is not used", identity)
        return None
    return int(row[0])


def count_open(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT count(*) FROM history WHERE start_boot IS NOT NULL AND end_boot IS NULL").fetchone()
    return int(row[0])


def forget_numbers(db: sqlite3.Connection) -> None:
    """Of transactions that are done the number stays, to be looked up."""
    db.execute("UPDATE history SET network_number = NULL, number_crc = NULL WHERE NOT delivered")


def identity_of(db: sqlite3.Connection, number: int) -> str | None:
    row = db.execute(
        "SELECT identity FROM history WHERE network_number = ? AND number_crc = journal_crc(identity, network_number) "
        "ORDER BY id DESC LIMIT 1",
        (number,),
    ).fetchone()
    return row[0] if row else None


_SUMMARY = (
    "SELECT identity, evse, token, coalesce(start_monotonic_s + s.offset_s, start_utc_s), start_wh, "
    "coalesce(end_monotonic_s + e.offset_s, end_utc_s), end_wh, reason, network_number, delivered "
    "FROM history LEFT JOIN boot s ON s.id = start_boot LEFT JOIN boot e ON e.id = end_boot "
)


def latest(db: sqlite3.Connection, limit: int) -> list[TransactionSummary]:
    return [_summary(row) for row in db.execute(_SUMMARY + "ORDER BY history.id DESC LIMIT ?", (limit,))]


def of(db: sqlite3.Connection, identity: str) -> TransactionSummary | None:
    row = db.execute(_SUMMARY + "WHERE identity = ?", (identity,)).fetchone()
    return None if row is None else _summary(row)


def of_token(db: sqlite3.Connection, key: str) -> list[TransactionSummary]:
    """Every line that names a token, oldest first. ``key``: as ``agent.station.tokens.Token.key``."""
    rows = db.execute(_SUMMARY + "WHERE token <> '' ORDER BY history.id")
    return [_summary(row) for row in rows if row[2].casefold() == key]


def forget_token(db: sqlite3.Connection, key: str) -> None:
    """Lines that are with the network name the token no more."""
    for one in of_token(db, key):
        db.execute("UPDATE history SET token = '' WHERE identity = ? AND delivered", (one.transaction,))


def _summary(row: tuple[Any, ...]) -> TransactionSummary:
    return TransactionSummary(*[*row[:-1], bool(row[-1])])
