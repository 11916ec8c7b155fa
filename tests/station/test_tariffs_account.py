"""Local cost calculation, the pure account: against a slow reference that counts second by second, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.station.tariffs.account import Account, Reading, within_day
from agent.station.tariffs.details import (
    PLACES,
    account_document,
    account_of,
    as_decimal,
    details,
    final_total,
    rounded,
)
from agent.station.tariffs.tariff import (
    MAX_ELEMENTS,
    Part,
    TariffError,
    TooManyElementsError,
    read_tariff,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 18, 11, 0, tzinfo=UTC)
"""A Wednesday, 12:00 in Berlin."""


def tariff(**fields: Any) -> Any:
    return read_tariff({"tariffId": "T", "currency": "EUR", **fields})


def energy(*prices: tuple[float, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"prices": [{"priceKwh": each, **({"conditions": when} if when else {})} for each, when in prices], **more}


def minutes(*prices: tuple[float, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "prices": [{"priceMinute": each, **({"conditions": when} if when else {})} for each, when in prices],
        **more,
    }


class Car:
    """A charge in steps."""

    def __init__(self, told: Any, start: datetime = NOON, zone: Any = BERLIN, charging: bool = True) -> None:
        self.at, self.mwh = start, 5_000_000
        self.account = Account(told, zone, Reading(self._ms, self.mwh, charging))
        self.account.begin()

    @property
    def _ms(self) -> int:
        return round(self.at.timestamp() * 1000)

    def go(self, seconds: float, wh: float = 0.0, charging: bool = True, power_w: float = 0.0) -> Car:
        self.at += timedelta(seconds=seconds)
        self.mwh += round(wh * 1000)
        self.account.advance(round(seconds * 1000), Reading(self._ms, self.mwh, charging, power_w, power_w / 230))
        return self

    def cost(self, *, ended: bool = True) -> dict[str, Any]:
        return details(self.account, ended=ended)


def test_the_example_of_the_standard() -> None:
    """Part 2, I 1.3: tariff 10, 10 kWh."""
    taxes = [{"type": "federal", "tax": 6.0}, {"type": "state", "tax": 4.0}]
    found = Car(tariff(energy=energy((0.25, {}), taxRates=taxes))).go(3600, 10_000).cost()
    assert found["totalCost"]["energy"]["exclTax"] == 2.5
    assert found["totalCost"]["total"] == {"exclTax": 2.5, "inclTax": 2.75}
    assert found["totalUsage"] == {"energy": 10_000.0, "chargingTime": 3600, "idleTime": 0}
    assert len(found["chargingPeriods"]) == 1
    assert found["chargingPeriods"][0]["tariffId"] == "T"


def test_prices_by_time_of_day_divide_a_stretch_where_they_change() -> None:
    told = tariff(energy=energy((0.4, {"startTimeOfDay": "08:00", "endTimeOfDay": "18:00"}), (0.25, {})))
    start = datetime(2026, 3, 18, 16, 30, tzinfo=UTC)  # 17:30 in Berlin
    found = Car(told, start).go(3600, 10_000).cost()
    assert [each["startPeriod"] for each in found["chargingPeriods"]] == [
        "2026-03-18T16:30:00.000Z",
        "2026-03-18T17:00:00.000Z",
    ]
    assert found["totalCost"]["total"]["exclTax"] == pytest.approx(5 * 0.4 + 5 * 0.25)


def test_taxes_of_one_stack_go_onto_the_same_sum_and_each_stack_onto_the_one_below() -> None:
    """I12.FR.13"""
    taxes = [
        {"type": "energy", "tax": 5},
        {"type": "local", "tax": 5, "stack": 0},
        {"type": "vat", "tax": 20, "stack": 1},
    ]
    told = tariff(energy=energy((1.0, {}), taxRates=taxes))
    assert Car(told).go(60, 1000).cost()["totalCost"]["total"] == {"exclTax": 1.0, "inclTax": 1.32}


@pytest.mark.parametrize(
    ("minute", "start", "end", "holds"),
    [
        (480, 480, 1080, True),
        (1080, 480, 1080, False),
        (1439, 1320, 0, True),
        (0, 1320, 0, False),
        (30, 1320, 60, True),
        (60, 1320, 60, False),
        (700, None, 720, True),
        (720, 720, None, True),
        (5, None, None, True),
    ],
)
def test_times_of_day(minute: int, start: int | None, end: int | None, holds: bool) -> None:
    assert within_day(minute, start, end) is holds


def test_days_with_a_change_of_the_clock() -> None:
    """I12.FR.37: 02:30 to 03:00 comes twice in October and never in March."""
    told = tariff(idleTime=minutes((1.0, {"startTimeOfDay": "02:30", "endTimeOfDay": "03:00"})))
    autumn = Car(told, datetime(2026, 10, 24, 22, 0, tzinfo=UTC), charging=False).go(6 * 3600, charging=False)
    assert autumn.account.total[0] == 60
    spring = Car(told, datetime(2026, 3, 28, 22, 0, tzinfo=UTC), charging=False).go(6 * 3600, charging=False)
    assert spring.account.total[0] == 0


def test_idle_is_free_at_first_and_counts_from_its_very_second() -> None:
    told = tariff(idleTime=minutes((0.6, {"minIdleTime": 300})))
    car = Car(told).go(90, 500, charging=False).go(360, charging=False)
    assert car.account.total[0] == Fraction(6, 10)
    assert car.account.idle_ms == 360_000


def test_the_first_price_whose_conditions_hold() -> None:
    told = tariff(
        energy=energy((0.1, {"maxEnergy": 1000}), (0.2, {"minPower": 5000}), (0.3, {})),
        fixedFee={"prices": [{"priceFixed": 3, "conditions": {"paymentBrand": "X"}}, {"priceFixed": 2}]},
    )
    car = Car(told).go(10, 1000).go(10, 1000, power_w=6000).go(10, 1000)
    found = car.cost()["totalCost"]
    assert found["energy"]["exclTax"] == pytest.approx(0.1 + 0.3 + 0.2)
    assert found["fixed"]["exclTax"] == 2.0


def test_the_least_that_a_transaction_costs() -> None:
    """I12.FR.38"""
    told = tariff(energy=energy((0.5, {})), minCost={"exclTax": 2.0, "inclTax": 2.4})
    car = Car(told).go(60, 1000)
    assert car.cost(ended=False)["totalCost"]["typeOfCost"] == "NormalCost"
    found = car.cost()["totalCost"]
    assert (found["typeOfCost"], found["fixed"], found["total"]) == (
        "MinCost",
        {"exclTax": 2.0, "inclTax": 2.4},
        {"exclTax": 2.0, "inclTax": 2.4},
    )
    assert final_total(car.account) == Fraction(24, 10)
    assert car.go(60, 9000).cost()["totalCost"]["typeOfCost"] == "NormalCost"


def test_the_most_that_a_transaction_costs_is_met_exactly_and_usage_goes_on() -> None:
    """I12.FR.39, FR.40"""
    told = tariff(energy=energy((0.3, {})), chargingTime=minutes((0.07, {})), maxCost={"exclTax": 5.0})
    car = Car(told)
    for _ in range(40):
        car.go(60, 1000)
    found = car.cost()
    assert (found["totalCost"]["typeOfCost"], found["totalCost"]["total"]["exclTax"]) == ("MaxCost", 5.0)
    assert found["totalUsage"] == {"energy": 40_000.0, "chargingTime": 2400, "idleTime": 0}
    assert car.account.total[0] == 5


def test_another_tariff_counts_from_then_on() -> None:
    """I11.FR.08"""
    car = Car(tariff(energy=energy((0.5, {})), fixedFee={"prices": [{"priceFixed": 1}]})).go(60, 1000)
    car.account.change(read_tariff({"tariffId": "U", "currency": "EUR", "energy": energy((0.1, {}))}))
    found = car.go(60, 1000).cost()
    assert found["totalCost"]["total"]["exclTax"] == pytest.approx(1 + 0.5 + 0.1)
    assert [each["tariffId"] for each in found["chargingPeriods"]] == ["T", "U"]


def test_a_reservation_is_paid_once() -> None:
    told = tariff(reservationTime=minutes((0.1, {})), reservationFixed={"prices": [{"priceFixed": 1.5}]})
    account = Account(told, UTC, Reading(0, 0, False))
    account.begin(reserved_s=600)
    found = details(account, ended=True)
    assert found["totalUsage"]["reservationTime"] == 600
    assert found["totalCost"]["reservationTime"]["exclTax"] == 1.0
    assert found["totalCost"]["reservationFixed"]["exclTax"] == 1.5


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "euro"},
        {"energy": energy((float("1e9"), {}))},
        {"energy": energy((1.0, {"startTimeOfDay": "25:00"}))},
        {"energy": energy((1.0, {"validFromDate": "2026-13-01"}))},
        {"validFrom": "soon"},
        {"minCost": {}},
    ],
)
def test_tariffs_that_cannot_be_used(fields: dict[str, Any]) -> None:
    with pytest.raises(TariffError):
        tariff(**fields)


def test_too_many_prices() -> None:
    with pytest.raises(TooManyElementsError):
        tariff(energy=energy(*[(0.1, {})] * (MAX_ELEMENTS + 1)))


# ---- against the reference ---------------------------------------------------------------------------------------

cents = st.integers(-50, 100).map(lambda cent: cent / 100)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "startTimeOfDay": st.sampled_from(("11:58", "12:00", "12:02")),
        "endTimeOfDay": st.sampled_from(("12:01", "12:03", "00:00")),
        "dayOfWeek": st.lists(st.sampled_from(("Wednesday", "Thursday")), min_size=1, max_size=2, unique=True),
        "validFromDate": st.sampled_from(("2026-03-18", "2026-03-19")),
        "validToDate": st.sampled_from(("2026-03-18", "2026-03-19")),
        "minTime": st.integers(0, 200),
        "maxTime": st.integers(0, 200),
        "minChargingTime": st.integers(0, 100),
        "maxIdleTime": st.integers(0, 100),
    },
)
priced = st.lists(st.tuples(cents, conditions), min_size=1, max_size=3)
steps = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 5), st.booleans()), min_size=1, max_size=6)


def reference(told: Any, start: datetime, charge: list[tuple[int, int, bool]]) -> Fraction:
    """Second by second; ``charge``: (seconds, Wh in each, whether it charges)."""
    total, charging_s, idle_s, at = Fraction(0), 0, 0, start
    for seconds, wh, charging in charge:
        for _ in range(seconds):
            local = at.astimezone(BERLIN)
            times = {"Time": charging_s + idle_s, "ChargingTime": charging_s, "IdleTime": idle_s}

            def holds(when: Any, local: datetime = local, gone: dict[str, int] = times) -> bool:
                now = local.hour * 60 + local.minute
                begin, end = when.start_min or 0, when.end_min or 1440
                day = begin <= now < end if begin < end else now >= begin or now < end
                return (
                    day
                    and (not when.days or local.weekday() in when.days)
                    and (when.from_date is None or when.from_date <= local.date())
                    and (when.to_date is None or local.date() < when.to_date)
                    and all(
                        (least is None or gone[name] >= least) and (below is None or gone[name] < below)
                        for name, least, below in when.ranges
                    )
                )

            def price(part: Part, holds: Any = holds) -> Fraction:
                prices = told.lists[part].prices
                return next((each.amount for each in prices if holds(each.conditions)), Fraction(0))

            total += price(Part.ENERGY) * wh / 1000
            total += price(Part.CHARGING_TIME if charging else Part.IDLE_TIME) / 60
            charging_s, idle_s = charging_s + charging, idle_s + (not charging)
            at += timedelta(seconds=1)
    return total


@settings(max_examples=150, deadline=None)
@given(by_energy=priced, by_charging=priced, by_idle=priced, charge=steps, before_s=st.integers(0, 200))
def test_long_steps_cost_what_single_seconds_cost(
    by_energy: Any, by_charging: Any, by_idle: Any, charge: list[tuple[int, int, bool]], before_s: int
) -> None:
    told = tariff(energy=energy(*by_energy), chargingTime=minutes(*by_charging), idleTime=minutes(*by_idle))
    start = NOON - timedelta(seconds=before_s)
    car = Car(told, start, charging=charge[0][2])
    for number, (seconds, wh, _charging) in enumerate(charge):
        after = charge[number + 1][2] if number + 1 < len(charge) else False
        car.go(seconds, wh * seconds, charging=after)
        kept = account_of(account_document(car.account), told, BERLIN)
        assert kept == car.account
        car.account = kept
    assert car.account.total[0] == reference(told, start, charge)
    found = car.cost()
    assert sum(each["dimensions"][0]["volume"] for each in found["chargingPeriods"]) == pytest.approx(
        found["totalUsage"]["energy"]
    )


@given(st.dictionaries(st.sampled_from(Part), st.fractions(-100, 1000), max_size=6))
def test_money_adds_up_to_the_last_digit(amounts: dict[Part, Fraction]) -> None:
    found = rounded(amounts)
    assert abs(sum(found.values(), Fraction(0)) - sum(amounts.values(), Fraction(0))) * 10**PLACES <= Fraction(1, 2)
    for part, amount in amounts.items():
        assert abs(found[part] - amount) * 10**PLACES < 1
        assert found[part] * 10**PLACES % 1 == 0


def test_what_is_shown_is_rounded_half_up() -> None:
    assert str(as_decimal(Fraction(100005, 100000))) == "1.0001"
