"""The ledger's rules for TransactionEvents, and for a charge that two versions tell of. Without a wire."""

from __future__ import annotations

from typing import Any

import pytest
from csms_wire2 import BEGAN, TX, ended, event, started, value
from hypothesis import given
from hypothesis import strategies as st

from simulators.csms.ledger import Ledger
from simulators.csms.transaction import register_wh

NOW = "2026-01-02T12:00:00.000Z"
V201, V21 = "ocpp2.0.1", "ocpp2.1"


def told(ledger: Ledger, *events: dict[str, Any], version: str = V201) -> list[str]:
    """Book events; returns the kinds of what was odd."""
    found = []
    for number, payload in enumerate(events):
        status = "Accepted" if "idToken" in payload else None
        found += ledger.event("CP", version, payload, f"id{number}", NOW, status)
    return [finding.kind.value for finding in found]


def only(ledger: Ledger) -> dict[str, Any]:
    (entry,) = ledger.as_json()["transactions"]
    return dict(entry)


def test_a_whole_charge_is_booked_to_the_wh() -> None:
    ledger = Ledger()
    sample = event("Updated", 1, value(1200.4), info={"chargingState": "Charging"}, offline=True)
    end = ended(1500.5, 2, info={"stoppedReason": "EVDisconnected"}, idToken={"idToken": "BEEF", "type": "ISO14443"})
    assert told(ledger, started(1000.25), sample, end) == []
    entry = only(ledger)
    assert (entry["meter_start_wh"], entry["meter_stop_wh"], entry["energy_wh"]) == (1000.25, 1500.5, 500.25)
    assert (entry["connector_id"], entry["id_tag"], entry["id_tag_status"], entry["stop_id_tag"]) == (
        *(1, "CAFE"),
        *("Accepted", "BEEF"),
    )
    assert (entry["reason"], entry["started_at"], entry["transaction_ids"]) == ("EVDisconnected", BEGAN, [TX])
    assert [(e["seq_no"], e["offline"], e["charging_state"]) for e in entry["events"]] == [
        (0, False, None),
        (1, True, "Charging"),
        (2, False, None),
    ]
    assert entry["subprotocols"] == [V201]
    assert ledger.as_json()["totals"]["energy_wh"] == 500.25


def test_whole_registers_stay_whole_numbers() -> None:
    ledger = Ledger()
    told(ledger, started(1000.0), ended(1500.0))
    assert repr(only(ledger)["energy_wh"]) == "500"


def test_a_register_may_come_later_than_the_start_and_the_evse_too() -> None:
    ledger = Ledger()
    first = {k: v for k, v in started().items() if k not in ("evse", "meterValue")}
    second = event("Updated", 1, value(990.0, "Transaction.Begin"), evse={"id": 2})
    assert told(ledger, first, second) == []
    assert (only(ledger)["connector_id"], only(ledger)["meter_start_wh"], only(ledger)["energy_wh"]) == (2, 990, None)
    assert told(ledger, ended(1490.0, 2)) == []
    assert only(ledger)["energy_wh"] == 500


def test_without_an_end_value_the_highest_register_of_the_last_event_counts() -> None:
    ledger = Ledger()
    end = event("Ended", 1, value(1100.0), value(1300.0))
    assert told(ledger, started(), end) == []
    assert only(ledger)["energy_wh"] == 300


def test_without_any_register_it_is_over_all_the_same() -> None:
    ledger = Ledger()
    assert told(ledger, started(), event("Ended", 1)) == []
    assert (only(ledger)["energy_wh"], ledger.as_json()["totals"]["open"]) == (None, 0)


