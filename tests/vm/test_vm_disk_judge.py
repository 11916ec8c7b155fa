"""The judge of a disk finds what is missing, and nothing where all is there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from agent.config.history import digest
from agent.config.proving import Trial
from agent.journal.events import Stamp, StartTrigger, StopReason, TransactionEnded, TransactionStarted
from agent.journal.journal import Journal
from simulators.csms.frames import Direction, Frame
from tests.faults.oracle import Hardware
from tests.vm.disk_judge import Finding, Seen, clock_behind_s, judge_files, token
from tests.vm.observer import LogWatch, Order, Orders, Record, records

STAMP = Stamp("boot", 10.0, 1000.0, True)
START = TransactionStarted("t1", 1, "CARD", "ISO14443", 12000.0, StartTrigger.AUTHORIZED, False)
END = TransactionEnded("t1", 1, 12034.0, StopReason.LOCAL, False)
CLOSED = Hardware(1, ((1001.0, 1010.0),), ((990.0, 12000.0), (1010.0, 12034.0)))


def _journal(place: Path, *, delivered: int = 0) -> list[str]:
    """A journal with one transaction; the first ``delivered`` records have left the line. Return all message ids."""
    (place / "state").mkdir()
    journal = Journal.open(place / "state/journal.db", "boot")
    for event in (START, END):
        journal.append(event, STAMP)
    pending = journal.pending(10)
    journal.set_network_transaction("t1", 7)
    for record in pending[:delivered]:
        journal.delivered(record.seq)
    journal.keep("setting", "Interval", "5")
    journal.close()
    return [record.message_id for record in pending]


def _start(message_id: str, answered_s: float = math.inf, meter_wh: int = 12000) -> Record:
    payload = {"connectorId": 1, "idTag": "CARD", "meterStart": meter_wh}
    return Record(message_id, "StartTransaction", payload, 1000.0, 1002.0, answered_s)


def _stop(message_id: str, meter_wh: int = 12034, heard_s: float = 1011.0) -> Record:
    return Record(message_id, "StopTransaction", {"transactionId": 7, "meterStop": meter_wh}, 1010.0, heard_s, math.inf)


def _wrong(place: Path, seen: Seen, seen_s: float = 1020.0, beyond_s: float = math.inf) -> list[str]:
    finding = Finding()
    judge_files(place, seen, seen_s, beyond_s, finding)
    assert finding.held
    return finding.wrong


def test_a_disk_with_everything_on_it_is_clean(tmp_path: Path) -> None:
    start, stop = _journal(tmp_path)
    orders = Orders([Order("setting", "Interval", "5", 1003.0, 1004.0)])
    assert _wrong(tmp_path, Seen([_start(start), _stop(stop)], [CLOSED], orders)) == []


def test_what_was_answered_may_have_left_the_line(tmp_path: Path) -> None:
    start, stop = _journal(tmp_path, delivered=1)
    seen = Seen([_start(start, answered_s=1002.5), _stop(stop)], [], Orders())
    assert _wrong(tmp_path, seen) == []
    assert "never answered" in _wrong(tmp_path, seen, beyond_s=1002.2)[0]


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Seen([_start("another")], [], Orders()), "never answered"),
        (Seen([_start("x"), _stop("another", heard_s=1e9)], [], Orders()), "is not in the line"),
        (Seen([], [Hardware(2, ((1001.0, math.inf),), ((1000.0, 50.0),))], Orders()), "no transaction"),
        (Seen([], [Hardware(1, ((1001.0, math.inf),), ((1000.0, 13000.0),))], Orders()), "no transaction"),
        (Seen([], [], Orders([Order("setting", "Interval", "6", 1.0, 2.0)])), "allowed were ['6']"),
        (Seen([], [], Orders([Order("list", "", 1, 1.0, 2.0)])), "list"),
        (Seen([], [], Orders([Order("profile", "7", 16.0, 1.0, 2.0)])), "profile 7"),
        (Seen([], [], Orders(), waiting=frozenset({"old"})), "1 records that waited"),
        (Seen([], [], Orders(), configuration="a: 1\n"), "configuration"),
    ],
)
def test_what_is_missing_is_found(tmp_path: Path, seen: Seen, says: str) -> None:
    _journal(tmp_path)
    found = _wrong(tmp_path, seen, seen_s=1025.0)
    assert any(says in text for text in found), found


def test_another_register_than_was_told_is_found(tmp_path: Path) -> None:
    start, stop = _journal(tmp_path)
    assert "a start at 12001 Wh" in _wrong(tmp_path, Seen([_start(start, meter_wh=12001)], [], Orders()))[0]
    (tmp_path / "b").mkdir()
    start, stop = _journal(tmp_path / "b")
    assert "an end at 12040 Wh" in _wrong(tmp_path / "b", Seen([_stop(stop, meter_wh=12040)], [], Orders()))[0]


def test_a_journal_that_is_gone_is_found(tmp_path: Path) -> None:
    assert _wrong(tmp_path, Seen([_start("x")], [], Orders())) == ["there is no journal"]
    assert _wrong(tmp_path, Seen([_start("x")], [], Orders()), seen_s=0.0) == []


FILES = {"before": "model: Lab\n", "bad": "model: Lab1001\n", "after": "model: Lab1002\n"}


@pytest.mark.parametrize(
    ("there", "at_s", "good"),
    [
        ("before", 5.0, True),
        ("bad", 5.0, False),
        ("before", 10.5, True),
        ("bad", 10.5, True),
        ("bad", 12.0, True),
        ("before", 12.0, True),
        ("after", 12.0, False),
        ("before", 31.0, True),
        ("bad", 31.0, False),
        ("after", 41.0, True),
        ("before", 41.0, False),
    ],
)
def test_a_configuration_is_one_that_may_stand_there(tmp_path: Path, there: str, at_s: float, good: bool) -> None:
    """Taken at 11 s, taken back between 11 and 30 s, another one taken at 40 s."""
    _journal(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yaml").write_text(FILES[there])
    orders = Orders(
        [
            Order("file", "", FILES["bad"], 10.0, 11.0),
            Order("file", "", FILES["before"], 11.0, 30.0),
            Order("file", "", FILES["after"], 39.0, 40.0),
        ]
    )
    found = _wrong(tmp_path, Seen([], [], orders, FILES["before"]), seen_s=at_s, beyond_s=at_s + 0.1)
    assert [text for text in found if "configuration" in text] == [] if good else found


@pytest.mark.parametrize(
    ("there", "kept", "says"),
    [
        ("before", "before", ""),
        ("after", "before", ""),
        ("bad", "before", "neither of the two on trial"),
        ("after", "after", "no way back"),
        ("after", None, "no way back"),
    ],
)
def test_a_change_on_trial_can_go_back(tmp_path: Path, there: str, kept: str | None, says: str) -> None:
    _journal(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yaml").write_text(FILES[there])
    if kept is not None:
        (tmp_path / "state/config").mkdir()
        (tmp_path / "state/config/000003.yaml").write_text(FILES[kept])
    digests = {name: digest(text) for name, text in FILES.items()}
    trial = Trial(3, digests["before"], digests["after"], 60.0, needs_uplink=True, needs_control=True)
    journal = Journal.open(tmp_path / "state/journal.db", "boot")
    journal.keep("config", "trial", trial.document())
    journal.close()
    found = _wrong(tmp_path, Seen([], [], Orders()))
    assert ([says in text for text in found] == [True]) if says else (found == [])


def test_a_local_list_must_be_whole(tmp_path: Path) -> None:
    _journal(tmp_path)
    journal = Journal.open(tmp_path / "state/journal.db", "boot")
    journal.local_list.change(2, True, [(token(0).casefold(), "Accepted", "", None)], (), 10)
    journal.close()
    orders = Orders([Order("list", "", 2, 1.0, 2.0)])
    assert "holds [0]" in _wrong(tmp_path, Seen([], [], orders))[0]


def test_orders_may_hold_the_last_accepted_and_what_was_sent_since() -> None:
    orders = Orders([Order("s", "k", 1, 10.0, 11.0), Order("s", "k", 2, 20.0, 21.0), Order("s", "k", 3, 30.0)])
    assert orders.may_hold("s", "k", 5.0, 8.0) == [None]
    assert orders.may_hold("s", "k", 10.5, 10.6) == [None, 1]
    assert orders.may_hold("s", "k", 12.0, 13.0) == [1]
    assert orders.may_hold("s", "k", 20.5, 20.6) == [1, 2]
    assert orders.may_hold("s", "k", 40.0, math.inf) == [2, 3]


def test_a_length_of_the_log_is_a_time(tmp_path: Path) -> None:
    watch = LogWatch(tmp_path / "log")
    watch.steps = [(1.0, 0), (2.0, 100), (3.0, 300)]
    assert (watch.seen_until(100), watch.beyond(100)) == (2.0, 3.0)
    assert (watch.seen_until(299), watch.beyond(299)) == (2.0, 3.0)
    assert (watch.seen_until(300), watch.beyond(300)) == (3.0, math.inf)
    watch.look()
    assert watch.steps[-1][1] == 0


def test_records_are_told_once_with_their_first_answer() -> None:
    start = {"connectorId": 1, "idTag": "A", "meterStart": 5, "timestamp": "2026-01-01T00:00:00Z"}
    texts = [
        (Direction.RECEIVED, [2, "m1", "StartTransaction", start]),
        (Direction.RECEIVED, [2, "m1", "StartTransaction", start]),
        (Direction.SENT, [3, "m1", {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}]),
        (Direction.RECEIVED, [2, "m2", "Heartbeat", {}]),
        (Direction.RECEIVED, [2, "m3", "StopTransaction", {"transactionId": 1, **start}]),
        (Direction.SENT, [4, "m3", "InternalError", "", {}]),
    ]
    frames = [
        Frame(number, f"2026-01-01T00:01:0{number}Z", 0.0, direction, 1, "cp", json.dumps(text))
        for number, (direction, text) in enumerate(texts)
    ]
    first, last = records(frames)
    assert (first.message_id, first.heard_s - first.told_s, first.answered_s - first.heard_s) == ("m1", 60.0, 2.0)
    assert (last.action, last.answered_s) == ("StopTransaction", math.inf)


def test_a_clock_that_is_behind_makes_no_record_missing(tmp_path: Path) -> None:
    _journal(tmp_path, delivered=1)
    late = Record("later", "MeterValues", {}, 1000.0, 1100.0, math.inf)
    prompt = Record("gone", "MeterValues", {}, 1000.0, 1080.0, 1081.0)
    assert clock_behind_s([late, prompt]) == 80.0
    assert _wrong(tmp_path, Seen([late, prompt], [], Orders()), seen_s=1085.0) == []
    assert "is not in the line" in _wrong(tmp_path, Seen([late, prompt], [], Orders()), seen_s=1095.0)[0]
