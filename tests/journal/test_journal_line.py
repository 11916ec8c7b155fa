"""The line of events, the transactions' numbers, documents and times."""

from __future__ import annotations

import sqlite3

import pytest

from agent.journal.errors import JournalError
from agent.journal.events import (
    MeterSampled,
    SampledValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)
from agent.journal.history import KEEP
from agent.journal.journal import Journal, QueueFigures


def started(name, token="04AABB"):
    return TransactionStarted(name, 1, token, "ISO14443", 1000.5, StartTrigger.AUTHORIZED, offline=True)


def sampled(name, value=1.0):
    return MeterSampled(name, 1, (SampledValue("Voltage", value, "V"),), offline=True)


def ended(name):
    return TransactionEnded(name, 1, 2000.0, StopReason.LOCAL, offline=True)


def stamp(at, boot="b1", utc_s=None, synced=True):
    return Stamp(boot, at, 1_700_000_000.0 + at if utc_s is None else utc_s, synced)


def fail_inside(journal, work):
    def step():
        with journal.write():
            work()
            raise RuntimeError("the step went wrong")

    with pytest.raises(RuntimeError):
        step()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    journal = Journal.open(path, "b1")
    yield journal
    journal.close()


def test_records_leave_in_order_and_survive_reopening(journal, path):
    for index, event in enumerate((started("a"), sampled("a"), ended("a"))):
        journal.append(event, stamp(index))
    journal.close()
    again = Journal.open(path, "b2")
    assert [record.event for record in again.pending(10)] == [started("a"), sampled("a"), ended("a")]
    first = again.pending()[0]
    again.delivered(first.seq)
    assert [record.event for record in again.pending(10)] == [sampled("a"), ended("a")]
    assert [record.event for record in again.pending(10, after=again.pending()[0].seq)] == [ended("a")]
    again.close()


def test_the_message_id_stays_and_attempts_count(journal, path):
    seq = journal.append(started("a"), stamp(1))
    before = journal.pending()[0]
    assert len(before.message_id) == 36
    assert journal.attempt_failed(seq, "CALLERROR InternalError") == 1
    assert journal.attempt_failed(seq, "timeout") == 2
    journal.close()
    again = Journal.open(path, "b1")
    after = again.pending()[0]
    assert (after.message_id, after.attempts) == (before.message_id, 2)
    assert again.attempt_failed(seq + 7, "x") == 0
    again.close()


def test_numbers_are_never_used_twice(journal, path):
    seen = []
    for _ in range(3):
        seen.extend(journal.append(sampled(name), stamp(1)) for name in "ab")
        journal.delivered(seen[-2])
        journal.delivered(seen[-1])
        journal.close()
        journal = Journal.open(path, "b1")
    seen.append(journal.append(sampled("c"), stamp(1)))
    journal.park(seen[-1], "x")
    seen.append(journal.append(sampled("c"), stamp(1)))
    assert seen == sorted(set(seen))
    journal.close()


def test_one_write_is_one_commit_or_none(journal):
    fail_inside(journal, lambda: (journal.append(started("a"), stamp(1)), journal.keep("session", "1", {"x": 1})))
    assert journal.pending() == []
    assert journal.kept("session") == {}
    with journal.write():
        journal.append(started("a"), stamp(1))
        with journal.write():
            journal.keep("session", "1", {"x": 1})
    assert len(journal.pending(5)) == 1
    assert journal.kept_one("session", "1") == {"x": 1}


def test_a_boot_first_named_in_a_failed_write_is_named_again(journal):
    fail_inside(journal, lambda: journal.append(started("a"), stamp(1, boot="new")))
    journal.append(started("a"), stamp(1, boot="new"))
    assert journal.pending()[0].stamp.boot == "new"


def test_parked_records_leave_the_line_and_can_come_back_to_their_place(journal):
    seqs = [journal.append(event, stamp(1)) for event in (started("a"), sampled("a"), ended("a"))]
    journal.attempt_failed(seqs[0], "refused")
    journal.park(seqs[0], "refused 3 times: FormationViolation")
    assert [record.seq for record in journal.pending(9)] == seqs[1:]
    assert [(record.seq, record.reason, record.attempts) for record in journal.parked()] == [
        (seqs[0], "refused 3 times: FormationViolation", 1)
    ]
    assert journal.figures() == QueueFigures(2, 1, 1_700_000_001.0)
    assert journal.unpark() == 1
    assert [record.seq for record in journal.pending(9)] == seqs
    assert journal.pending()[0].attempts == 0
    assert journal.parked() == []


def test_the_last_record_can_be_parked_and_come_back(journal):
    seq = journal.append(started("a"), stamp(1))
    journal.park(seq, "x")
    assert journal.pending(5) == []
    assert journal.unpark(seq) == 1
    assert [record.event for record in journal.pending(5)] == [started("a")]


