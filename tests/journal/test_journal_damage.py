"""Damage anywhere in the file or its log: seen, put aside, and the rest goes on. Never a lie, never twice."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from agent.journal import wal
from agent.journal.database import UNREAD
from agent.journal.errors import JournalDamagedError, JournalError
from agent.journal.events import ChargingState, Stamp, TransactionUpdated
from agent.journal.journal import Journal

PAGE = 4096
FRAME = PAGE + 24


def event(name):
    return TransactionUpdated(name, 1, ChargingState.CHARGING, offline=True)


def stamp(at=1.0):
    return Stamp("b1", at, 1.76e9 + at, synced=True)


def name(index):
    return f"{index:04d}" + "." * 200


def names(journal):
    return [record.event.transaction for record in journal.pending(10_000)]


@pytest.fixture
def crashed(tmp_path):
    """A journal with 120 records in its file and 20 commits more in its log, as a power cut leaves it."""
    live = tmp_path / "live"
    live.mkdir()
    journal = Journal.open(live / "journal.db", "b1")
    with journal.write():
        for index in range(120):
            journal.append(event(name(index)), stamp(float(index)))
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for index in range(120, 140):
        journal.append(event(name(index)), stamp(float(index)))
    path = tmp_path / "journal.db"
    for suffix in ("", "-wal"):
        shutil.copy(live / f"journal.db{suffix}", path.with_name(path.name + suffix))
    journal.close()
    return path


def flip(path, offset, mask=0x10):
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def test_a_sound_log_is_no_damage(crashed):
    assert wal.damage(crashed) == ""
    journal = Journal.open(crashed, "b2")
    assert journal.quarantined is None
    assert len(names(journal)) == 140
    journal.close()


def test_a_torn_tail_is_no_damage(crashed):
    log = wal.log_of(crashed)
    data = log.read_bytes()
    log.write_bytes(data[: len(data) - 1000])
    assert wal.damage(crashed) == ""
    journal = Journal.open(crashed, "b2")
    assert journal.quarantined is None
    assert names(journal) == [name(index) for index in range(139)]
    journal.close()


@pytest.mark.parametrize("frame", [0, 5, 15, 21])
@pytest.mark.parametrize("place", [2, 10, 20, 24 + 500])
def test_a_flipped_bit_in_the_log_hides_no_later_commit(crashed, frame, place):
    flip(wal.log_of(crashed), 32 + frame * FRAME + place)
    assert "write-ahead log" in wal.damage(crashed)
    journal = Journal.open(crashed, "b2")
    assert journal.quarantined == crashed.with_name("journal.db.damaged-1")
    found = names(journal)
    # Each later image of the page holds what the bad one held; only a page's last image takes its last record along.
    assert len(found) >= 139
    assert found == sorted(set(found))
    assert set(found) <= {name(index) for index in range(140)}
    journal.close()
    again = Journal.open(crashed, "b3")
    assert again.quarantined is None
    assert names(again) == found
    again.close()


@pytest.mark.parametrize("place", [1, 6, 9, 17, 22, 30])
def test_a_damaged_header_of_the_log_hides_nothing(crashed, place):
    flip(wal.log_of(crashed), place)
    journal = Journal.open(crashed, "b2")
    assert len(names(journal)) >= 138
    assert journal.quarantined is not None
    journal.close()


def test_a_log_begun_anew_is_told_from_what_it_overwrites(tmp_path):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, "b1")
    for index in range(60):
        journal.append(event(name(index)), stamp())
    journal._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    journal.append(event("new"), stamp())
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    journal.close()
    assert wal.log_of(copy).stat().st_size > 50 * FRAME
    assert wal.damage(copy) == ""


def test_what_a_failed_commit_left_in_the_log_is_no_damage(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", "b1")

    def fail():
        with journal.write():
            journal.append(event("a"), stamp())
            raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(JournalError):
        fail()
    journal.append(event("b"), stamp())
    assert wal.log_of(journal.path).stat().st_size == 0
    journal.close()


@pytest.mark.parametrize("mask", [1, 0x80])
def test_no_flipped_bit_in_the_file_becomes_another_truth(tmp_path, mask):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, "b1")
    for index in range(40):
        journal.append(event(name(index)), stamp(float(index)))
    journal.keep("session", "1", {"start_wh": 12345.0})
    journal.set_network_transaction("t", 7)
    journal.close()
    original = path.read_bytes()
    wanted = [name(index) for index in range(40)]
    seen = 0
    for offset in range(101, len(original), 1499):
        path.write_bytes(original)
        flip(path, offset, mask)
        for old in tmp_path.glob("journal.db.damaged*"):
            old.unlink()
        journal = Journal.open(path, "b2")
        found = names(journal)
        missing = len(set(wanted) - set(found))
        assert found == sorted(set(found))
        assert set(found) <= set(wanted)
        assert not missing or journal.quarantined is not None or journal.unreadable == missing
        assert journal.kept_one("session", "1") in (None, {"start_wh": 12345.0})
        assert journal.network_transaction("t") in (None, 7)
        seen += bool(missing)
        journal.close()
    assert seen


def test_damage_found_while_in_use_is_repaired_without_a_restart(tmp_path):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, "b1")
    with journal.write():
        for index in range(300):
            journal.append(event(name(index)), stamp(float(index)))
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    page = path.read_bytes().index(b"0150....") // PAGE
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE)
    journal._db.execute("PRAGMA shrink_memory").fetchall()
    with pytest.raises(JournalDamagedError):
        journal.pending(1000)
    assert journal.damaged
    journal.repair()
    assert not journal.damaged
    assert journal.quarantined is not None
    found = names(journal)
    assert 280 <= len(found) < 300
    assert journal.append(event("new"), stamp()) > 300
    journal.close()


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_an_interrupted_rescue_is_finished_by_the_next_opening(crashed, stop, monkeypatch):
    flip(wal.log_of(crashed), 32 + 3 * FRAME + 600)
    steps = 0
    kind = type(crashed)
    replace = kind.replace

    def stumbling(self, target):
        nonlocal steps
        steps += 1
        if steps == stop:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(kind, "replace", stumbling)
    failed = False
    try:
        Journal.open(crashed, "b2").close()
    except JournalError:
        failed = True
    monkeypatch.setattr(kind, "replace", replace)
    assert failed == (steps >= stop)
    journal = Journal.open(crashed, "b3")
    assert names(journal) == [name(index) for index in range(140)]
    journal.close()
    assert not list(crashed.parent.glob(f"*{UNREAD}*"))
    assert (crashed.parent / "journal.db.damaged-1").exists()


def test_the_damaged_file_stays_as_it_was_found(crashed):
    flip(wal.log_of(crashed), 32 + 3 * FRAME + 600)
    before = [crashed.with_name(crashed.name + suffix).read_bytes() for suffix in ("", "-wal")]
    journal = Journal.open(crashed, "b2")
    journal.close()
    kept = crashed.with_name("journal.db.damaged-1")
    assert [kept.with_name(kept.name + suffix).read_bytes() for suffix in ("", "-wal")] == before
    with closing(sqlite3.connect(crashed)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_lost_first_page_costs_no_record(crashed):
    journal = Journal.open(crashed, "b2")
    journal.append(event("long " + "x" * 20_000), stamp())
    whole = names(journal)
    journal.close()
    with crashed.open("r+b") as file:
        file.write(b"\xa5" * PAGE)
    journal = Journal.open(crashed, "b3")
    assert names(journal) == whole
    journal.close()


def test_what_was_delivered_does_not_come_back_from_a_damaged_file(crashed):
    journal = Journal.open(crashed, "b2")
    for record in journal.pending(100):
        journal.delivered(record.seq)
    left = names(journal)
    journal.close()
    with crashed.open("r+b") as file:
        file.write(b"\xa5" * PAGE)
    journal = Journal.open(crashed, "b3")
    assert names(journal) == left
    journal.close()


def test_a_lost_boot_keeps_its_records_times(crashed):
    with closing(sqlite3.connect(crashed)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DELETE FROM boot")
        database.commit()
    with crashed.open("r+b") as file:
        file.write(b"\xa5" * PAGE)
    journal = Journal.open(crashed, "b1")
    journal.fix_clock("b1", 1.76e9 + 7000.0)
    times = [record.utc_s for record in journal.pending(1000)]
    assert times == [1.76e9 + at for at in range(140)]
    journal.close()


def test_a_flipped_mark_of_delivery_takes_no_record_out_of_the_line(crashed):
    with closing(sqlite3.connect(crashed)) as database:
        database.execute("UPDATE record SET delivered = 1 WHERE seq = 7")
        database.commit()
    journal = Journal.open(crashed, "b2")
    assert len(names(journal)) == 140
    assert journal.unreadable == 1
    journal.close()
