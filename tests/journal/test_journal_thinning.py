"""Thinning: even, never a block, never a start or an end."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.journal.thinning import Line, Walk, level


def day(gaps, name="a", first=1, boot=1):
    lines, at = [Line(first, name, boot, 0.0, sample=False)], 0.0
    for index, gap in enumerate(gaps):
        at += gap
        lines.append(Line(first + 1 + index, name, boot, at, sample=True))
    return [*lines, Line(first + 1 + len(lines), name, boot, at, sample=False, ended=True)]


def thinned(lines):
    chosen = level(lines)
    walk = Walk(chosen if chosen is not None else 0.0)
    return [line for line in lines if not walk.drops(line)]


def times(lines):
    return [line.at_s for line in lines if line.sample]


def test_every_second_sample_goes():
    lines = day([60.0] * 9)
    assert times(thinned(lines)) == [60, 180, 300, 420, 540]
    assert times(thinned(thinned(lines))) == [60, 300, 540]
    assert times(thinned(thinned(thinned(lines)))) == [60, 540]


def test_jitter_changes_nothing():
    lines = day([60.0 + 0.2 * (-1) ** index for index in range(100)])
    assert [line.seq for line in thinned(lines) if line.sample] == list(range(2, 102, 2))


def test_new_samples_catch_up_with_old_ones():
    lines = thinned(day([60.0] * 20)) + day([60.0] * 20, "b", first=100)
    once = thinned(lines)
    old = [line for line in once if line.transaction == "a"]
    new = [line for line in once if line.transaction == "b"]
    assert times(old) == times(new)


def test_nothing_is_left_to_thin():
    assert level(day([])) is None
    assert level(day([60.0])) is None
    assert times(thinned(day([60.0, 60.0]))) == [60]


def test_a_restart_within_a_transaction_breaks_no_order():
    lines = [Line(1, "a", 1, 500.0, True), Line(2, "a", 2, 10.0, True), Line(3, "a", 2, 70.0, True)]
    assert [line.seq for line in thinned(lines)] == [1, 2]


@given(st.lists(st.lists(st.floats(0.0, 4000.0), max_size=40), min_size=1, max_size=6), st.integers(1, 4))
def test_never_a_start_an_end_or_a_first_sample_and_gaps_stay_in_proportion(days, passes):
    lines = [line for number, gaps in enumerate(days) for line in day(gaps, str(number), first=1000 * number)]
    left = lines
    for _ in range(passes):
        chosen = level(left)
        before, left = left, thinned(left)
        assert [line for line in left if not line.sample] == [line for line in lines if not line.sample]
        if chosen is None:
            assert left == before
            continue
        assert len(left) < len(before)
        for number in range(len(days)):
            was = [line.at_s for line in before if line.sample and line.transaction == str(number)]
            now = [line.at_s for line in left if line.sample and line.transaction == str(number)]
            assert now[:1] == was[:1]
            widest = max((b - a for a, b in pairwise(was)), default=0.0)
            for one, two in pairwise(now):
                # What lies between two that stay was closer than the level to the first of them.
                assert two - one <= max(widest, chosen + widest)
