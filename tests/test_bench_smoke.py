"""The benchmark's own arithmetic and its boards: what it reports must be what it saw. No time is judged here."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.mcu_board.messages import AllowPowerOn, KeepAlive, PwmDutyCycle, ToBoard, Variant
from hal.drivers.mcu_board.wire import encode_to_board, frame
from tests.bench import __main__ as bench
from tests.bench.boards import BARE, C_TO_B, BareStory, BoardStory, Port, Samples, Stage
from tests.bench.figures import Figure, Report, number, percentile, ratio, rows
from tests.bench.flood import PIECE, Line
from tests.bench.journal_io import count_calls
from tests.bench.machine import cpu_s, io_bytes, memory, memory_alone_mb

THOUSAND = [float(value) for value in range(1, 1001)]


@pytest.mark.parametrize(
    ("samples", "pct", "expected"),
    [
        ([5.0], 50, 5.0),
        ([5.0], 99.9, 5.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 75, 3.0),
        (THOUSAND, 50, 500.0),
        (THOUSAND, 99.9, 999.0),
        (THOUSAND[:999], 99.9, 999.0),
        (THOUSAND, 100, 1000.0),
        (THOUSAND, 0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(samples: list[float], pct: float, expected: float) -> None:
    assert percentile(samples, pct) == expected


def test_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 50))


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_percentile_is_a_sample_that_so_many_do_not_exceed(samples: list[float], pct: float) -> None:
    found = percentile(samples, pct)
    assert found in samples
    assert sum(sample <= found for sample in samples) / len(samples) * 100 >= pct - 1e-6


def test_verdict_says_by_how_much() -> None:
    assert Figure("a_ms", 10.0, budget=10.0).verdict == "met"
    assert Figure("a_ms", 15.0, budget=10.0).verdict == "MISSED by 5 (+50%)"
    assert Figure("a_count", 2.0, budget=0.0).verdict == "MISSED by 2"
    assert Figure("a_ms", math.nan, budget=10.0).missed
    assert not Figure("a_ms", 1e9).missed
    assert Figure("a_ms", 1e9).verdict == ""


def test_numbers_and_ratios_are_readable() -> None:
    assert [number(value) for value in (0.0, 0.12345, 12.345, 123.45, 12345.6)] == [
        "0",
        "0.123",
        "12.3",
        "123",
        "12346",
    ]
    assert ratio(3.0, 2.0) == 1.5
    assert math.isnan(ratio(3.0, 0.0))


def test_rows_are_aligned() -> None:
    lines = rows([Figure("short_ms", 1.0, 5, 10.0), Figure("much_longer_name_ms", 123.0, 1000, 10.0, "a note")])
    assert lines[0].index("≤") == lines[1].index("≤")
    assert "MISSED by 113" in lines[1]
    assert lines[1].endswith("a note")
    assert rows([]) == []


def test_report_goes_to_table_and_json(tmp_path: Path) -> None:
    report = Report({"cpu": "slow"})
    report.add("One", [Figure("one_ms", 5.0, 3, 4.0), Figure("two_ms", math.nan)])
    report.unmeasured["three"] = "no such wire"
    report.write(tmp_path / "deep" / "bench.json")
    document = json.loads((tmp_path / "deep" / "bench.json").read_text(encoding="utf-8"))
    assert document["facts"] == {"cpu": "slow"}
    one = {"value": 5.0, "n": 3, "budget": 4.0, "met": False, "note": "", "group": "One"}
    assert document["figures"]["one_ms"] == one
    assert document["figures"]["two_ms"]["value"] is None
    assert document["unmeasured"] == {"three": "no such wire"}
    table = report.table()
    assert "1 budgets missed" in table
    assert "three: NOT MEASURED: no such wire" in table


def test_strace_summary_is_added_up() -> None:
    summary = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.00    0.170000         791       215           fdatasync
  2.00    0.003000        1000         3         1 fsync
  0.00    0.000000           0         9           openat
------ ----------- ----------- --------- --------- ----------------
100.00    0.173000         787       218         1 total
"""
    assert count_calls(summary) == 218


def test_this_process_can_be_looked_at() -> None:
    used = memory(os.getpid())
    assert 0 < used.private_mb <= used.pss_mb <= used.rss_mb
    assert used.private_mb < memory_alone_mb([os.getpid()]) < used.rss_mb * 1.1
    assert cpu_s(os.getpid()) > 0
    assert all(count > 0 for count in io_bytes())


def test_groups_have_names_of_their_own() -> None:
    for quick in (False, True):
        names = [group.name for group in bench.groups(quick)]
        assert len(set(names)) == len(names)


def test_unknown_group_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        bench.main(["--only", "weather"])
    assert end.value.code == 2
    assert "there are start, footprint" in capsys.readouterr().err


class Host:
    """The other end of a board's port, played by hand."""

    def __init__(self, link: Path) -> None:
        self.fd = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def say(self, *messages: ToBoard) -> None:
        os.write(self.fd, b"".join(frame(encode_to_board(Variant.YETI, message)) for message in messages))


def test_board_times_from_leaving_c_to_the_first_frame_that_forbids(tmp_path: Path) -> None:
    samples = Samples()
    port = Port(tmp_path / "board")
    board = BoardStory(port, [C_TO_B], samples, 1)
    host = Host(tmp_path / "board")
    answers = iter((AllowPowerOn(False), PwmDutyCycle(0), AllowPowerOn(False)))
    written: list[int] = []
    stage = Stage([board])
    end = time.monotonic() + 30.0

    def until(now: float) -> bool:
        """Called before each wait: play the host."""
        if board.asking and len(written) == board.rounds:
            written.append(time.monotonic_ns())
            host.say(next(answers))
        elif not board.asking:
            host.say(KeepAlive(), PwmDutyCycle(2660), AllowPowerOn(True))
        return len(samples.ns.get(C_TO_B, ())) == 2 or now > end

    stage.play(until)
    os.close(host.fd)
    assert len(written) == 3  # the first warms up and is left out
    assert len(samples.ns[C_TO_B]) == 2
    assert all(0 < ns < 30e9 for ns in samples.ns[C_TO_B])
    assert samples.unanswered == {}


def test_bare_story_counts_what_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.boards.ANSWER_TIMEOUT_S", 0.05)
    samples = Samples()
    story = BareStory(Port(tmp_path / "bare"), BARE, samples, 1)
    host = Host(tmp_path / "bare")
    host.say(AllowPowerOn(False))
    end = time.monotonic() + 30.0
    Stage([story]).play(lambda now: samples.unanswered.get(BARE, 0) >= 2 or now > end)
    os.close(host.fd)
    assert samples.unanswered == {BARE: 2}
    assert samples.ns == {}


def test_a_line_is_flooded_with_what_it_takes_and_a_silent_one_is_not(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    reader = os.open(tmp_path / "line", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    assert not line.listened_to
    tty.setraw(reader)
    assert line.listened_to
    os.write(reader, b"who is there?")
    came = bytearray()
    end = time.monotonic() + 30.0

    def going_on() -> bool:
        with contextlib.suppress(BlockingIOError):
            came.extend(os.read(reader, 4096))
        return len(came) < 3 * len(PIECE) and time.monotonic() < end

    taken, heard = line.play(PIECE, going_on)
    assert 3 * len(PIECE) <= len(came) <= taken
    assert set(came) == set(range(256))
    assert heard == len(b"who is there?")
    turns = iter((True, False))
    assert line.play(b"", lambda: next(turns)) == (0, 0)
    os.close(reader)
    line.close()
