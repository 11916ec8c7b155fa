"""A tariff as data (OCPP 2.1 TariffType), read from the form in which it came and is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

MAX_ELEMENTS = 50
"""Prices in each list of a tariff (TariffCostCtrlr.MaxElements[Tariff])."""
MAX_AMOUNT = 1_000_000

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class TariffError(ValueError):
    """A tariff is not usable. The text names the field and the rule."""


class TooManyElementsError(TariffError):
    """A list has more prices than are taken."""


class Part(Enum):
    """What a cost is made of. Values: fields of TotalCostType."""

    ENERGY = "energy"
    CHARGING_TIME = "chargingTime"
    IDLE_TIME = "idleTime"
    FIXED = "fixed"
    RESERVATION_TIME = "reservationTime"
    RESERVATION_FIXED = "reservationFixed"


_FIELDS = {
    Part.ENERGY: ("energy", "priceKwh"),
    Part.CHARGING_TIME: ("chargingTime", "priceMinute"),
    Part.IDLE_TIME: ("idleTime", "priceMinute"),
    Part.FIXED: ("fixedFee", "priceFixed"),
    Part.RESERVATION_TIME: ("reservationTime", "priceMinute"),
    Part.RESERVATION_FIXED: ("reservationFixed", "priceFixed"),
}

_RANGES = ("Energy", "Current", "Power", "Time", "ChargingTime", "IdleTime")


@dataclass(frozen=True, slots=True)
class TaxRate:
    type: str
    percent: Fraction
    stack: int = 0


@dataclass(frozen=True, slots=True)
class Conditions:
    """All must hold. Times of day in minutes of the local day; None: does not matter."""

    start_min: int | None = None
    end_min: int | None = None
    days: frozenset[int] = frozenset()
    """0: Monday; empty: all."""
    from_date: date | None = None
    to_date: date | None = None
    """Exclusive."""
    direct_current: bool | None = None
    never: bool = False
    """It asks for a payment that there is no terminal for."""
    ranges: tuple[tuple[str, Fraction | None, Fraction | None], ...] = ()
    """(Energy in Wh, Current in A, Power in W, Time, ChargingTime or IdleTime in s; at least; below)."""


@dataclass(frozen=True, slots=True)
class Price:
    amount: Fraction
    """Per kWh, per minute, or once; without tax."""
    conditions: Conditions = Conditions()


@dataclass(frozen=True, slots=True)
class PriceList:
    prices: tuple[Price, ...]
    taxes: tuple[TaxRate, ...] = ()

    @property
    def factor(self) -> Fraction:
        """With tax, per amount without: taxes of one stack go onto the same sum, each stack onto the one below
        (I12.FR.13)."""
        factor = Fraction(1)
        for stack in sorted({tax.stack for tax in self.taxes}):
            factor *= 1 + sum((tax.percent for tax in self.taxes if tax.stack == stack), Fraction(0)) / 100
        return factor


@dataclass(frozen=True, slots=True)
class Bound:
    """The least or most that a transaction costs. At least one of them is there."""

    excl: Fraction | None
    incl: Fraction | None


@dataclass(frozen=True, slots=True)
class Tariff:
    id: str
    currency: str
    lists: Mapping[Part, PriceList]
    texts: tuple[tuple[str, str], ...] = ()
    """(language, text) of its description."""
    valid_from_utc_s: float | None = None
    least: Bound | None = None
    most: Bound | None = None

    @property
    def conditional(self) -> bool:
        return any(price.conditions != Conditions() for each in self.lists.values() for price in each.prices)


def read_tariff(document: Mapping[str, Any]) -> Tariff:
    """Read a TariffType that its schema allows. Raises TariffError."""
    lists = {}
    for part, (field, unit) in _FIELDS.items():
        if field in document:
            lists[part] = _list(field, document[field], unit)
    currency = document["currency"]
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise TariffError("currency: give three capital letters (ISO 4217)")
    valid_from = None
    if "validFrom" in document:
        valid_from = _moment(document["validFrom"])
    texts = tuple((each.get("language", ""), each["content"]) for each in document.get("description", ()))
    return Tariff(
        document["tariffId"],
        currency,
        lists,
        texts,
        valid_from,
        _bound("minCost", document),
        _bound("maxCost", document),
    )


def _list(field: str, document: Mapping[str, Any], unit: str) -> PriceList:
    prices = document["prices"]
    if len(prices) > MAX_ELEMENTS:
        raise TooManyElementsError(f"{field}: at most {MAX_ELEMENTS} prices are taken")
    return PriceList(
        tuple(Price(_amount(f"{field}.{unit}", each[unit]), _conditions(field, each)) for each in prices),
        taxes_of(document),
    )


def taxes_of(document: Mapping[str, Any]) -> tuple[TaxRate, ...]:
    return tuple(
        TaxRate(each["type"], _amount("tax", each["tax"]), each.get("stack", 0))
        for each in document.get("taxRates", ())
    )


def _bound(name: str, document: Mapping[str, Any]) -> Bound | None:
    if name not in document:
        return None
    told = document[name]
    excl, incl = (_amount(name, told[key]) if key in told else None for key in ("exclTax", "inclTax"))
    if excl is None and incl is None:
        raise TariffError(f"{name}: give exclTax or inclTax")
    return Bound(excl, incl)


def _conditions(field: str, price: Mapping[str, Any]) -> Conditions:
    told = price.get("conditions")
    if told is None:
        return Conditions()
    ranges = []
    for name in _RANGES:
        least, below = (
            _amount(f"{field}.{end}{name}", told[f"{end}{name}"]) if f"{end}{name}" in told else None
            for end in ("min", "max")
        )
        if least is not None or below is not None:
            ranges.append((name, least, below))
    kind = told.get("evseKind")
    return Conditions(
        _minutes(field, told.get("startTimeOfDay")),
        _minutes(field, told.get("endTimeOfDay")),
        frozenset(_DAYS.index(day) for day in told.get("dayOfWeek", ())),
        _date(field, told.get("validFromDate")),
        _date(field, told.get("validToDate")),
        None if kind is None else kind == "DC",
        "paymentBrand" in told or "paymentRecognition" in told,
        tuple(ranges),
    )


def _minutes(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise TariffError(f"{field}: {text[:10]!r} is not a time like 08:30")
    return int(found[1]) * 60 + int(found[2])


def _date(field: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise TariffError(f"{field}: {text!a:.20} is not a date like 2026-12-24") from None


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise TariffError("validFrom: give a time like 2026-03-19T12:00:00Z") from None


def _amount(name: str, value: Any) -> Fraction:
    """JSON's numbers come as floats; what was written is their shortest decimal."""
    found = Decimal(str(value))
    if not found.is_finite() or abs(found) > MAX_AMOUNT:
        raise TariffError(f"{name}: give a number of at most {MAX_AMOUNT}")
    return Fraction(found)
