"""The judge itself: an honest book passes, and each kind of lie is seen."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from simulators.csms.frames import Direction, Frame
from tests.faults.oracle import Deed, Hardware, charges, judge

T0 = 1_800_000_000.0
DEED = Deed(1, "04A1B2C3", T0, T0 + 20, gone_s=T0 + 23)
HARDWARE = Hardware(
    1,
    ((T0 + 3, T0 + 21),),
    (
        (T0 - 1, 1000.0),
        (T0 + 3, 1000.0),
        (T0 + 10, 1050.0),
        (T0 + 13, 1068.0),
        (T0 + 15, 1080.0),
        (T0 + 20.5, 1100.0),
        (T0 + 22, 1100.0),
    ),
)


def _text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sample(at_s: float, register_wh: float) -> dict[str, Any]:
    return {"timestamp": _text(at_s), "sampledValue": [{"value": str(register_wh)}]}


LEDGER: dict[str, Any] = {
    "transactions": [
        {
            "transaction_id": 1,
            "connector_id": 1,
            "id_tag": "04a1b2c3",
            "meter_start_wh": 1000,
            "meter_stop_wh": 1100,
            "started_at": _text(T0 + 0.5),
            "stopped_at": _text(T0 + 20.2),
            "meter_values": [_sample(T0 + 10, 1050), _sample(T0 + 15, 1080)],
        }
    ],
    "anomalies": [],
}


def _counts(ledger: dict[str, Any], deeds: tuple[Deed, ...] = (DEED,), **more: Any) -> tuple[int, int, int, int]:
    outcome = judge(charges(deeds, [HARDWARE]), [HARDWARE], ledger, **more).outcome()
    return outcome.lost, outcome.doubled, outcome.wrong, outcome.closed


def _changed(**fields: Any) -> dict[str, Any]:
    ledger = copy.deepcopy(LEDGER)
    ledger["transactions"][0].update(fields)
    return ledger


def test_honest_books_pass() -> None:
    assert _counts(LEDGER) == (0, 0, 0, 0)


def test_missing_transaction_or_end_is_a_loss() -> None:
    assert _counts({"transactions": [], "anomalies": []}) == (1, 0, 0, 0)
    assert _counts(_changed(meter_stop_wh=None, stopped_at=None)) == (1, 0, 0, 0)


def test_same_charge_twice_is_seen() -> None:
    ledger = copy.deepcopy(LEDGER)
    ledger["transactions"].append(copy.deepcopy(ledger["transactions"][0]))
    assert _counts(ledger) == (0, 1, 0, 0)


def test_charge_of_nobody_is_wrong() -> None:
    ledger = copy.deepcopy(LEDGER)
    stranger = {**ledger["transactions"][0], "connector_id": 2}
    ledger["transactions"].append(stranger)
    assert _counts(ledger) == (0, 0, 1, 0)


@pytest.mark.parametrize(
    "lie",
    [
        {"meter_stop_wh": 1099},
        {"meter_start_wh": 999},
        {"started_at": _text(T0 - 1.5)},
        {"started_at": _text(T0 + 4.5)},
        {"stopped_at": _text(T0 + 18.5)},
        {"stopped_at": _text(T0 + 22.5)},
        {"meter_values": [_sample(T0 + 15, 1080), _sample(T0 + 10, 1050)]},
        {"meter_values": [_sample(T0 + 10, 1090)]},
        {"meter_values": [_sample(T0 + 15, 1050)]},
    ],
    ids=str,
)
def test_lie_is_wrong(lie: dict[str, Any]) -> None:
    lost, doubled, wrong, closed = _counts(_changed(**lie))
    assert (lost, doubled, closed) == (0, 0, 0)
    assert wrong >= 1


def test_contacts_closed_after_the_end_or_unasked_are_seen() -> None:
    late = Deed(1, DEED.token, T0, T0 + 5)
    assert _counts(_changed(stopped_at=_text(T0 + 5)), (late,))[3] == 1
    pulled = Deed(1, DEED.token, T0, T0 + 20, gone_s=T0 + 20.2)
    assert _counts(LEDGER, (pulled,))[3] == 1
    unasked = Deed(1, DEED.token, T0 + 4, T0 + 20)
    assert _counts(LEDGER, (unasked,))[3] == 1


def test_anomaly_counts_unless_forgiven() -> None:
    ledger = {**LEDGER, "anomalies": [{"kind": "stop-differs", "action": "StopTransaction", "detail": "…"}]}
    assert _counts(ledger) == (0, 0, 1, 0)
    assert _counts(ledger, forgive=frozenset({"stop-differs"})) == (0, 0, 0, 0)


def test_one_record_under_two_message_ids_is_doubled() -> None:
    payload = {"connectorId": 1, "idTag": DEED.token, "meterStart": 1000, "timestamp": _text(T0 + 0.5)}
    frames = [
        Frame(number, "", 0.0, Direction.RECEIVED, 1, "CP", json.dumps([2, name, "StartTransaction", payload]))
        for number, name in enumerate(("one", "one", "two"))
    ]
    assert _counts(LEDGER, frames=frames[:2]) == (0, 0, 0, 0)
    assert _counts(LEDGER, frames=frames) == (0, 1, 0, 0)


def test_optional_deed_may_be_missing_but_not_with_energy() -> None:
    optional = Deed(1, DEED.token, T0 + 30, T0 + 40, required=False)
    assert _counts(LEDGER, (DEED, optional)) == (0, 0, 0, 0)
    charged = Deed(1, DEED.token, T0, T0 + 20, required=False)
    assert _counts({"transactions": [], "anomalies": []}, (charged,)) == (1, 0, 0, 0)
