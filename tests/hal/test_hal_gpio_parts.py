"""The pure parts of the pin driver: Wiegand frames, self-test, rhythms, ring bytes, and the counter on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.gpio.counter_file import CounterFile
from hal.drivers.gpio.lights import encode_ring
from hal.drivers.gpio.patterns import PATTERNS
from hal.drivers.gpio.residual_current import ResidualCurrentOptions
from hal.drivers.gpio.wiegand import Pulse, decode_card, decode_key, split_frames
from hal.drivers.monitor_test import MonitorTest
from hal.ports import DeviceError
from hal.values import Indication, SelfTest

PATIENCE_S = 10.0


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


# Wiegand: facility 1, card 1 of 26 bits, and a 34-bit frame worked out by hand


@pytest.mark.parametrize(
    ("frame", "card"),
    [
        ("1 00000001 0000 000000000001 0", "010001"),
        ("0 00000000 0000 000000000000 1", "000000"),
        ("0 11111111 1111 111111111111 1", "FFFFFF"),
        ("1 1101111010101101 1011111011101111 0", "DEADBEEF"),
    ],
)
def test_card_frames_of_26_and_34_bits(frame: str, card: str) -> None:
    assert decode_card(bits(frame), (26, 34)).hex().upper() == card  # type: ignore[union-attr]


@given(st.lists(st.integers(0, 1), max_size=80))
def test_any_bits_are_a_card_or_none(frame: list[int]) -> None:
    card = decode_card(frame, (26, 34))
    assert card is None or len(card) == (len(frame) - 2) // 8
    decode_key(frame)


@given(st.integers(0, 0xFFFFFF), st.integers(0, 25))
def test_one_wrong_bit_is_never_a_card(number: int, wrong: int) -> None:
    data = bits(f"{number:024b}")
    frame = [sum(data[:12]) % 2, *data, 1 - sum(data[12:]) % 2]
    assert decode_card(frame, (26,)) == number.to_bytes(3, "big")
    frame[wrong] ^= 1
    assert decode_card(frame, (26,)) is None
    assert decode_card(frame[1:], (26,)) is None


def test_keys_of_4_and_8_bits() -> None:
    assert [decode_key(bits(text)) for text in ("0000", "1001", "1010", "1011", "1100")] == [0, 9, 10, 11, None]
    assert [decode_key(bits(text)) for text in ("11110000", "01101001", "11111001", "111")] == [0, 9, None, None]


def test_pulses_are_ordered_by_their_time_and_split_at_silence() -> None:
    pulses = [Pulse(1.002, 0), Pulse(1.000, 1), Pulse(1.001, 1), Pulse(1.100, 0), Pulse(1.101, 1)]
    assert split_frames(pulses, 0.03, 1.12) == ([[1, 1, 0]], [Pulse(1.100, 0), Pulse(1.101, 1)])
    assert split_frames(pulses, 0.03, 1.2) == ([[1, 1, 0], [0, 1]], [])
    assert split_frames([Pulse(1.0, 0), Pulse(1.0, 1)], 0.03, 2.0) == ([[]], [])


# Self-test of a monitor (times of hardware.md §E, X804-type module)


def _course(trip: tuple[float, float], second: tuple[float, float] | None = None) -> tuple[SelfTest, float, float]:
    """Play a test that trips and releases at these seconds; returns result, its time, and how long the pin drove."""
    test = MonitorTest(ResidualCurrentOptions("c:0", trip_ac="c:1" if second else "", test="c:2").times)
    test.start(0.0)
    drove_s, now = 0.0, 0.0
    while test.running and now < 10.0:
        now = round(now + 0.01, 3)
        test.step(trip[0] <= now < trip[1], None if second is None else second[0] <= now < second[1], now)
        drove_s = now if test.drives else drove_s
    return test.state, now, drove_s


def test_a_good_monitor_passes_in_its_times() -> None:
    assert _course((0.3, 1.0)) == (SelfTest.PASSED, 1.0, 0.24)
    assert _course((0.7, 2.0), (1.3, 2.4))[0] is SelfTest.PASSED


@pytest.mark.parametrize(
    ("trip", "second"),
    [
        ((9.0, 9.9), None),
        ((0.75, 1.0), None),
        ((0.3, 9.9), None),
        ((0.3, 1.0), (9.0, 9.9)),
        ((0.3, 1.0), (0.5, 9.9)),
        ((0.1, 1.6), None),
    ],
)
def test_a_monitor_that_is_late_dead_or_stuck_fails(
    trip: tuple[float, float], second: tuple[float, float] | None
) -> None:
    state, ended_at, _ = _course(trip, second)
    assert state is SelfTest.FAILED
    assert ended_at < 3.0


def test_without_a_test_line_there_is_no_test() -> None:
    test = MonitorTest(ResidualCurrentOptions("c:0").times)
    test.start(0.0)
    assert (test.state, test.running, test.drives) == (SelfTest.UNSUPPORTED, False, False)


# Lights


def test_every_indication_has_a_rhythm_of_its_own() -> None:
    rhythms = {(pattern.period_s, pattern.flashes) for pattern in PATTERNS.values()}
    assert set(PATTERNS) == set(Indication)
    assert len(rhythms) == len(PATTERNS)


@given(st.sampled_from(Indication), st.floats(0, 1000))
def test_a_light_changes_only_when_it_says(indication: Indication, since_s: float) -> None:
    pattern = PATTERNS[indication]
    left_s = min(pattern.next_change_s(since_s), 10.0)
    assert left_s > 0
    for share in (0.1, 0.5, 0.9):
        later = since_s + share * left_s
        if abs(later - since_s - left_s) > 1e-6 and left_s > 1e-6:
            assert pattern.lit(later) == pattern.lit(since_s)


def test_ring_bytes_are_green_red_blue_with_three_bits_each() -> None:
    one = encode_ring([(0xFF, 0x00, 0x80)])
    # green 00 → 100 ×8, red FF → 110 ×8, blue 80 → 110, then 100 ×7
    assert one.hex() == "00" + "924924" + "db6db6" + "d24924" + "00"
    assert len(encode_ring([(1, 2, 3)] * 12)) == 12 * 9 + 2


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=32))
def test_no_pulse_of_the_ring_is_longer_than_it_may(colours: list[tuple[int, int, int]]) -> None:
    line = "".join(f"{byte:08b}" for byte in encode_ring(colours))
    highs = [len(run) for run in line.split("0") if run]
    assert len(highs) == 24 * len(colours)
    assert set(highs) <= {1, 2}


# The counter


def test_a_count_is_kept_whole_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "s0" / "count"
    counter = CounterFile(path, 1000.0)
    counter.open()
    for pulses in range(1, 50):
        counter.save(pulses)
    counter.close()
    assert counter.saved == 49
    assert json.loads(path.read_text()) == {"pulses": 49, "pulses_per_kwh": 1000.0}
    again = CounterFile(path, 1000.0)
    again.open()
    assert again.saved == 49
    with pytest.raises(DeviceError, match="another process counts"):
        CounterFile(path, 1000.0).open()
    again.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not hold a count"),
        ('{"pulses": "x", "pulses_per_kwh": 1000}', "does not hold a count"),
        ('{"pulses": 5, "pulses_per_kwh": 800}', "counted with 800"),
        ('{"pulses": -5, "pulses_per_kwh": 1000}', "counted with"),
    ],
)
def test_a_file_that_is_not_this_meters_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "count"
    path.write_text(text)
    with pytest.raises(DeviceError, match=reason):
        CounterFile(path, 1000.0).open()
    assert path.read_text() == text


def test_a_disk_that_takes_nothing_is_told_and_got_over(tmp_path: Path) -> None:
    path = tmp_path / "count"
    counter = CounterFile(path, 1000.0)
    counter.open()
    blocker = tmp_path / "count.new"
    blocker.mkdir()
    counter.save(5)
    _await(lambda: counter.trouble != "")
    assert "cannot be written" in counter.trouble
    assert counter.saved == 0
    blocker.rmdir()
    counter.save(6)
    _await(lambda: counter.saved == 6)
    assert counter.trouble == ""
    counter.close()


def _await(condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


@pytest.mark.process
def test_a_killed_counter_never_runs_backwards(tmp_path: Path) -> None:
    """A process counts and tells what it shows; it is killed at arbitrary moments. No number ever falls."""
    code = (
        "import sys; from pathlib import Path; from hal.drivers.gpio.counter_file import CounterFile\n"
        "counter = CounterFile(Path(sys.argv[1]), 1000.0); counter.open(); pulses = counter.saved\n"
        "while True:\n"
        "    pulses += 1; counter.save(pulses); print(counter.saved, flush=True)\n"
    )
    shown: list[int] = []
    for life in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "count")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        with process, process.stdout:
            for seen, line in enumerate(process.stdout):
                shown.append(int(line))
                if seen > 40 * (life + 1) and shown[-1] > shown[-seen]:
                    os.kill(process.pid, signal.SIGKILL)
                    break
            shown.extend(int(line) for line in process.stdout if line.endswith("\n"))
    assert all(before <= after for before, after in pairwise(shown))
    assert shown[-1] > 0
