"""The journal's file under attack: kill -9, damage, full disks, older and newer versions."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys

import pytest

from agent.journal.errors import JournalError
from agent.journal.events import ChargingState, Stamp, TransactionUpdated
from agent.journal.journal import Journal
from agent.journal.schema import MIGRATIONS


def event(name):
    return TransactionUpdated(name, 1, ChargingState.CHARGING, offline=True)


def stamp(at=1.0):
    return Stamp("b1", at, 1_700_000_000.0, True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


WRITER = """
import sys
from pathlib import Path
from agent.journal.events import ChargingState, Stamp, TransactionUpdated
from agent.journal.journal import Journal
journal = Journal.open(Path(sys.argv[1]), "b1")
index = journal.kept_one("test", "next") or 0
while True:
    with journal.write():
        for half in "ab":
            journal.append(
                TransactionUpdated(f"{index}{half}", 1, ChargingState.CHARGING, offline=True),
                Stamp("b1", float(index), 1.7e9, True),
            )
        journal.keep("test", "next", index + 1)
    print(index, flush=True)
    index += 1
"""


def test_kill_9_in_the_middle_loses_nothing_acknowledged(path):
    acknowledged = -1
    for lines in (1, 7, 150, 40, 3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split("\n")[:-1]
            acknowledged = int(rest[-1]) if rest else acknowledged
        journal = Journal.open(path, "b1")
        names = [record.event.transaction for record in journal.pending(10_000)]
        written = journal.kept_one("test", "next")
        journal.close()
        assert written in (acknowledged + 1, acknowledged + 2)  # the last commit may have missed its line
        assert names == [f"{index}{half}" for index in range(written) for half in "ab"]


FILLER = """
import resource, signal, sys
from pathlib import Path
from agent.journal.errors import JournalError
from agent.journal.events import ChargingState, Stamp, TransactionUpdated
from agent.journal.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.open(Path(sys.argv[1]), "b1")
def put(index):
    return journal.append(
        TransactionUpdated(str(index) + "x" * 1000, 1, ChargingState.CHARGING, offline=True),
        Stamp("b1", 1.0, 1.7e9, True))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
put(0)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
good = 1
errors = []
for index in range(1, 400):
    try:
        put(index)
        good += 1
    except JournalError as error:
        errors.append(str(error))
        if len(errors) > 5:
            break
