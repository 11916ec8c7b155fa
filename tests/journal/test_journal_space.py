"""The bound of the journal's size: samples go, starts and ends stay, pages come free."""

from __future__ import annotations

import pytest

from agent.journal.events import (
    MeterSampled,
    SampledValue,
    Stamp,
    StartTrigger,
    StopReason,
    TransactionEnded,
    TransactionStarted,
)
from agent.journal.journal import Journal
from agent.journal.space import used_bytes

SAMPLES = 16
SPACING_S = 60.0


def session(journal, name, begin_s):
    def stamp(at):
        return Stamp("b1", begin_s + at, 1.7e9 + begin_s + at, synced=True)

    with journal.write():
        journal.append(
            TransactionStarted(name, 1, "04AABB", "ISO14443", 1.0, StartTrigger.AUTHORIZED, True), stamp(0.0)
        )
        for index in range(1, SAMPLES + 1):
            values = (SampledValue("Energy.Active.Import.Register", float(index), "Wh"),)
            journal.append(MeterSampled(name, 1, values, True), stamp(SPACING_S * index))
        journal.append(TransactionEnded(name, 1, 2.0, StopReason.LOCAL, True), stamp(SPACING_S * (SAMPLES + 1)))


@pytest.fixture
def journal(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", "b1")
    yield journal
    journal.close()


def kinds(journal):
    found = {}
    for record in journal.pending(100_000):
        found.setdefault(record.event.transaction, []).append(record)
    return found


def make_room(journal):
    for _ in range(100):
        gone = journal.make_room()
        most = journal._space.most_bytes
        if journal._space._walk is None and (journal.crowded or most is None or used_bytes(journal._db) <= most):
            return gone
    raise AssertionError("no end of thinning")


def test_room_is_made_evenly_and_starts_and_ends_stay(journal):
    for number in range(150):
        session(journal, f"t{number:03d}", 2000.0 * number)
    full = used_bytes(journal._db)
    assert make_room(journal) == 0  # no bound
    journal.keep_below(full * 3 // 4)
    assert make_room(journal) == 150 * SAMPLES // 2
    assert used_bytes(journal._db) <= full * 3 // 4
    for records in kinds(journal).values():
        assert isinstance(records[0].event, TransactionStarted)
        assert isinstance(records[-1].event, TransactionEnded)
        assert [record.event.samples[0].value for record in records[1:-1]] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert journal.kept_one("journal", "thinned") == {"samples": 150 * SAMPLES // 2}
    assert not journal.crowded


def test_what_cannot_be_thinned_stays_and_is_told(journal):
    for number in range(20):
        session(journal, f"t{number:03d}", 2000.0 * number)
    journal.keep_below(1)
    make_room(journal)
    assert journal.crowded
    assert [len(records) for records in kinds(journal).values()] == [3] * 20
    highest = journal.pending(1000)[-1].seq
    assert journal.append(TransactionEnded("z", 1, 2.0, StopReason.LOCAL, True), Stamp("b1", 1.0, 1.0, True)) > highest


def test_the_number_of_the_last_sample_is_not_given_again(journal):
    def put(at):
        return journal.append(
            MeterSampled("a", 1, (SampledValue("Voltage", at, "V"),), True), Stamp("b1", at, at, True)
        )

    numbers = [put(60.0 * index) for index in range(2)]
    journal.keep_below(1)
    make_room(journal)
    assert put(1000.0) > max(numbers)


def test_a_failed_portion_is_done_again(journal):
    for number in range(20):
        session(journal, f"t{number:03d}", 2000.0 * number)
    journal.keep_below(1)

    def fail():
        with journal.write():
            journal.make_room()
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        fail()
    assert len(journal.pending(10_000)) == 20 * (SAMPLES + 2)
    make_room(journal)
    assert len(journal.pending(10_000)) == 60
