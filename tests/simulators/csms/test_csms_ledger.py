"""The ledger's rules, without a wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.csms.ledger import Ledger, register_wh
from simulators.csms.tokens import Token, TokenList, TokenStatus, parse_time

AT = "2026-01-01T10:00:00Z"
LATER = "2026-01-01T11:00:00Z"
NOW = "2026-01-01T12:00:00.000Z"


def start(**changes: Any) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "CAFE", "meterStart": 1000, "timestamp": AT} | changes


def stop(**changes: Any) -> dict[str, Any]:
    return {"transactionId": 1, "meterStop": 1500, "timestamp": LATER} | changes


def values(wh: float | str, transaction_id: int | None = 1, at: str = AT) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "connectorId": 1,
        "meterValue": [{"timestamp": at, "sampledValue": [{"value": str(wh)}]}],
    }
    return payload if transaction_id is None else payload | {"transactionId": transaction_id}


def found(findings: list[Any]) -> list[str]:
    return [finding.kind.value for finding in findings]


def opened() -> Ledger:
    ledger = Ledger()
    ledger.start("CP", start(), "Accepted", NOW)
    return ledger


@pytest.mark.parametrize(
    "change",
    [{"connectorId": 2}, {"idTag": "BEEF"}, {"meterStart": 1001}, {"timestamp": "2026-01-01T10:00:01Z"}],
    ids=str,
)
def test_any_difference_makes_another_transaction(change: dict[str, Any]) -> None:
    ledger = opened()
    assert ledger.start("CP", start(**change), "Accepted", NOW)[0] == 2
    assert ledger.as_json()["totals"]["start_repeats"] == 0


def test_the_same_start_of_another_charge_point_is_another_transaction() -> None:
    ledger = opened()
    assert ledger.start("CP2", start(), "Accepted", NOW) == (2, [])


def test_a_retried_start_keeps_its_id_also_after_the_stop_and_in_other_letters() -> None:
    ledger = opened()
    assert ledger.start("CP", start(), "Accepted", NOW) == (1, [])
    ledger.stop("CP", stop(), NOW)
    assert ledger.start("CP", start(idTag="cafe"), "Accepted", NOW) == (1, [])
    (entry,) = ledger.as_json()["transactions"]
    assert (entry["start_repeats"], entry["energy_wh"]) == (2, 500)


def test_a_second_start_on_a_busy_connector_is_odd() -> None:
    ledger = opened()
    assert found(ledger.start("CP", start(meterStart=1200), "Accepted", NOW)[1]) == ["start-while-open"]


def test_stops() -> None:
    ledger = opened()
    assert found(ledger.stop("CP", stop(transactionId=-1), NOW)) == ["unknown-transaction"]
    assert found(ledger.stop("CP", stop(transactionId=9), NOW)) == ["unknown-transaction"]
    assert found(ledger.stop("CP2", stop(), NOW)) == ["unknown-transaction"]
    assert ledger.stop("CP", stop(idTag="BEEF"), NOW) == []
    assert ledger.stop("CP", stop(idTag="BEEF"), NOW) == []
    assert found(ledger.stop("CP", stop(meterStop=1501), NOW)) == ["stop-differs"]
    (entry,) = ledger.as_json()["transactions"]
    assert (entry["stop_repeats"], entry["energy_wh"], entry["reason"], entry["stop_id_tag"]) == (
        1,
        500,
        "Local",
        "BEEF",
    )


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"meterStop": 999}, []),
        ({"meterStop": 998}, ["meter-backwards"]),
        ({"timestamp": "2026-01-01T09:59:59Z"}, ["time-backwards"]),
        ({"timestamp": "2026-01-01T11:30:00+02:00"}, ["time-backwards"]),
        ({"transactionData": values(1500)["meterValue"]}, []),
        ({"transactionData": values(1502)["meterValue"]}, ["meter-backwards"]),
        ({"transactionData": values(900)["meterValue"]}, ["meter-backwards"]),
    ],
    ids=str,
)
def test_a_stop_must_fit_its_start(change: dict[str, Any], kinds: list[str]) -> None:
    assert found(opened().stop("CP", stop(**change), NOW)) == kinds


def test_meter_values_belong_to_their_transaction() -> None:
    ledger = opened()
    assert ledger.meter_values("CP", values(1100.5), NOW) == []
    assert ledger.meter_values("CP", values(1100.5), NOW) == []
    assert found(ledger.meter_values("CP", values(1090), NOW)) == ["meter-backwards"]
    assert found(ledger.meter_values("CP", values(1200, -1), NOW)) == ["unknown-transaction"]
    assert ledger.meter_values("CP", values(1200, None), NOW) == []
    assert found(ledger.stop("CP", stop(meterStop=1050), NOW)) == ["meter-backwards"]
    assert found(ledger.meter_values("CP", values(1200, at=LATER), NOW)) == ["meter-values-after-stop"]
    books = ledger.as_json()
    (entry,) = books["transactions"]
    assert entry["meter_value_repeats"] == 1
    assert [v["sampledValue"][0]["value"] for v in entry["meter_values"]] == ["1100.5", "1090", "1200"]
    assert len(books["meter_values_outside_transactions"]) == 1


@pytest.mark.parametrize(
    ("sample", "wh"),
    [
        ({"value": "12"}, 12.0),
        ({"value": "1.5", "unit": "kWh"}, 1500.0),
        ({"value": "1", "measurand": "Energy.Active.Import.Register", "location": "Outlet", "format": "Raw"}, 1.0),
        ({"value": "12", "phase": "L1"}, None),
        ({"value": "12", "location": "Inlet"}, None),
        ({"value": "12", "measurand": "Power.Active.Import"}, None),
        ({"value": "12", "format": "SignedData"}, None),
        ({"value": "many"}, None),
        ({"value": "nan"}, None),
        ({"value": "1e999"}, None),
    ],
    ids=str,
)
def test_which_samples_are_the_register(sample: dict[str, str], wh: float | None) -> None:
    assert register_wh({"sampledValue": [sample]}) == wh


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3), st.integers(0, 10_000), st.integers(0, 5_000), st.integers(1, 4), st.integers(1, 4)
        ),
        max_size=12,
        unique_by=lambda row: (row[0], row[1]),
    )
)
def test_repeats_never_change_the_sum(rows: list[tuple[int, int, int, int, int]]) -> None:
    ledger = Ledger()
    for connector, begin, energy, starts, stops in rows:
        ids = {
            ledger.start("CP", start(connectorId=connector, meterStart=begin), "Accepted", NOW)[0]
            for _ in range(starts)
        }
        assert len(ids) == 1
        for _ in range(stops):
            assert ledger.stop("CP", stop(transactionId=ids.copy().pop(), meterStop=begin + energy), NOW) == []
    assert ledger.as_json()["totals"] == {
        "transactions": len(rows),
        "open": 0,
        "energy_wh": sum(row[2] for row in rows),
        "start_repeats": sum(row[3] - 1 for row in rows),
        "stop_repeats": sum(row[4] - 1 for row in rows),
        "event_repeats": 0,
    }


def test_tokens() -> None:
    tokens = TokenList()
    now = parse_time(AT)
    assert tokens.info("ANY", now).status is TokenStatus.ACCEPTED
    tokens.accept_unknown = False
    assert tokens.info("ANY", now).status is TokenStatus.INVALID
    tokens.put(Token("Known", parent="FLEET", expiry=LATER))
    assert tokens.info("KNOWN", now) == Token("Known", TokenStatus.ACCEPTED, "FLEET", LATER)
    assert tokens.info("known", parse_time(LATER)).status is TokenStatus.EXPIRED
    tokens.put(Token("known", TokenStatus.BLOCKED, expiry=AT))
    assert tokens.info("known", parse_time(LATER)).status is TokenStatus.BLOCKED
    tokens.remove("KNOWN")
    with pytest.raises(ValueError, match="is not in the list"):
        tokens.remove("KNOWN")
    with pytest.raises(ValueError, match="1 to 255 characters"):
        tokens.put(Token("x" * 256))
    with pytest.raises(ValueError, match="no time zone"):
        tokens.put(Token("x", expiry="2026-01-01T00:00:00"))