assert len(errors) > 5, (good, errors)
assert "disk" in errors[0], errors
assert len(journal.pending(1000)) == good
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
put("after")
assert len(journal.pending(1000)) == good + 1
journal.close()
journal = Journal.open(Path(sys.argv[1]), "b2")
assert len(journal.pending(1000)) == good + 1 and journal.quarantined is None
print("held", good)
"""


def test_a_full_disk_is_told_and_outlived(path):
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("held"), done.stderr


def test_sqlite_full_rolls_the_step_back_and_names_the_remedy(path):
    journal = Journal.open(path, "b1")
    journal.append(event("a"), stamp())
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def fill():
        with journal.write():
            for index in range(400):
                journal.append(event("n" * 500 + str(index)), stamp())

    with pytest.raises(JournalError, match="free space"):
        fill()
    assert [record.event for record in journal.pending(999)] == [event("a")]
    journal._db.execute("PRAGMA max_page_count = 1000000").fetchone()
    fill()
    assert len(journal.pending(999)) == 401
    journal.close()


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(JournalError, match="directory must exist"):
        Journal.open(tmp_path / "none" / "journal.db", "b1")


def test_two_agents_never_share_a_journal(path):
    journal = Journal.open(path, "b1")
    with pytest.raises(JournalError, match="another agent"):
        Journal.open(path, "b1")
    journal.close()
    Journal.open(path, "b1").close()


# ---- damage --------------------------------------------------------------------------------------------------------


def fill(path, count):
    journal = Journal.open(path, "b1")
    with journal.write():
        for index in range(count):
            journal.append(event(f"{index:04d}" + "." * 200), stamp(float(index)))
        journal.keep("session", "1", {"token": "04AA"})
    journal.close()


def test_a_torn_page_costs_its_own_records_and_no_others(path):
    fill(path, 400)
    size = 4096
    page = path.read_bytes().index(b"0200....") // size + 1
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    journal = Journal.open(path, "b2")
    assert journal.quarantined == path.with_name("journal.db.damaged-1")
    assert journal.quarantined.exists()
    names = [record.event.transaction[:4] for record in journal.pending(999)]
    assert names == sorted(set(names))
    assert 380 <= len(names) < 400
    assert names[0] == "0000"
    assert names[-1] == "0399"
    assert journal.kept_one("session", "1") == {"token": "04AA"}
    assert journal.salvaged >= len(names)
    assert journal.append(event("new"), stamp()) > 400
    journal.close()
    again = Journal.open(path, "b3")
    assert again.quarantined is None
    again.close()


@pytest.mark.parametrize("content", [b"", b"this is no database at all, " * 200, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_no_database(path, content):
    path.write_bytes(content)
    journal = Journal.open(path, "b1")
    assert (journal.quarantined is None) == (content == b"")
    journal.append(event("a"), stamp())
    journal.close()


def test_quarantined_files_never_overwrite_each_other(path):
    for number in (1, 2, 3):
        path.write_bytes(b"rubbish" * 1000 + bytes([number]))
        journal = Journal.open(path, "b1")
        assert journal.quarantined == path.with_name(f"journal.db.damaged-{number}")
        journal.close()
    assert path.with_name("journal.db.damaged-2").read_bytes()[-1] == 2


# ---- versions ------------------------------------------------------------------------------------------------------

NEXT = (*MIGRATIONS, ("ALTER TABLE record ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",))


def test_an_older_file_is_backed_up_and_raised(path):
    fill(path, 3)
    journal = Journal.open(path, "b2", migrations=NEXT)
    assert len(journal.pending(9)) == 3
    assert journal._db.execute("SELECT sum(priority) FROM record").fetchone() == (0,)
    journal.close()
    backup = sqlite3.connect(path.with_name(f"journal.db.v{len(MIGRATIONS)}.backup"))
    assert backup.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert backup.execute("SELECT count(*) FROM record").fetchone() == (3,)
    backup.close()


def test_a_migration_that_fails_half_way_changes_nothing(path):
    fill(path, 3)
    broken = (*NEXT, ("CREATE TABLE extra (x)", "UPDATE nowhere SET x = 1"))
    with pytest.raises(JournalError):
        Journal.open(path, "b2", migrations=broken)
    journal = Journal.open(path, "b2")
    assert len(journal.pending(9)) == 3
    journal.close()


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from agent.journal.journal import Journal
from agent.journal.schema import MIGRATIONS
import agent.journal.schema as schema
stop = int(sys.argv[2])
seen = 0
def trace(statement):
    global seen
    seen += 1
    if seen == stop:
        os.kill(os.getpid(), signal.SIGKILL)
connect = sqlite3.connect
def traced(*args, **kwargs):
    connection = connect(*args, **kwargs)
    connection.set_trace_callback(trace)
    return connection
sqlite3.connect = traced
steps = ("ALTER TABLE record ADD COLUMN priority INTEGER NOT NULL DEFAULT 0", "UPDATE record SET priority = 7")
Journal.open(Path(sys.argv[1]), "b2", migrations=(*MIGRATIONS, steps)).close()
print("through")
"""


def test_a_crash_at_any_statement_of_a_migration_is_survived(path, tmp_path):
    fill(path, 3)
    original = path.read_bytes()
    kills = 0
    for stop in range(1, 60):
        path.write_bytes(original)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(stop)], capture_output=True, text=True, check=False
        )
        steps = ("ALTER TABLE record ADD COLUMN priority INTEGER NOT NULL DEFAULT 0", "UPDATE record SET priority = 7")
        journal = Journal.open(path, "b3", migrations=(*MIGRATIONS, steps))
        assert journal.quarantined is None
        assert len(journal.pending(9)) == 3
        assert journal._db.execute("SELECT sum(priority) FROM record").fetchone() == (21,)
        journal.close()
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
    assert done.stdout == "through\n"
    assert kills > 8


def test_a_newer_file_is_refused_and_not_touched(path):
    fill(path, 3)
    Journal.open(path, "b1", migrations=NEXT).close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="newer agent"):
        Journal.open(path, "b2")
    assert path.read_bytes() == before


def test_a_newer_file_with_its_version_still_in_the_wal_is_refused_too(path, tmp_path):
    journal = Journal.open(path, "b1", migrations=NEXT)
    journal.append(event("a"), stamp())
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    journal.close()
    before = [copy.with_name(copy.name + suffix).read_bytes() for suffix in ("", "-wal")]
    assert int.from_bytes(before[0][60:64], "big") == 0  # the version is in the WAL alone
    with pytest.raises(JournalError, match="newer agent"):
        Journal.open(copy, "b1")
    assert [copy.with_name(copy.name + suffix).read_bytes() for suffix in ("", "-wal")] == before


def test_every_commit_is_flushed(path):
    journal = Journal.open(path, "b1")
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert journal._db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert path.stat().st_mode & 0o077 == 0  # tokens of drivers are nobody else's business
    journal.close()
