"""Costs: exact, never negative, never falling while a charge goes on; documents that give back what went in."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.station.tariff import (
    Account,
    ChargingPrice,
    IdlePrice,
    Period,
    RunningCost,
    Triggers,
    account_document,
    account_of,
    decimal_wh,
    opened,
    rounded,
)

D = Decimal
HOUR = 3600.0
PRICE = ChargingPrice(D("0.123"), D("0.60"), D("1.00"))
CHARGING = Account(1000.0, D(1_234_000), D("1.23"), PRICE)
IDLE = Account(1000.0, D(1_234_000), D("2.00"), PRICE, True, 1000.0, IdlePrice(1800, D("1.00")))


@pytest.mark.parametrize(
    ("account", "after_s", "given_wh", "cost"),
    [
        (CHARGING, 0.0, "0", "1.23"),
        (CHARGING, 0.0, "1", "1.230123"),
        (CHARGING, 0.0, "10000", "2.46"),
        (CHARGING, HOUR, "10000", "3.06"),
        (CHARGING, 60.0, "0", "1.24"),
        (CHARGING, -60.0, "-5", "1.23"),
        (IDLE, 1799.0, "0", "2.00"),
        (IDLE, 1800.0, "500", "2.00"),
        (IDLE, 1800.0 + HOUR / 2, "0", "2.50"),
        (Account(1000.0, D(0), D(2), PRICE, True, 1000.0), 9 * HOUR, "0", "2"),
        (Account(1000.0, D(0), D(2), PRICE, ended_utc_s=1000.0 + HOUR), 9 * HOUR, "0", "2.60"),
    ],
)
def test_the_cost_by_now(account: Account, after_s: float, given_wh: str, cost: str) -> None:
    assert account.cost_at(account.at_utc_s + after_s, account.meter_wh + D(given_wh)) == D(cost)


def test_the_next_period_takes_over_at_its_time_with_its_flat_fee() -> None:
    later = Period(1000.0 + HOUR, ChargingPrice(D("0.5"), flat=D("0.25")), IdlePrice(60, D(2)))
    account = Account(1000.0, D(0), D(0), ChargingPrice(D("0.1")), next_period=later)
    assert account.advanced(1000.0 + HOUR - 1, D(10_000)) is account
    after = account.advanced(1000.0 + HOUR + 5, D(10_000))
    assert (after.cost, after.at_utc_s, after.next_period) == (D("1.25"), 1000.0 + HOUR, None)
    assert (after.charging, after.idle_price) == (later.charging, later.idle)
    assert after.cost_at(1000.0 + 2 * HOUR, D(12_000)) == D("2.25")


def test_grace_counts_from_the_first_word_of_being_idle() -> None:
    idle = IdlePrice(1800, D("1.00"))
    told = RunningCost(2000.0, D(1_240_000), D("2.00"), True, PRICE, idle)
    once = CHARGING.updated(told)
    again = once.updated(RunningCost(3800.0, D(1_240_000), D("2.00"), True, None, idle))
    assert (once.idle_since_utc_s, again.idle_since_utc_s) == (2000.0, 2000.0)
    assert again.cost_at(2000.0 + 1800 + HOUR, D(1_240_000)) == D("3.00")
    back = again.updated(RunningCost(9000.0, D(1_240_000), D("3.50"), False, PRICE, idle))
    assert back.cost_at(9000.0, D(1_241_000)) == D("3.623")
    assert again.charging == PRICE, "what idle leaves out holds on"


def test_an_offline_charge_begins_with_its_flat_fee() -> None:
    assert opened(0.0, D(500), PRICE).cost_at(0.0, D(1500)) == D("1.123")


@pytest.mark.parametrize(
    ("cost", "decimals", "text"),
    [("1.2345", 2, "1.23"), ("1.235", 2, "1.24"), ("0", 3, "0.000"), ("2.5", 0, "3"), ("1000000", 6, "1000000.000000")],
)
def test_amounts_as_they_are_shown(cost: str, decimals: int, text: str) -> None:
    assert rounded(D(cost), decimals) == text


money = st.decimals(0, 1000, places=4)
prices = st.builds(ChargingPrice, money, money, money)
idles = st.none() | st.builds(IdlePrice, st.integers(0, 7200), money)
times = st.floats(0, 1e5)
periods = st.none() | st.builds(Period, times, prices, idles)
triggers = st.builds(Triggers, st.none() | times, st.none() | money, st.none() | money, st.just(("Charging",)))
accounts = st.builds(
    Account, times, st.decimals(0, 1e6, places=3), money, prices, st.booleans(), times, idles, periods, triggers
)
steps = st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 5000)), min_size=1, max_size=12)


@given(accounts, steps)
def test_a_cost_never_falls_and_is_never_negative(account: Account, way: list[tuple[float, float]]) -> None:
    utc_s, register_wh, last = account.at_utc_s, account.meter_wh, account.cost
    for seconds, energy_wh in way:
        utc_s, register_wh = utc_s + seconds, register_wh + decimal_wh(energy_wh)
        account = account.advanced(utc_s, register_wh)
        cost = account.cost_at(utc_s, register_wh)
        assert cost >= last >= 0
        last = cost


@given(money, st.lists(st.integers(0, 50_000), max_size=20))
def test_energy_costs_exactly_its_price(per_kwh: Decimal, readings: list[int]) -> None:
    account = opened(0.0, D(0), ChargingPrice(per_kwh))
    total_wh = sum(readings)
    assert account.cost_at(0.0, D(total_wh)) * 1000 == per_kwh * total_wh


@given(accounts)
def test_a_document_gives_back_the_account(account: Account) -> None:
    assert account_of(json.loads(json.dumps(account_document(account)))) == account
