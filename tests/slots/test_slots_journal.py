"""The journal goes back with the software: nothing that was recorded since the update is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.journal.errors import JournalError
from agent.journal.events import MeterSampled, Stamp, StartTrigger, TransactionStarted
from agent.journal.journal import Journal
from agent.journal.schema import MIGRATIONS
from agent.slots.here import may_carry_back, slots_here
from tests.slots.bundles import Maker, first_slot, small_installer

ROOT = Path(__file__).parents[2]
NEWER = (
    *MIGRATIONS,
    (
        "CREATE TABLE invented (id INTEGER PRIMARY KEY, what TEXT NOT NULL)",
        "ALTER TABLE record ADD COLUMN invented TEXT NOT NULL DEFAULT 'x'",
        "INSERT INTO invented (what) VALUES ('only the newer one knows')",
    ),
)
STAMP = Stamp("boot", 10.0, 1_800_000_000.0, True)


def started(name: str) -> TransactionStarted:
    return TransactionStarted(name, 1, "CARD", "central", 1000.0, StartTrigger.AUTHORIZED, True)


def fill(journal: Journal, name: str) -> None:
    journal.append(started(name), STAMP)
    journal.keep("session", name, {"evse": 1, "wh": len(name)})


def contents(journal: Journal) -> tuple[list[str], dict[str, object], list[int], list[str]]:
    pending = journal.pending(100)
    return (
        [f"{one.seq} {one.message_id} {one.event}" for one in pending],
        journal.kept("session"),
        [one.seq for one in journal.parked()],
        [one.transaction for one in journal.transactions()],
    )


def test_what_the_newer_version_recorded_is_there_after_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, "boot")
    fill(journal, "before")
    journal.close()
    journal = Journal.open(path, "boot", NEWER)
    fill(journal, "meanwhile")
    fill(journal, "refused")
    journal.park(3, "refused by the network")
    journal.delivered(1)
    was = contents(journal)
    journal.close()
    with pytest.raises(JournalError, match="written by a newer agent"):
        Journal.open(path, "boot")
    journal = Journal.open(path, "boot", from_newer=True)
    assert contents(journal) == was
    assert list(was[1]) == ["before", "meanwhile", "refused"]
    assert journal.append(started("after"), STAMP) > 3
    journal.close()
    with closing(sqlite3.connect(tmp_path / f"journal.db.slot-{len(NEWER)}")) as kept:
        assert kept.execute("SELECT what FROM invented").fetchall() == [("only the newer one knows",)]
    # Forward again, with a backup of what went back.
    journal = Journal.open(path, "boot", NEWER)
    assert len(journal.pending(100)) == 2
    journal.close()


def test_a_version_that_dropped_what_this_one_needs_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    dropping = (*MIGRATIONS, ("ALTER TABLE history DROP COLUMN reason",))
    journal = Journal.open(path, "boot", dropping)
    fill(journal, "one")
    journal.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"no history\.reason any more.*install the newer version again"):
        Journal.open(path, "boot", from_newer=True)
    assert path.read_bytes() == before
    Journal.open(path, "boot", dropping).close()


ADDS = re.compile(r"(CREATE (TABLE|INDEX)|ALTER TABLE \w+ ADD COLUMN|UPDATE|INSERT)\b")


def test_migrations_only_add() -> None:
    for steps in MIGRATIONS[3:]:
        for statement in steps:
            assert ADDS.match(statement), statement
            assert not re.search(r"ADD COLUMN.*NOT NULL(?!.*DEFAULT)", statement), statement


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
left = int(sys.argv[3])
def count(event, arguments):
    global left
    if event in ("sqlite3.connect", "os.rename", "open") and ".db" in str(arguments[0]):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
from agent.journal.journal import Journal
sys.addaudithook(count)
Journal.open(Path(sys.argv[2]), "boot", from_newer=True).close()
"""


@pytest.mark.process
def test_killed_anywhere_on_the_way_back(tmp_path: Path) -> None:
    ended = False
    for number in range(40):
        path = tmp_path / str(number) / "journal.db"
        path.parent.mkdir()
        journal = Journal.open(path, "boot", NEWER)
        fill(journal, "one")
        journal.append(MeterSampled("one", 1, (), True), STAMP)
        was = contents(journal)
        journal.close()
        words = [sys.executable, "-c", CHILD, str(ROOT), str(path), str(number)]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=100)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        journal = Journal.open(path, "boot", from_newer=True)
        assert contents(journal) == was
        journal.close()
        if done.returncode == 0:
            ended = True
            break
    assert ended
    assert number >= 6


def test_only_in_a_slot_after_a_switch(tmp_path: Path) -> None:
    assert not may_carry_back()
    (tmp_path / "maker").mkdir()
    (tmp_path / "opt").mkdir()
    slots, maker = first_slot(tmp_path / "opt"), Maker(tmp_path / "maker")
    a = os.fspath(slots.place("a"))
    assert slots_here(a) is not None
    assert slots_here(str(tmp_path)) is None
    assert not may_carry_back(a)
    small_installer(slots.root, maker.trust).install(maker.bundle("1.1"))
    slots.roll_back()
    assert may_carry_back(a)
    assert json.loads((slots.root / "slots.json").read_text())["taken_back"]["version"] == "1.1"