def test_a_record_that_cannot_be_read_is_parked_and_blocks_nobody(journal, path):
    seqs = [journal.append(event, stamp(1)) for event in (started("a"), sampled("a"), sampled("b"), ended("a"))]
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("UPDATE record SET body = replace(body, '1.0', '9.0') WHERE seq = ?", (seqs[1],))  # one flipped bit
    raw.execute("UPDATE record SET kind = 'begun' WHERE seq = ?", (seqs[2],))
    raw.close()
    assert [record.seq for record in journal.pending(1, after=seqs[0])] == [seqs[3]]
    assert [record.seq for record in journal.pending(9)] == [seqs[0], seqs[3]]
    assert [record.seq for record in journal.parked()] == seqs[1:3]
    assert "checksum" in journal.parked()[0].reason


def test_network_numbers(journal, path):
    journal.append(started("a"), stamp(1))
    journal.append(started("b"), stamp(2))
    assert journal.network_transaction("a") is None
    with journal.write():
        journal.delivered(1)
        journal.set_network_transaction("a", 77)
    journal.set_network_transaction("b", 77)  # a network that counts anew
    assert journal.network_transaction("a") == 77
    assert journal.transaction_of(77) == "b"
    assert journal.transaction_of(10**30) is None
    assert journal.transaction_of(5) is None
    with pytest.raises(JournalError, match="cannot be stored"):
        journal.set_network_transaction("a", 10**30)
    assert journal.network_transaction("a") == 77


def test_a_token_leaves_the_history_of_what_is_with_the_network(journal):
    """2.0.1 N10: with regard to neither upper nor lower case, and of no other"""
    for name, token in (("one", "Card"), ("two", "OTHER"), ("three", "CARD")):
        journal.append(started(name, token), stamp(1.0))
        journal.append(ended(name), stamp(2.0))
    for record in journal.pending(4):
        journal.delivered(record.seq)
    assert [(one.transaction, one.delivered) for one in journal.transactions_of("card")] == [
        ("one", True),
        ("three", False),
    ]
    journal.forget_token("card")
    assert [(one.transaction, one.token) for one in journal.transactions()] == [
        ("three", "CARD"),
        ("two", "OTHER"),
        ("one", ""),
    ]


def test_history_tells_the_latest_transactions(journal):
    journal.append(started("a"), stamp(10))
    journal.set_network_transaction("a", 5)
    end = journal.append(ended("a"), stamp(20))
    line = journal.transactions()[0]
    assert (line.transaction, line.evse, line.token, line.network_number) == ("a", 1, "04AABB", 5)
    assert (line.start_wh, line.end_wh, line.reason, line.delivered) == (1000.5, 2000.0, "Local", False)
    assert line.end_utc_s - line.start_utc_s == 10
    journal.delivered(end)
    assert journal.transactions()[0].delivered


def test_history_learns_who_and_where_when_that_is_known(journal):
    journal.append(TransactionStarted("a", 0, "", "", 0.0, StartTrigger.CABLE_PLUGGED_IN, False), stamp(10))
    journal.append(TransactionUpdated("a", 2, None, False, Trigger.AUTHORIZED, "CARD", start_wh=700.0), stamp(11))
    journal.append(TransactionUpdated("a", 2, None, False, Trigger.STOP_AUTHORIZED, "FRIEND"), stamp(12))
    line = journal.transactions()[0]
    assert (line.evse, line.token, line.start_wh) == (2, "CARD", 700.0)


def test_history_and_file_stay_small(journal, path):
    for index in range(KEEP + 60):
        name = f"transaction-{index}"
        seqs = [journal.append(event, stamp(index)) for event in (started(name), sampled(name), ended(name))]
        with journal.write():
            for seq in seqs:
                journal.delivered(seq)
    kept = [line.transaction for line in journal.transactions(9999)]
    assert kept == [f"transaction-{index}" for index in reversed(range(60, KEEP + 60))]
    assert path.stat().st_size < 300_000


def test_undelivered_history_is_never_dropped(journal):
    journal.append(started("waits"), stamp(0))
    journal.append(ended("waits"), stamp(1))
    for index in range(KEEP + 20):
        journal.append(started(f"t{index}"), stamp(index))
        journal.delivered(journal.append(ended(f"t{index}"), stamp(index)))
    assert "waits" in [line.transaction for line in journal.transactions(9999)]


