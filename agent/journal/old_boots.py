"""When boots ended whose clock was never set: the best that can still be said of their records' times.

The monotonic clock of such a boot tells how far apart its records are, not when they were. What is known: the boot was
over before the next one began. So its last record is placed at that moment, and the others before it by their true
distances. They are right but for the time that the machine was off, and never in the future.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

log = logging.getLogger(__name__)

EARLIEST_PLAUSIBLE_UTC_S = 1_735_689_600.0
"""2025-01-01, as in ``agent.clock``: a system clock before this was never set."""

_RECORDS = """
    SELECT monotonic_s, utc_s FROM record WHERE boot = :boot AND NOT delivered
    UNION ALL SELECT monotonic_s, utc_s FROM parked WHERE boot = :boot
    UNION ALL SELECT start_monotonic_s, start_utc_s FROM history WHERE start_boot = :boot
    UNION ALL SELECT end_monotonic_s, end_utc_s FROM history WHERE end_boot = :boot
    ORDER BY 1 DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Placed:
    boot: str
    offset_s: float
    guessed: bool
    """True: nothing but the beginning of the next boot is known. False: its own system clock could be right."""


def place(db: sqlite3.Connection, boot: int, offset_s: float) -> Iterator[Placed]:
    """Give every boot before ``boot`` that has none an offset. Call inside a write."""
    rows = db.execute("SELECT id, name, offset_s FROM boot WHERE id < ? ORDER BY id DESC", (boot,)).fetchall()
    began_utc_s = offset_s
    for number, name, known_s in rows:
        if known_s is not None:
            began_utc_s = known_s
            continue
        last = db.execute(_RECORDS, {"boot": number}).fetchone()
        if last is None or last[0] is None:
            continue
        monotonic_s, utc_s = last
        guessed = not EARLIEST_PLAUSIBLE_UTC_S <= utc_s <= began_utc_s
        began_utc_s = (began_utc_s if guessed else utc_s) - monotonic_s
        db.execute("UPDATE boot SET offset_s = ? WHERE id = ?", (began_utc_s, number))
        if guessed:
            log.warning("journal: the clock of boot %s was never set; its records end where the next boot begins", name)
        yield Placed(name, began_utc_s, guessed)
