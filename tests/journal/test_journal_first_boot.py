"""The very first start of an agent may crash too: whatever it leaves behind, the next start must get by."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.journal.events import ChargingState, Stamp, TransactionUpdated
from agent.journal.journal import Journal

DIES_AT = """
import os, signal, sqlite3, sys
from pathlib import Path

seen = 0

class Dying(sqlite3.Connection):
    def execute(self, statement, *values):
        global seen
        seen += 1
        if seen == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(statement, *values)

connect = sqlite3.connect
sqlite3.connect = lambda *a, **k: connect(*a, **{"factory": Dying, **k})

from agent.journal.journal import Journal
Journal.open(Path(sys.argv[1]), "boot").close()
"""

HOT_JOURNAL = """
import os, signal, sqlite3, sys

# SQLite's own change to WAL: the first page goes out while a rollback journal guards it.
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("PRAGMA synchronous = FULL")
db.execute("BEGIN IMMEDIATE")
db.execute("CREATE TABLE anything (x)")
db.executemany("INSERT INTO anything VALUES (zeroblob(?))", [(5000,)] * 50)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _crash(script: str, *arguments: str) -> None:
    ended = subprocess.run([sys.executable, "-c", script, *arguments], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL


def _usable(path: Path) -> None:
    journal = Journal.open(path, "boot")
    journal.append(TransactionUpdated("t", 1, ChargingState.IDLE, False), Stamp("boot", 1.0, 1.8e9, True))
    assert len(journal.pending(10)) == 1
    journal.close()


def test_rollback_journal_left_by_a_crash_is_played_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    _crash(HOT_JOURNAL, str(path))
    assert path.with_name("journal.db-journal").stat().st_size > 0
    _usable(path)


@pytest.mark.parametrize("statement", range(1, 16, 2))
def test_crash_at_any_statement_of_the_first_start_is_survived(tmp_path: Path, statement: int) -> None:
    path = tmp_path / "journal.db"
    _crash(DIES_AT, str(path), str(statement))
    _usable(path)