def test_repeats_are_counted_whatever_their_message_id() -> None:
    ledger = Ledger()
    assert told(ledger, started(), started(), ended(), ended(), ended()) == []
    entry = only(ledger)
    assert (entry["start_repeats"], entry["stop_repeats"], entry["event_repeats"], entry["energy_wh"]) == (1, 2, 3, 500)


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ([started(), ended(seq=3)], ["sequence-gap"]),
        ([started(), event("Updated", 2), event("Updated", 1), ended(seq=3)], ["sequence-gap", "sequence-order"]),
        ([started(), event("Updated", 1), event("Updated", 1, value(1200.0))], ["event-differs"]),
        ([started(), ended(), event("Updated", 2)], ["event-after-end"]),
        ([started(), ended(), ended(1501.0, 2)], ["stop-differs"]),
        ([event("Updated", 1)], ["unknown-transaction"]),
        ([ended()], ["unknown-transaction"]),
        ([ended(seq=2), event("Updated", 3)], ["unknown-transaction", "event-after-end"]),
        ([started(), started(tx="other")], ["start-while-open"]),
        ([started(), event("Updated", 1, value(900.0))], ["meter-backwards"]),
        ([started(), event("Updated", 1, value(1600.0)), ended(1500.0, 2)], ["meter-backwards"]),
        ([started(), event("Ended", 1, value(900.0), value(1500.0, "Transaction.End"))], ["meter-backwards"]),
        ([started(), ended(at="2026-01-02T03:00:00Z")], ["time-backwards"]),
    ],
)
def test_what_is_odd(events: list[dict[str, Any]], kinds: list[str]) -> None:
    assert told(Ledger(), *events) == kinds


def test_a_gap_that_is_filled_later_is_no_longer_missing() -> None:
    ledger = Ledger()
    told(ledger, started(), event("Updated", 3), event("Updated", 1))
    assert only(ledger)["missing_seq_nos"] == [2]


@given(st.permutations(range(5)))
def test_the_order_of_arrival_changes_no_sum(order: list[int]) -> None:
    """A charge point that had to set something aside tells it later."""
    events = [
        started(1000.5),
        event("Updated", 1, value(1100.0)),
        event("Updated", 2, value(1200.0), info={"chargingState": "Charging"}),
        event("Updated", 3, value(1300.0)),
        ended(1500.0, 4),
    ]
    ledger = Ledger()
    kinds = set(told(ledger, *(events[number] for number in order)))
    assert kinds <= {"unknown-transaction", "sequence-gap", "sequence-order"}
    entry = only(ledger)
    assert (entry["meter_start_wh"], entry["meter_stop_wh"], entry["started_at"]) == (1000.5, 1500, BEGAN)
    assert (entry["connector_id"], entry["id_tag"], entry["missing_seq_nos"]) == (1, "CAFE", [])
    assert [sample["seq_no"] for sample in entry["meter_values"]] == [0, 1, 2, 3]


def test_the_flag_that_it_is_told_late_may_change_between_tries() -> None:
    ledger = Ledger()
    assert told(ledger, started(), started(offline=True)) == []
    assert only(ledger)["start_repeats"] == 1


def test_the_same_charge_of_two_charge_points_is_two() -> None:
    ledger = Ledger()
    ledger.event("A", V201, started(), "1", NOW, "Accepted")
    assert ledger.event("B", V201, started(), "1", NOW, "Accepted") == []
    assert len(ledger.transactions) == 2


# ---- one charge, two versions ----

START_16 = {"connectorId": 1, "idTag": "CAFE", "meterStart": 1000, "timestamp": "2026-01-02T03:04:05Z"}
STOP_16 = {"transactionId": 1, "meterStop": 1500, "timestamp": "2026-01-02T04:04:05Z"}


def test_begun_under_1_6_and_told_on_under_2_is_one_charge() -> None:
    ledger = Ledger()
    ledger.start("CP", START_16, "Accepted", NOW)
    assert told(ledger, event("Updated", 4, value(1200.0), evse={"id": 1}), ended(1500.2, 5)) == []
    entry = only(ledger)
    assert (entry["transaction_ids"], entry["meter_start_wh"], entry["meter_stop_wh"]) == ([1, TX], 1000, 1500.2)
    assert entry["subprotocols"] == ["ocpp1.6", V201]


def test_begun_under_1_6_and_told_from_the_start_under_2_is_one_charge() -> None:
    """The answer to StartTransaction was lost, so the charge point tells the start again."""
    ledger = Ledger()
    ledger.start("CP", START_16, "Accepted", NOW)
    assert told(ledger, started(1000.4), ended(1500.0)) == []
    assert only(ledger)["energy_wh"] == 500


