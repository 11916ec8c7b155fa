"""What becomes of entries while the disk does not take them."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest

from agent import bookkeeper
from agent.bookkeeper import RETRY_S, Bookkeeper, compact
from agent.config.schema import JournalFailure
from agent.journal.events import (
    Context,
    MeterSampled,
    MeterSigned,
    SampledValue,
    SignedValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
)
from agent.journal.journal import Journal
from agent.link.messages import Withdraw
from agent.link.signing import SignedKept
from agent.station.effects import Keep, Record


def started(name):
    event = TransactionStarted(name, 1, "04AABB", "ISO14443", 1.0, StartTrigger.AUTHORIZED, offline=True)
    return Record(event, Stamp("b1", 0.0, 1.7e9, True))


def sampled(name, at):
    event = MeterSampled(name, 1, (SampledValue("Voltage", at, "V"),), offline=True)
    return Record(event, Stamp("b1", at, 1.7e9 + at, True))


def granted(name):
    event = TransactionUpdated(name, 1, None, True, Trigger.AUTHORIZED, "04AABB")
    return Record(event, Stamp("b1", 0.0, 1.7e9, True))


def ended(name, at):
    return Record(TransactionEnded(name, 1, 2.0, StopReason.LOCAL, True), Stamp("b1", at, 1.7e9 + at, True))


class Time:
    now = 100.0

    def __call__(self):
        return self.now


class Disk:
    """Makes every commit of a journal fail while ``broken``."""

    def __init__(self, journal):
        self.broken = False
        self.tries = 0
        connection = journal._db
        disk = self

        class Connection:
            def __getattr__(self, name):
                return getattr(connection, name)

            def execute(self, statement, *values):
                if statement == "COMMIT":
                    disk.tries += 1
                    if disk.broken:
                        raise sqlite3.OperationalError("database or disk is full")
                return connection.execute(statement, *values)

        journal._db = Connection()


@pytest.fixture
def journal(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", "b1")
    yield journal
    journal.close()


def events(journal):
    return [record.event for record in journal.pending(10_000)]


@pytest.mark.parametrize(
    ("entry", "withheld"),
    [
        (started("t"), True),
        (granted("t"), True),
        (Keep("session", "1", {"transaction": "t", "told": False}), True),
        (Keep("session", "1", {"transaction": "t"}), False),
        (Keep("session", "1", None), False),
        (Keep("session", "waiting", [{"transaction": "t", "told": False}]), False),
        (sampled("t", 1.0), False),
        (started("u"), False),
    ],
)
def test_no_energy_before_start_and_driver_are_on_the_disk(journal, entry, withheld):
    """Under OCPP 2.x the start may be told before anybody is authorised, or only when energy flows."""
    disk = Disk(journal)
    disk.broken = True
    for policy in JournalFailure:
        keeper = Bookkeeper(journal, policy, Time())
        keeper.write([entry])
        assert keeper.withholds("t") is (withheld and policy is JournalFailure.REFUSE)


@pytest.mark.parametrize("policy", JournalFailure)
def test_nothing_is_forgotten_while_the_disk_refuses(journal, policy):
    time, disk = Time(), Disk(journal)
    keeper = Bookkeeper(journal, policy, time)
    assert keeper.write([started("a")])
    assert keeper.books.code == ""
    disk.broken = True
    assert not keeper.write([ended("a", 9.0), started("b"), Keep("session", "1", 1), Keep("session", "1", 2)])
    closed = policy is JournalFailure.REFUSE
    assert keeper.books.code == "journal_unwritable"
    assert keeper.books.closed == closed
    assert keeper.withholds("b") == closed
    assert not keeper.withholds("a")
    assert keeper.waiting == 3  # one document, its last state
    assert keeper.figures().pending == 3  # what waits in memory is not delivered either
    assert keeper.retry_at == time.now + RETRY_S
    disk.broken = False
    assert not keeper.write([ended("b", 10.0)])  # not before its time
    time.now += RETRY_S
    assert keeper.write([])
    assert keeper.retry_at is None
    assert keeper.books.code == ""
    assert not keeper.withholds("b")
    assert [type(event).__name__ for event in events(journal)] == [
        "TransactionStarted", "TransactionEnded", "TransactionStarted", "TransactionEnded",
    ]  # fmt: skip
    assert journal.kept_one("session", "1") == 2


def test_the_last_write_does_not_wait(journal):
    disk = Disk(journal)
    keeper = Bookkeeper(journal, JournalFailure.REFUSE, Time())
    disk.broken = True
    keeper.write([started("a")])
    disk.broken = False
    assert keeper.write([], last=True)


def test_hours_without_a_disk_do_not_fill_memory_or_log(journal, caplog):
    time, disk = Time(), Disk(journal)
    keeper = Bookkeeper(journal, JournalFailure.REFUSE, time)
    keeper.write([started("a")])
    disk.broken = True
    for second in range(20_000):
        time.now += 1.0
        keeper.write([sampled("a", float(second)), Keep("session", "1", second)])
    assert keeper.waiting <= bookkeeper.MOST_WAITING + 10
    assert len(caplog.records) < 150
    assert disk.tries < 12_000
    time.now += RETRY_S
    disk.broken = False
    assert keeper.write([ended("a", 20_000.0)])
    times = [record.stamp.monotonic_s for record in journal.pending(10_000)[1:-1]]
    assert times == sorted(times)
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) <= 16.0
    assert isinstance(events(journal)[-1], TransactionEnded)


def test_a_damaged_file_is_repaired_and_written(journal):
    time = Time()
    keeper = Bookkeeper(journal, JournalFailure.REFUSE, time)
    keeper.write([started("a")])
    journal.damaged = True
    assert keeper.retry_at is not None
    assert keeper.write([ended("a", 1.0)])
    assert len(events(journal)) == 2
    assert keeper.books.code == "journal_damaged"
    assert keeper.books.error == "InternalError"


def test_thinning_is_told(journal):
    keeper = Bookkeeper(journal, JournalFailure.REFUSE, Time())
    keeper.write([started("a"), *(sampled("a", 60.0 * index) for index in range(50))])
    journal.keep_below(1)
    keeper.write([ended("a", 4000.0)])
    assert keeper.books.code == "journal_thinned"
    assert keeper.books.error == "OtherError"
    assert not keeper.books.closed


def test_compacting_keeps_order_and_starts_and_ends():
    entries = [started("a"), Keep("s", "1", 1), ended("a", 1.0), Keep("s", "2", 1), Keep("s", "1", 2)]
    assert compact(entries) == [entries[0], entries[2], entries[3], entries[4]]


def test_a_meter_is_told_to_forget_only_what_is_on_the_disk(tmp_path):
    clock = Time()
    journal = Journal.open(tmp_path / "journal.db", "b1")
    disk = Disk(journal)
    keeper = Bookkeeper(journal, JournalFailure.REFUSE, clock)
    assert not keeper.keeps_back(SignedKept(1, "k"))
    disk.broken = True
    keeper.write([ended("a", 1.0)])
    assert keeper.keeps_back(SignedKept(1, "k"))
    assert not keeper.keeps_back(Withdraw(1, "over"))
    disk.broken = False
    clock.now += RETRY_S
    keeper.write([])
    assert not keeper.keeps_back(SignedKept(1, "k"))
    journal.close()


def test_signed_values_are_never_thinned_out(monkeypatch):
    monkeypatch.setattr(bookkeeper, "MOST_WAITING", 10)
    value = SignedValue(Context.SAMPLE_PERIODIC, "OCMF|{}|{}", "OCMF")
    signed = [Record(MeterSigned("a", 1, (value,), True), Stamp("b1", at, 1.7e9 + at, True)) for at in range(50)]
    mixed = [entry for at in range(50) for entry in (sampled("a", float(at)), signed[at])]
    left = compact(mixed)
    assert [entry for entry in left if isinstance(entry.event, MeterSigned)] == signed
    assert len(left) < len(mixed)
