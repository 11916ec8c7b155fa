"""Delivery in virtual time, against a journal in memory and a network that answers as told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ocpp_fakes import FakeJournal, ended, sampled, started

from agent.journal.events import ChargingState, TransactionUpdated
from agent.ocpp.aside import OFFER_EVERY_S, OFFER_GAP_S, REFUSALS
from agent.ocpp.delivery import Delivery
from agent.ocpp.rpc import Call, Outcome, Result
from agent.ocpp.v16.render import Renderer16
from agent.station.settings import Settings
from agent.station.tokens import TokenInfo, TokenStatus

ANSWER = {"transactionId": 41, "idTagInfo": {"status": "Accepted"}}
REFUSED = Outcome(Result.REFUSED, code="InternalError", description="no")
TIMED_OUT = Outcome(Result.TIMED_OUT)


class Line:
    def __init__(self, attempts: int = 3, interval_s: int = 60, overlap: bool = False) -> None:
        self.journal = FakeJournal()
        self.settings = Settings()
        self.settings.set("OCPPCommCtrlr.MessageAttempts", str(attempts))
        self.settings.set("OCPPCommCtrlr.MessageAttemptInterval", str(interval_s))
        self.starts: list[tuple[str, TokenInfo]] = []
        self.delivery = Delivery(
            self.journal, self.settings, Renderer16(), lambda name, info: self.starts.append((name, info)), overlap
        )

    def next(self, now: float = 0.0) -> Call:
        call = self.delivery.next_call(now)
        assert call is not None
        return call

    def answer(self, now: float = 0.0, payload: dict[str, Any] | None = None) -> Call:
        call = self.next(now)
        call.done(Outcome(Result.ANSWERED, ANSWER if payload is None else payload), now)
        return call


def test_in_order_one_at_a_time_with_the_number_that_came() -> None:
    line = Line()
    line.journal.session("tx-1")
    first = line.next()
    assert (first.action, first.message_id) == ("StartTransaction", "message-1")
    assert line.delivery.next_call(0.0) is None
    first.done(Outcome(Result.ANSWERED, ANSWER), 0.0)
    assert line.starts == [("tx-1", TokenInfo(TokenStatus.ACCEPTED))]
    assert line.answer().payload["transactionId"] == 41
    assert line.answer().payload["transactionId"] == 41
    assert line.delivery.next_call(0.0) is None
    assert line.journal.done == [1, 2, 3]


def test_number_and_delivery_are_one_write() -> None:
    line = Line()
    line.journal.add(started("tx-1"))
    call = line.next()
    before = line.journal.writes
    call.done(Outcome(Result.ANSWERED, ANSWER), 0.0)
    assert (line.journal.writes - before, line.journal.numbers) == (1, {"tx-1": 41})
    assert line.journal.documents["told"] == {}


def test_nothing_to_do_until_woken() -> None:
    line = Line()
    assert line.delivery.next_call(0.0) is None
    line.journal.session("tx-1")
    assert line.delivery.next_call(0.0) is None
    line.delivery.wake()
    assert line.delivery.next_call(0.0) is not None


def test_a_clock_put_right_reaches_what_was_read_ahead() -> None:
    line = Line()
    line.journal.session("tx-1")
    line.answer()
    row = line.journal.rows[2]
    line.journal.rows[2] = replace(row, utc_s=row.utc_s + 3600)
    line.delivery.reread()
    assert line.next().payload["meterValue"][0]["timestamp"] == "2026-09-21T15:13:22.000Z"


def test_refusals_wait_longer_each_time_and_then_step_aside() -> None:
    """OCPP 1.6 §3.7.2"""
    line = Line(attempts=3, interval_s=60)
    line.journal.add(sampled("tx-0"))
    line.journal.session("tx-1")
    now = 0.0
    for tries in (1, 2):
        call = line.next(now)
        assert call.message_id == "message-1"
        call.done(REFUSED, now)
        assert line.delivery.next_wake() == now + 60 * tries
        assert line.delivery.next_call(now + 60 * tries - 0.1) is None
        now += 60 * tries
    line.next(now).done(REFUSED, now)
    assert line.journal.parked == {1: "InternalError: no"}
    assert 1 in line.journal.rows
    assert line.next(now).action == "StartTransaction"


def test_without_its_start_a_transaction_is_told_with_minus_one() -> None:
    """Errata 3.18"""
    line = Line()
    line.journal.add(sampled("tx-0"))
    line.journal.add(ended("tx-0"))
    assert [line.answer(payload={}).payload["transactionId"] for _ in range(2)] == [-1, -1]


def test_a_parked_start_keeps_the_rest_of_its_transaction_back_and_lets_others_pass() -> None:
    line = Line(attempts=1)
    line.journal.session("tx-1")
    line.journal.session("tx-2")
    line.next().done(REFUSED, 0.0)
    assert [line.answer().action for _ in range(3)] == ["StartTransaction", "MeterValues", "StopTransaction"]
    assert line.journal.done == [4, 5, 6]
    assert list(line.journal.parked) == [1, 2, 3]


def test_what_stepped_aside_is_offered_again_after_a_reconnect_and_comes_in_order() -> None:
    line = Line(attempts=1)
    line.journal.session("tx-1")
    line.next().done(REFUSED, 0.0)
    line.journal.add(sampled("tx-1"))
    assert line.delivery.next_call(1.0) is None
    assert list(line.journal.parked) == [1, 2, 3, 4]
    line.delivery.lost()
    assert line.delivery.next_call(2.0) is None
    assert line.delivery.next_wake() == OFFER_GAP_S
    # One try is all it has.
    line.next(1.0 + OFFER_GAP_S).done(REFUSED, 1.0 + OFFER_GAP_S)
    assert line.delivery.next_call(2.0 + OFFER_GAP_S) is None
    line.delivery.lost()
    assert line.answer(2.0 + 2 * OFFER_GAP_S).message_id == "message-1"
    line.journal.add(ended("tx-1"))
    for expected in ("message-2", "message-3", "message-4", "message-5"):
        call = line.answer(2.0 + 2 * OFFER_GAP_S, {})
        assert (call.message_id, call.payload["transactionId"]) == (expected, 41)
    assert line.journal.parked == {}


def test_what_waited_for_a_start_goes_before_what_is_newer_even_while_writing_lags() -> None:
    line = Line(attempts=1, overlap=True)
    line.journal.add(started("tx-1"))
    line.journal.add(sampled("tx-1"))
    line.next().done(REFUSED, 0.0)
    line.delivery.lost()
    start = line.next(OFFER_GAP_S)
    line.journal.add(sampled("tx-1"))
    line.delivery.wake()
    start.done(Outcome(Result.ANSWERED, ANSWER), OFFER_GAP_S)
    assert [line.answer(OFFER_GAP_S, {}).message_id for _ in range(2)] == ["message-2", "message-3"]


def test_a_repaired_network_gets_a_transaction_in_order_though_nothing_tells_of_the_repair() -> None:
    line = Line(attempts=1)
    line.journal.add(started("tx-1"))
    line.answer()
    for _ in range(3):
        line.journal.add(sampled("tx-1"))
    line.journal.add(ended("tx-1"))
    line.delivery.wake()
    for message_id in ("message-2", "message-2", "message-3"):
        call = line.next()
        assert call.message_id == message_id
        call.done(REFUSED, 0.0)
    # Repaired: each comes before what is younger.
    assert [line.answer(1.0, {}).message_id for _ in range(4)] == ["message-2", "message-3", "message-4", "message-5"]
    assert line.journal.parked == {}


def test_a_record_that_is_refused_for_ever_costs_one_try_before_each_that_follows() -> None:
    line = Line(attempts=1)
    line.journal.session("tx-1")
    line.answer()
    line.next().done(REFUSED, 0.0)
    line.next().done(REFUSED, 0.0)
    assert line.answer(0.0, {}).message_id == "message-3"
    assert list(line.journal.parked) == [2]


def test_a_standing_connection_is_offered_again_every_few_hours() -> None:
    line = Line(attempts=1)
    line.journal.add(started("tx-1"))
    line.next().done(REFUSED, 0.0)
    assert line.delivery.next_call(0.0) is None
    assert line.delivery.next_wake() == OFFER_EVERY_S
    assert line.delivery.next_call(OFFER_EVERY_S - 1) is None
    assert line.next(OFFER_EVERY_S).message_id == "message-1"


def test_a_flapping_link_is_not_held_up_by_what_stepped_aside() -> None:
    line = Line(attempts=1)
    line.journal.add(started("tx-1"))
    line.next().done(REFUSED, 0.0)
    tries = 0
    for now in range(1, 3600):
        line.delivery.lost()
        call = line.delivery.next_call(float(now))
        if call is not None:
            tries += 1
            call.done(REFUSED, float(now))
    assert tries == 5


def test_a_network_that_still_refuses_everything_is_not_asked_for_all_of_it() -> None:
    line = Line(attempts=1)
    for number in range(8):
        line.journal.session(f"tx-{number}")
    for _ in range(8):
        line.next().done(REFUSED, 0.0)
    assert line.delivery.next_call(0.0) is None
    refused = []
    for now in (OFFER_GAP_S, 2 * OFFER_GAP_S):
        line.delivery.lost()
        line.journal.add(ended("tx-new"))
        for _ in range(REFUSALS):
            call = line.delivery.next_call(now) or line.next(now)  # once it only looks
            refused.append(call.message_id)
            call.done(REFUSED, now)
        assert line.answer(now).action == "StopTransaction"
    # The second time those had their turn that were left out the first time.
    assert refused == [f"message-{seq}" for seq in (1, 4, 7, 10, 13, 13, 16, 19, 22, 1)]
    line.delivery.lost()
    told = 0
    for _ in range(50):
        call = line.delivery.next_call(3 * OFFER_GAP_S)
        if call is not None:
            told += 1
            call.done(Outcome(Result.ANSWERED, ANSWER), 3 * OFFER_GAP_S)
    assert (told, line.journal.parked) == (24, {})


def test_a_retried_start_keeps_its_time_when_the_clock_is_corrected() -> None:
    line = Line(attempts=9)
    line.journal.session("tx-1")
    line.journal.session("tx-2")
    told = line.next().payload["timestamp"]
    line.delivery.lost()
    for seq, row in line.journal.rows.items():
        line.journal.rows[seq] = replace(row, utc_s=row.utc_s + 3600)
    line.delivery.reread()
    assert line.next(1.0).payload["timestamp"] == told
    # Also in another process.
    line.delivery = Delivery(line.journal, line.settings, Renderer16(), lambda name, info: None)
    assert line.answer(2.0).payload["timestamp"] == told
    assert line.answer(2.0, {}).payload["meterValue"][0]["timestamp"] == "2026-09-21T15:13:22.000Z"


def test_a_start_that_was_not_sent_takes_the_corrected_time() -> None:
    line = Line()
    line.journal.session("tx-1")
    line.journal.session("tx-2")
    line.answer()
    for seq, row in line.journal.rows.items():
        line.journal.rows[seq] = replace(row, utc_s=row.utc_s + 3600)
    line.delivery.reread()
    calls = [line.answer(0.0) for _ in range(3)]
    assert calls[2].payload["timestamp"] == "2026-09-21T15:13:24.000Z"


def test_a_time_out_counts_only_when_the_network_proves_alive() -> None:
    line = Line(attempts=1)
    line.journal.session("tx-1")
    line.next().done(TIMED_OUT, 30.0)
    assert line.delivery.needs_proof
    assert line.delivery.next_call(31.0) is None
    assert line.journal.parked == {}
    line.delivery.lost()
    assert not line.delivery.needs_proof
    line.next(40.0).done(TIMED_OUT, 70.0)
    line.delivery.proved_alive(71.0)
    assert list(line.journal.parked) == [1]


def test_a_lost_connection_never_counts() -> None:
    line = Line(attempts=1)
    line.journal.session("tx-1")
    for _ in range(50):
        assert line.next().message_id == "message-1"
        line.delivery.lost()
    assert line.journal.rows[1].attempts == 0


def test_a_late_answer_settles_what_waits_for_its_next_try() -> None:
    line = Line()
    line.journal.session("tx-1")
    call = line.next()
    call.done(TIMED_OUT, 30.0)
    line.delivery.proved_alive(31.0)
    call.done(Outcome(Result.ANSWERED, ANSWER, late=True), 35.0)
    assert line.journal.done == [1]
    assert line.next(35.0).action == "MeterValues"


def test_a_late_refusal_does_not_count_twice() -> None:
    line = Line(attempts=3)
    line.journal.session("tx-1")
    call = line.next()
    call.done(TIMED_OUT, 30.0)
    line.delivery.proved_alive(31.0)
    call.done(Outcome(Result.REFUSED, code="x", late=True), 32.0)
    assert line.journal.rows[1].attempts == 1


def test_a_start_answered_without_a_number_is_not_delivered() -> None:
    line = Line()
    line.journal.session("tx-1")
    for payload in ({}, {"transactionId": "7"}, {"transactionId": True}, {"transactionId": 10**30}):
        line.delivery.lost()
        line.next(1e6).done(Outcome(Result.ANSWERED, payload), 0.0)
        line.delivery = Delivery(line.journal, line.settings, Renderer16(), lambda name, info: None)
        line.settings.set("OCPPCommCtrlr.MessageAttempts", "100")
    assert line.journal.done == []


def test_a_number_counts_even_beside_nonsense() -> None:
    line = Line()
    line.journal.session("tx-1")
    line.answer(payload={"transactionId": 0, "idTagInfo": "x"})
    assert line.journal.numbers == {"tx-1": 0}
    assert line.starts == []


def test_what_has_no_message_is_passed_over_and_what_cannot_be_said_is_set_aside() -> None:
    line = Line()
    line.journal.add(TransactionUpdated("tx-1", 1, ChargingState.CHARGING, offline=False))
    line.journal.add(ended("tx-0", meter_wh=float("nan")))
    line.journal.add(ended("tx-1"))
    assert line.next().message_id == "message-3"
    assert line.journal.done == [1]
    assert "not a number" in line.journal.parked[2]


def test_a_failing_disk_neither_kills_nor_doubles() -> None:
    line = Line()
    line.journal.session("tx-1")
    call = line.next()
    line.journal.broken = OSError(28, "No space left on device")
    call.done(Outcome(Result.ANSWERED, ANSWER), 10.0)
    assert line.delivery.next_call(10.0) is None
    assert line.delivery.next_wake() == 15.0
    assert line.delivery.next_call(15.0) is None
    line.delivery.lost()
    line.journal.broken = None
    assert line.next(30.0).message_id == "message-2"
    assert line.journal.done == [1]
    assert line.journal.numbers == {"tx-1": 41}
    assert line.starts == [("tx-1", TokenInfo(TokenStatus.ACCEPTED))]


def test_the_next_goes_out_before_the_last_is_written_down() -> None:
    line = Line(overlap=True)
    line.journal.session("tx-1")
    line.answer()
    assert line.journal.done == []
    second = line.next()
    assert second.payload["transactionId"] == 41
    line.delivery.settle(0.0)
    assert (line.journal.done, line.journal.writes) == ([1], 2)
    assert line.starts == [("tx-1", TokenInfo(TokenStatus.ACCEPTED))]
    second.done(Outcome(Result.ANSWERED, {}), 0.0)
    third = line.next()
    third.done(Outcome(Result.ANSWERED, {}), 0.0)
    assert line.delivery.next_call(0.0) is None
    assert (line.journal.done, line.journal.writes) == ([1, 2, 3], 3)


def test_no_more_than_two_are_unwritten() -> None:
    line = Line(overlap=True)
    for number in range(4):
        line.journal.session(f"tx-{number}")
    for sent in range(1, 13):
        line.answer()
        assert len(line.journal.done) >= sent - 2
    line.delivery.lost()
    line.delivery.settle(0.0)
    assert line.journal.done == list(range(1, 13))


def test_a_failing_disk_while_reading() -> None:
    line = Line()
    line.journal.session("tx-1")
    line.journal.broken = OSError(5, "Input/output error")
    assert line.delivery.next_call(0.0) is None
    line.journal.broken = None
    assert line.delivery.next_call(1.0) is None
    assert line.delivery.next_call(5.0) is not None


def test_a_payload_that_breaks_its_schema_steps_aside() -> None:
    line = Line()
    line.journal.session("tx-1")
    line.next()
    line.delivery.refused_by_ourselves(ValueError("StartTransaction: idTag: is missing"), 0.0)
    assert list(line.journal.parked) == [1]
    line.journal.session("tx-2")
    line.delivery.wake()
    assert line.next().message_id == "message-4"


networks = st.lists(
    st.sampled_from(["answer", "refuse", "time out", "dead", "lose", "late", "disk", "settle"]), max_size=60
)


@hypothesis_settings(deadline=None)
@given(networks, st.integers(1, 4), st.integers(0, 60), st.booleans())
def test_nothing_is_lost_nothing_is_passed(events: list[str], attempts: int, interval_s: int, overlap: bool) -> None:
    """Whatever the network does: each record ends delivered or parked, for good, and its start before the rest."""
    line = Line(attempts, interval_s, overlap)
    for number in range(3):
        line.journal.session(f"tx-{number}")
    now = 0.0
    last: Call | None = None
    ends: dict[str, Callable[[Call], None]] = {
        "answer": lambda call: call.done(Outcome(Result.ANSWERED, ANSWER), now),
        "refuse": lambda call: call.done(REFUSED, now),
        "lose": lambda call: line.delivery.lost(),
    }
    for event in events:
        now += 300.0
        if event == "settle":
            line.delivery.settle(now)
            continue
        if event == "late":
            if last is not None:
                last.done(Outcome(Result.ANSWERED, ANSWER, late=True), now)
                last = None
            continue
        call = line.delivery.next_call(now)
        if call is None:
            continue
        if event in ends:
            ends[event](call)
        elif event == "disk":
            line.journal.broken = OSError(28, "full")
            call.done(Outcome(Result.ANSWERED, ANSWER), now)
            line.journal.broken = None
        else:
            call.done(TIMED_OUT, now)
            last = call
            if event == "time out":
                line.delivery.proved_alive(now)
            else:
                line.delivery.lost()
    for _ in range(30):
        now += 300.0
        call = line.delivery.next_call(now)
        if call is not None:
            call.done(Outcome(Result.ANSWERED, ANSWER), now)
    assert sorted(line.journal.done + list(line.journal.parked)) == list(range(1, 10))
    assert set(line.journal.rows) == set(line.journal.parked)
    for first in (1, 4, 7):
        of_one = [seq for seq in line.journal.done if first <= seq < first + 3]
        assert first not in of_one or of_one[0] == first or "late" in events
