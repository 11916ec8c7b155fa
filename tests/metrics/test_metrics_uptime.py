"""Uptime by the NEVI formula: tables, month ends, clocks that are corrected, absences, and bounds."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link.messages import FaultCode
from agent.metrics.uptime import MOST_MONTHS, MOST_OUTAGES, NO_OUTAGE, YEAR_MIN, Cause, Ledger, cause_of


def utc(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc]


MAY = utc(2026, 5, 1)


def lived(*states: tuple[float, Cause | None]) -> Ledger:
    """Each state holds for so many minutes, from the first of May on."""
    ledger, at = Ledger(), MAY
    for minutes, cause in states:
        ledger.now(at, at, cause)
        at += minutes * 60.0
    ledger.now(at, at, None)
    return ledger


@pytest.mark.parametrize(
    ("states", "counted_min"),
    [
        ([(100, None)], 0.0),
        ([(100, None), (60, Cause.FAULT)], 60.0),
        ([(60, Cause.SERVICE), (60, Cause.UTILITY), (60, Cause.VEHICLE)], 0.0),
        ([(30, Cause.FAULT), (30, Cause.UTILITY), (30, Cause.NO_CONTROL)], 60.0),
        ([(525.6, Cause.FAULT)], 525.6),
    ],
)
def test_the_formula(states: list[tuple[float, Cause | None]], counted_min: float) -> None:
    # 23 CFR 680.116(b)(3): ((525 600 - (T_outage - T_excluded)) / 525 600) * 100
    ledger = lived(*states)
    assert ledger.year_pct() == pytest.approx((525_600 - counted_min) / 525_600 * 100)
    month = ledger.months["2026-05"]
    assert month.outage - month.excluded == pytest.approx(counted_min)
    watched = sum(minutes for minutes, _ in states)
    assert month.uptime_pct == pytest.approx((watched - counted_min) / watched * 100)


def test_one_promille_of_a_year() -> None:
    assert lived((525.6, Cause.FAULT)).year_pct() == pytest.approx(99.9)


@pytest.mark.parametrize(
    ("connected", "available", "faults", "cause"),
    [
        (True, True, [], None),
        (True, True, ["meter", "reader", "control_overrun"], None),
        (False, True, [], Cause.NO_CONTROL),
        (False, False, ["mains"], Cause.NO_CONTROL),
        (True, False, [], Cause.SERVICE),
        (True, True, ["mains"], Cause.UTILITY),
        (True, True, ["diode"], Cause.VEHICLE),
        (True, True, ["contactor_welded"], Cause.FAULT),
        # An exclusion is for what would otherwise work.
        (True, False, ["contactor_welded"], Cause.FAULT),
        (True, True, ["mains", "board_lost"], Cause.FAULT),
    ],
)
def test_the_cause_that_counts(connected: bool, available: bool, faults: list[str], cause: Cause | None) -> None:
    assert cause_of(connected, available, faults) is cause


@pytest.mark.parametrize("code", FaultCode)
def test_every_fault_has_its_place(code: FaultCode) -> None:
    assert (cause_of(True, True, [code.value]) is None) == (code.value in NO_OUTAGE)


def test_an_outage_over_the_end_of_a_month_counts_in_both() -> None:
    ledger = Ledger()
    for at, cause in ((utc(2026, 12, 31, 23, 30), Cause.FAULT), (utc(2027, 1, 1, 0, 45), None)):
        ledger.now(at, at, cause)
    assert {name: month.outage_min for name, month in ledger.months.items()} == {
        "2026-12": {"fault": 30.0},
        "2027-01": {"fault": 45.0},
    }
    assert ledger.outages == [(utc(2026, 12, 31, 23, 30), 75.0, "fault")]


def test_time_in_which_nobody_looked_is_an_outage() -> None:
    kept = json.loads(json.dumps(lived((10, None)).document()))
    ledger = Ledger(kept)
    ledger.now(5.0, MAY + 70 * 60, None)
    assert ledger.months["2026-05"].outage_min == {"not_running": 60.0}
    assert ledger.outages[-1][1:] == (60.0, "not_running")


def test_a_corrected_clock_makes_no_outage_and_no_clock_nothing_at_all() -> None:
    ledger = Ledger()
    ledger.now(0.0, 10.0, Cause.FAULT)
    assert ledger.months == {}
    ledger.now(60.0, MAY + 3600, None)
    ledger.now(120.0, MAY + 7200, None)  # two hours forward, and a minute went by
    ledger.now(180.0, MAY + 3600, None)
    assert ledger.months["2026-05"].watched_min == pytest.approx(2.0)
    assert ledger.year_pct() == 100.0


@given(
    st.lists(st.tuples(st.floats(0.01, 60_000), st.sampled_from([None, *Cause])), max_size=400),
    st.integers(0, 400),
)
def test_bounded_and_whole_whatever_happens(states: list[tuple[float, Cause | None]], restart: int) -> None:
    ledger, at = Ledger(), MAY
    for number, (minutes, cause) in enumerate(states):
        if number == restart:
            ledger = Ledger(json.loads(json.dumps(ledger.document())))
        ledger.now(at, at, cause)
        at += minutes * 60.0
        assert len(ledger.months) <= MOST_MONTHS
        assert len(ledger.outages) <= MOST_OUTAGES
        assert 0.0 <= ledger.year_pct() <= 100.0
        for month in ledger.months.values():
            assert month.excluded <= month.outage + 1e-6
            assert month.outage <= month.watched_min + 0.01
    assert len(json.dumps(ledger.document())) < 16_000


@pytest.mark.parametrize("kept", [{}, {"months": 3}, {"months": {"x": {}}, "outages": [], "told": 0}, {"months": {}}])
def test_a_document_that_is_none_begins_anew(kept: dict[str, object]) -> None:
    assert Ledger(kept).months == {}
    assert YEAR_MIN == 365 * 24 * 60