def test_times_are_corrected_per_boot(journal, path):
    journal.append(started("a"), stamp(100, utc_s=100.0, synced=False))  # woke in 1970
    journal.append(started("b"), stamp(50, boot="b0", utc_s=50.0, synced=False))
    journal.fix_clock("b1", 1_700_000_000.0)
    first, second = journal.pending(2)
    assert first.utc_s == 1_700_000_100.0
    assert first.stamp == Stamp("b1", 100, 100.0, False)
    assert second.utc_s == 50.0
    journal.close()
    again = Journal.open(path, "b2")
    assert again.pending()[0].utc_s == 1_700_000_100.0
    assert again.figures().oldest_utc_s == 1_700_000_100.0
    assert again.transactions()[1].start_utc_s == 1_700_000_100.0
    again.close()


def test_documents(journal):
    journal.keep("token", "04aa", {"status": "Accepted"})
    journal.keep("token", "04bb", {"status": "Blocked"})
    journal.keep("session", "1", [1, 2, 3])
    assert journal.kept("token") == {"04aa": {"status": "Accepted"}, "04bb": {"status": "Blocked"}}
    journal.keep("token", "04aa", None)
    assert journal.kept_one("token", "04aa") is None
    journal.forget_all("token")
    assert journal.kept("token") == {}
    assert journal.kept_one("session", "1") == [1, 2, 3]


def test_strange_texts_do_no_harm(journal):
    event = started("a", token="\ud800")
    with pytest.raises(JournalError, match="cannot be stored"):
        journal.append(event, stamp(1))
    journal.append(started("ä", token="日本"), stamp(1))
    assert [record.event for record in journal.pending(5)] == [started("ä", token="日本")]


def test_close_twice(path):
    journal = Journal.open(path, "b1")
    journal.close()
    journal.close()


def test_an_earlier_boot_without_a_clock_ends_where_the_next_begins(path):
    first = Journal.open(path, "b1")
    first.append(started("a"), stamp(40, boot="b1", utc_s=40.0, synced=False))
    first.append(ended("a"), stamp(100, boot="b1", utc_s=100.0, synced=False))
    first.append(started("b"), stamp(30, boot="b2", utc_s=30.0, synced=False))
    first.append(ended("b"), stamp(50, boot="b2", utc_s=50.0, synced=False))
    first.append(started("c"), stamp(10, boot="b3", utc_s=10.0, synced=False))
    first.fix_clock("b3", 1_790_000_000.0)
    assert [record.utc_s - 1_790_000_000.0 for record in first.pending(9)] == [-110, -50, -20, 0, 10]
    assert first.kept_one("clock", "b1") == {"latest_offset_s": 1_790_000_000.0 - 150, "guessed": True}
    first.fix_clock("b3", 1_790_000_005.0)
    assert [record.utc_s - 1_790_000_000.0 for record in first.pending(9)] == [-110, -50, -20, 0, 15]
    assert first.boot_offset("b3") == 1_790_000_005.0
    assert first.boot_offset("never") is None
    first.close()


def test_an_earlier_boot_whose_system_clock_could_be_right_keeps_it(path):
    journal = Journal.open(path, "b1")
    journal.append(started("a"), stamp(40, boot="b1", utc_s=1_789_000_040.0, synced=False))
    journal.append(ended("a"), stamp(100, boot="b1", utc_s=1_789_000_100.0, synced=False))
    journal.append(started("b"), stamp(10, boot="b2", utc_s=10.0, synced=False))
    journal.fix_clock("b2", 1_790_000_000.0)
    assert [record.utc_s for record in journal.pending(9)] == [1_789_000_040.0, 1_789_000_100.0, 1_790_000_010.0]
    assert journal.kept_one("clock", "b1") == {"latest_offset_s": 1_789_000_000.0, "guessed": False}
    journal.close()


def test_the_records_of_a_parked_transaction_come_back_together(journal):
    seqs = [journal.append(event(name), stamp(0)) for event in (started, sampled, ended) for name in ("a", "b")]
    for seq in seqs:
        journal.park(seq, "refused")
    assert journal.held_transactions("waits") == {"a", "b"}
    keys = journal.parked_keys(limit=2, after=1)
    assert [(key.seq, key.is_start, key.transaction) for key in keys] == [(2, True, "b"), (3, False, "a")]
    assert journal.unpark_transaction("a") == 3
    assert [record.seq for record in journal.pending(9)] == [1, 3, 5]
    assert journal.held_transactions("waits") == {"b"}
    journal.park(3, "waits")
    assert journal.held_transactions("waits") == {"a", "b"}


def test_an_answer_that_comes_late_settles_a_parked_record(journal):
    seq = journal.append(started("a"), stamp(0))
    journal.append(ended("a"), stamp(1))
    journal.park(seq, "no answer")
    journal.delivered(seq)
    assert journal.parked() == []
    assert journal.unpark() == 0
