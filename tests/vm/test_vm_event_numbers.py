"""The judge of numbers finds what a network would object to, on a disk and on the books."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from agent.journal.events import Stamp, StartTrigger, StopReason, TransactionEnded, TransactionStarted
from agent.journal.journal import Journal
from agent.ocpp.told_numbers import ToldNumbers
from tests.vm.disk_judge import Finding, Seen, judge_files
from tests.vm.event_numbers import NumbersKept, numbering, objections
from tests.vm.observer import Orders, Record

STAMP = Stamp("boot", 10.0, 1000.0, True)
START = TransactionStarted("t1", 1, "CARD", "ISO14443", 12000.0, StartTrigger.AUTHORIZED, False)
END = TransactionEnded("t1", 1, 12034.0, StopReason.LOCAL, False)


def _told(message_id: str, number: int, kind: str = "Updated", answered_s: float = math.inf, wh: float = 0.0) -> Record:
    payload: dict[str, Any] = {"eventType": kind, "seqNo": number, "transactionInfo": {"transactionId": "t1"}}
    if wh:
        payload["meterValue"] = [{"timestamp": "1970-01-01T00:16:40Z", "sampledValue": [{"value": wh}]}]
    return Record(message_id, "TransactionEvent", payload, 1000.0, 1002.0 + number, answered_s)


ANSWERED = _told("a", 0, "Started", 1002.5)
FLYING = _told("b", 1)


@pytest.mark.parametrize(
    ("given", "following", "says"),
    [
        ({"b": 1}, 2, ""),
        ({"b": 1, "c": 2}, 3, ""),
        ({"a": 0, "b": 1}, 2, ""),
        ({"b": 1, "c": 1}, 2, "was told under b, and is that of c"),
        ({"b": 2}, 3, "b of t1 was told as number 1, the disk says 2"),
        ({}, 2, "b of t1 was told as number 1, the disk says None"),
        ({"b": 1, "c": 3}, 4, "t1 lacks the numbers [2]"),
        ({"b": 1}, 1, "goes on with number 1, not 2 to 2"),
        ({"b": 1}, 3, "goes on with number 3, not 2 to 2"),
        ({"b": 1}, None, "goes on with number None"),
    ],
)
def test_numbers_of_a_disk(given: dict[str, int], following: int | None, says: str) -> None:
    following_of = {} if following is None else {"t1": following}
    kept = NumbersKept({name: ("t1", number) for name, number in given.items()}, following_of)
    facts = list(numbering(kept, [ANSWERED, FLYING], 1010.0, 1010.0))
    assert facts
    wrong = [text for text in facts if text]
    assert (wrong == []) if not says else any(says in text for text in wrong), wrong


def test_a_transaction_that_nobody_has_heard_of_yet() -> None:
    given = {"a": ("t1", 0), "b": ("t1", 1)}
    assert not any(numbering(NumbersKept(given, {"t1": 2}), [], 1010.0, 1010.0))
    assert any("goes on with number 1" in text for text in numbering(NumbersKept(given, {"t1": 1}), [], 1010.0, 1010.0))


def test_the_count_is_forgotten_with_the_end() -> None:
    events = [ANSWERED, _told("b", 1, "Ended", 1005.0)]
    assert not any(numbering(NumbersKept({}, {}), events, 1010.0, 1010.0))
    assert any(numbering(NumbersKept({}, {}), events, 1010.0, 1004.0)), "nobody had answered by then"


@pytest.mark.parametrize(
    ("records", "over", "says"),
    [
        ([ANSWERED, FLYING], False, ""),
        ([ANSWERED, FLYING], True, "0 × Ended"),
        ([ANSWERED, _told("b", 1, "Ended")], True, ""),
        ([ANSWERED, _told("b", 2)], False, "numbers [0, 2]"),
        ([ANSWERED, _told("b", 0)], False, "numbers [0, 0]"),
        ([ANSWERED, _told("b", 1, "Started")], False, "2 × Started"),
        ([ANSWERED, _told("b", 1, "Ended"), _told("c", 2, "Ended")], True, "2 × Ended"),
        ([_told("b", 0)], False, "0 × Started"),
    ],
)
def test_what_a_network_would_object_to(records: list[Record], over: bool, says: str) -> None:
    found = objections(records, over)
    assert (found == []) if not says else any(says in text for text in found), found


def _wrong(place: Path, records: list[Record]) -> list[str]:
    finding = Finding()
    judge_files(place, Seen(records, [], Orders()), 1020.0, math.inf, finding)
    assert finding.held
    return finding.wrong


def test_a_disk_as_the_charge_point_leaves_it(tmp_path: Path) -> None:
    """Start and end recorded, numbered, and the start told; the end's register is that of the history."""
    (tmp_path / "state").mkdir()
    journal = Journal.open(tmp_path / "state/journal.db", "boot")
    for event in (START, END):
        journal.append(event, STAMP)
    pending = journal.pending(10)
    ToldNumbers(journal, lambda _event: True).note(pending)
    journal.close()
    first, last = (record.message_id for record in pending)
    start = _told(first, 0, "Started", wh=12000.0)
    assert _wrong(tmp_path, [start, _told(last, 1, "Ended", wh=12034.0)]) == []
    assert "at 12040 Wh was told" in _wrong(tmp_path, [start, _told(last, 1, "Ended", wh=12040.0)])[0]
    assert "at 12001 Wh was told" in _wrong(tmp_path, [_told(first, 0, "Started", wh=12001.0)])[0]
    assert "never answered" in _wrong(tmp_path, [start, _told("another", 1)])[0]
