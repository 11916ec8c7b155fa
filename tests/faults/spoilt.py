"""Starts the agent with its care for the disk taken away: for attacks only, never part of the product.

``--without waiting``   what the disk does not take is forgotten
``--without log``       the write-ahead log is taken as SQLite reads it
``--without migration`` an older journal is put aside unread
``--without books``     commands that must not touch the books empty them
``--without ends``      room is made by dropping the oldest records, whatever they are
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import app
from agent.bookkeeper import Bookkeeper
from agent.journal import database, wal
from agent.journal.space import Space, used_bytes


def without_waiting() -> None:
    original = Bookkeeper.write

    def careless(self: Bookkeeper, entries: Any, *, last: bool = False) -> bool:
        recorded = original(self, entries, last=last)
        if self._trouble:
            self._waiting.clear()
        return recorded

    Bookkeeper.write = careless  # type: ignore[method-assign]


def without_log() -> None:
    wal.damage = lambda path: ""


def without_migration() -> None:
    original = database._open_healthy

    def impatient(path: Path, migrations: Any) -> Any:
        if path.exists():
            with database.closing(database.sqlite3.connect(path)) as reader:
                old = database.version_of(reader) < len(migrations)
            if old:
                path.unlink()
        return original(path, migrations)

    database._open_healthy = impatient


def without_books() -> None:
    for name in ("clear_cache", "reset", "change_availability", "set_setting"):
        original = getattr(app.App, name)

        def reckless(self: app.App, *values: Any, _original: Any = original) -> Any:
            self._journal._db.execute("DELETE FROM record")
            return _original(self, *values)

        setattr(app.App, name, reckless)


def without_ends() -> None:
    def block(self: Space, db: Any) -> int:
        if self.most_bytes is None or used_bytes(db) <= self.most_bytes:
            return 0
        return int(db.execute("DELETE FROM record WHERE seq IN (SELECT seq FROM record LIMIT 50)").rowcount)

    Space.thin = block  # type: ignore[method-assign]


HOLES: dict[str, Callable[[], None]] = {
    "waiting": without_waiting,
    "log": without_log,
    "migration": without_migration,
    "books": without_books,
    "ends": without_ends,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.spoilt", description=__doc__)
    parser.add_argument("--without", choices=sorted(HOLES), required=True)
    options, rest = parser.parse_known_args()
    HOLES[options.without]()
    return app.main(rest)


if __name__ == "__main__":
    sys.exit(main())
