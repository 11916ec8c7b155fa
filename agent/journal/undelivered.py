"""Everything that the network has not got, waiting or parked, as it is kept: for people and for export."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

_QUERY = """
    SELECT seq, kind, body, coalesce(monotonic_s + offset_s, utc_s), attempts, error, 0 AS parked, message_id
        FROM record JOIN boot ON boot.id = record.boot WHERE seq > :after AND NOT delivered
    UNION ALL
    SELECT seq, kind, body, coalesce(monotonic_s + offset_s, utc_s), attempts, reason, 1, message_id
        FROM parked JOIN boot ON boot.id = parked.boot WHERE seq > :after
    ORDER BY seq LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Undelivered:
    seq: int
    kind: str
    event: dict[str, Any] | str
    """The event's fields; the stored text itself where it cannot be read."""
    utc_s: float
    attempts: int
    reason: str
    """Why it was refused last, if it was."""
    parked: bool
    message_id: str

    @property
    def transaction(self) -> str:
        return str(self.event.get("transaction", "")) if isinstance(self.event, dict) else ""


def undelivered(db: sqlite3.Connection, limit: int, after: int) -> list[Undelivered]:
    """Return records numbered above ``after``, by number."""
    rows = db.execute(_QUERY, {"after": after, "limit": limit}).fetchall()
    return [
        Undelivered(seq, kind, _readable(body), utc_s, attempts, reason, bool(parked), message_id)
        for seq, kind, body, utc_s, attempts, reason, parked, message_id in rows
    ]


def _readable(body: str) -> dict[str, Any] | str:
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return document if isinstance(document, dict) else body
