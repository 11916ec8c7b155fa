"""The table of faults is whole, and the book keeps its rules: latch, release, retry, pilot and lock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.control.fault_book import FaultBook, us_rules
from agent.control.faults import FAULTS, Condition, FaultLock, FaultPilot, Latch
from agent.control.timing import STOP_S
from agent.link.messages import FaultCode

SEEN = Condition("seen")


def book_with(code: FaultCode, plugged: bool = True, condition: Condition = SEEN) -> FaultBook:
    book = FaultBook(1)
    book.update({code: condition}, plugged=plugged, unplugged=not plugged, now=0.0)
    return book


def quiet(book: FaultBook, now: float, plugged: bool = True) -> None:
    book.update({}, plugged=plugged, unplugged=not plugged, now=now)


def test_every_fault_has_a_rule_and_a_remedy() -> None:
    assert set(FAULTS) == set(FaultCode)
    for code, rule in FAULTS.items():
        assert rule.remedy.endswith("."), code
        assert rule.detector, code
        assert (rule.open_after_s is None) == (not rule.blocks), code
        if rule.open_after_s is not None:
            assert 0.0 <= rule.open_after_s <= 6.0, code


def test_every_row_of_the_truth_table_that_is_a_fault_has_a_rule() -> None:
    rows = {int(number) for rule in FAULTS.values() for number in re.findall(r"\d+", rule.row)}
    assert rows >= set(range(11, 30))


@pytest.mark.parametrize("code", [c for c, rule in FAULTS.items() if rule.latch is Latch.NONE])
def test_unlatched_faults_end_by_themselves(code: FaultCode) -> None:
    book = book_with(code)
    quiet(book, 1.0)
    assert book.codes() == (code,)
    quiet(book, 1.0 + FAULTS[code].recover_s)
    assert book.codes() == ()
    assert [report.active for report in book.take_reports()] == [True, False]


@pytest.mark.parametrize("code", [c for c, r in FAULTS.items() if r.latch is not Latch.NONE and not r.retries])
def test_latched_faults_stay(code: FaultCode) -> None:
    book = book_with(code)
    for hour in range(1, 25):
        quiet(book, hour * 3600.0)
    assert book.codes() == (code,)
    assert all(report.latched for report in book.all_reports())


@pytest.mark.parametrize("code", [c for c, r in FAULTS.items() if r.latch is not Latch.NONE])
def test_a_person_clears_but_not_while_it_lasts(code: FaultCode) -> None:
    book = book_with(code)
    book.clear(code)
    book.update({code: SEEN}, plugged=True, unplugged=False, now=100.0)
    assert book.codes() == (code,)
    quiet(book, 200.0)
    quiet(book, 300.0)
    assert book.codes() == ()


@pytest.mark.parametrize("code", [c for c, r in FAULTS.items() if r.latch in (Latch.UNPLUG, Latch.STATE_A)])
def test_unplugging_releases(code: FaultCode) -> None:
    book = book_with(code)
    quiet(book, 10.0)
    quiet(book, 100.0, plugged=False)
    quiet(book, 200.0, plugged=False)
    assert book.codes() == ()


def test_unplugging_does_not_release_what_only_a_person_may() -> None:
    book = book_with(FaultCode.CONTACTOR_WELDED)
    quiet(book, 100.0, plugged=False)
    quiet(book, 200.0, plugged=False)
    assert book.codes() == (FaultCode.CONTACTOR_WELDED,)


def test_raised_without_a_vehicle_it_takes_a_plug_and_an_unplug() -> None:
    book = book_with(FaultCode.RESIDUAL_CURRENT, plugged=False)
    quiet(book, 100.0, plugged=False)
    assert book.codes()
    quiet(book, 110.0, plugged=True)
    quiet(book, 120.0, plugged=False)
    assert not book.codes()


def test_a_fault_seen_again_must_be_released_again() -> None:
    book = book_with(FaultCode.RESIDUAL_CURRENT)
    book.clear(FaultCode.RESIDUAL_CURRENT)
    quiet(book, 1.0)
    book.update({FaultCode.RESIDUAL_CURRENT: SEEN}, plugged=True, unplugged=False, now=1.5)
    quiet(book, 2.0)
    quiet(book, 100.0)
    assert book.codes()


def test_us_residual_current_retries_until_it_is_final() -> None:
    book = FaultBook(1, us_rules(2, 900.0))
    now = 0.0
    for _ in range(2):
        book.update({FaultCode.RESIDUAL_CURRENT: SEEN}, plugged=True, unplugged=False, now=now)
        assert not book.all_reports()[0].latched
        quiet(book, now + 899.0)
        assert book.codes()
        quiet(book, now + 902.0)
        assert not book.codes()
        now += 1000.0
    book.update({FaultCode.RESIDUAL_CURRENT: SEEN}, plugged=True, unplugged=False, now=now)
    assert book.all_reports()[0].latched
    quiet(book, now + 1e6)
    quiet(book, now + 2e6)
    assert book.codes()


def test_a_final_trip_is_not_retried() -> None:
    book = FaultBook(1, us_rules(4, 900.0))
    early = Condition("early", final=True)
    book.update({FaultCode.RESIDUAL_CURRENT: early}, plugged=True, unplugged=False, now=0.0)
    quiet(book, 1.0)
    quiet(book, 5000.0)
    assert book.codes()


def test_deadline_is_the_soonest_and_never_moves_later() -> None:
    book = book_with(FaultCode.TEMPERATURE)
    assert book.deadline() == STOP_S
    book.update({FaultCode.TEMPERATURE: SEEN}, plugged=True, unplugged=False, now=3.0)
    assert book.deadline() == STOP_S
    book.update({FaultCode.TEMPERATURE: Condition("T3", 0.0)}, plugged=True, unplugged=False, now=4.0)
    assert book.deadline() == 4.0


def test_what_only_reports_does_not_block() -> None:
    book = book_with(FaultCode.METER)
    assert not book.blocking()
    assert book.deadline() is None
    assert book.pilot(0.0) is FaultPilot.KEEP


def test_f_is_shown_long_enough_and_then_x1_so_that_an_unplug_is_seen() -> None:
    book = book_with(FaultCode.RESIDUAL_CURRENT)
    assert book.pilot(3.0) is FaultPilot.F
    assert book.pilot(4.0) is FaultPilot.X1
    welded = book_with(FaultCode.CONTACTOR_WELDED)
    assert welded.pilot(1e6) is FaultPilot.F
    diode = book_with(FaultCode.DIODE)
    assert [diode.pilot(at) for at in (0.0, 1.0, 4.9, 5.0)] == [
        FaultPilot.X1,
        FaultPilot.F,
        FaultPilot.F,
        FaultPilot.X1,
    ]


def test_a_welded_contactor_keeps_the_lock_even_in_an_emergency() -> None:
    book = book_with(FaultCode.EMERGENCY_STOP)
    assert book.lock() is FaultLock.RELEASE
    both = {FaultCode.EMERGENCY_STOP: SEEN, FaultCode.CONTACTOR_WELDED: SEEN}
    book.update(both, plugged=True, unplugged=False, now=1.0)
    assert book.lock() is FaultLock.HOLD


def test_the_contactor_is_commanded_in_one_place() -> None:
    control = Path(__file__).parents[2] / "agent" / "control"
    closing = [path.name for path in control.glob("*.py") if re.search(r"\.closed = True", path.read_text())]
    assert closing == ["sequence.py"]