def test_begun_under_2_and_told_on_under_1_6_is_one_charge() -> None:
    ledger = Ledger()
    told(ledger, started(1000.4), event("Updated", 1, value(1200.0)))
    assert ledger.start("CP", START_16, "Accepted", NOW) == (1, [])
    assert ledger.stop("CP", STOP_16, NOW) == []
    entry = only(ledger)
    assert (entry["transaction_ids"], entry["energy_wh"]) == ([TX, 1], 499.6)


def test_an_end_told_under_both_is_a_repeat() -> None:
    ledger = Ledger()
    told(ledger, started(1000.4), ended(1500.3))
    ledger.start("CP", START_16, "Accepted", NOW)
    assert ledger.stop("CP", STOP_16, NOW) == []
    assert (only(ledger)["stop_repeats"], only(ledger)["meter_stop_wh"]) == (1, 1500.3)
    ledger = Ledger()
    ledger.start("CP", START_16, "Accepted", NOW)
    ledger.stop("CP", STOP_16, NOW)
    assert told(ledger, started(1000.4), ended(1500.3)) == []
    assert (only(ledger)["stop_repeats"], only(ledger)["energy_wh"]) == (1, 500)


@pytest.mark.parametrize(
    "change",
    [{"evse": {"id": 2}}, {"at": "2026-01-02T03:04:08Z"}, {"wh": 1002.0}],
    ids=["another EVSE", "another time", "another register"],
)
def test_another_charge_is_not_taken_for_the_same(change: dict[str, Any]) -> None:
    ledger = Ledger()
    ledger.start("CP", START_16, "Accepted", NOW)
    ledger.stop("CP", STOP_16, NOW)
    told(ledger, started(change.pop("wh", 1000.0), **change))
    assert len(ledger.transactions) == 2


def test_from_2_0_1_to_2_1_the_id_is_the_same() -> None:
    ledger = Ledger()
    told(ledger, started())
    assert told(ledger, ended(), version=V21) == []
    assert (only(ledger)["subprotocols"], only(ledger)["energy_wh"]) == ([V201, V21], 500)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 10**7), st.lists(st.integers(0, 9), max_size=6)),
        max_size=6,
        unique_by=lambda row: (row[0], row[1]),
    ),
    st.data(),
)
def test_repeats_in_any_number_never_change_the_sum(
    rows: list[tuple[int, int, list[int]]], data: st.DataObject
) -> None:
    ledger = Ledger()
    for number, (evse, begin, steps) in enumerate(rows):
        wh = begin
        events = [started(float(begin), evse={"id": evse}, tx=f"tx{number}")]
        for seq, step in enumerate(steps, start=1):
            wh += step
            events.append(event("Updated", seq, value(float(wh)), tx=f"tx{number}"))
        events.append(ended(float(wh), len(steps) + 1, tx=f"tx{number}"))
        for index in range(len(events)):
            for _ in range(data.draw(st.integers(1, 3))):
                assert told(ledger, events[index]) == []
        if data.draw(st.booleans()):
            assert told(ledger, *events) == []  # the whole charge again, as after a lost database of the charge point
    totals = ledger.as_json()["totals"]
    assert (totals["transactions"], totals["open"]) == (len(rows), 0)
    assert totals["energy_wh"] == sum(sum(steps) for _, _, steps in rows)


@pytest.mark.parametrize(
    ("sample", "wh"),
    [
        ({"value": 5.0}, 5.0),
        ({"value": 5.0, "unitOfMeasure": {"unit": "kWh"}}, 5000.0),
        ({"value": 5.0, "unitOfMeasure": {"multiplier": 3}}, 5000.0),
        ({"value": 5.0, "unitOfMeasure": {"multiplier": 10**9}}, None),
        ({"value": 5.0, "phase": "L1"}, None),
        ({"value": 5.0, "location": "Inlet"}, None),
        ({"value": 5.0, "measurand": "Voltage"}, None),
    ],
)
def test_registers_of_2(sample: dict[str, Any], wh: float | None) -> None:
    assert register_wh({"sampledValue": [sample]}) == wh
