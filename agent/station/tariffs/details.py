"""The account of a transaction as it is told (CostDetailsType of OCPP 2.1), and as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from agent.station.documents import moment
from agent.station.tariffs.account import Account, Reading, Stretch
from agent.station.tariffs.tariff import Bound, Part, Tariff

PLACES = 4
"""Digits after the point of amounts that are told."""


def details(account: Account, *, ended: bool) -> dict[str, Any]:
    """Return a CostDetailsType. ``ended``: with all its periods, and no less than minCost (I12.FR.01, FR.38)."""
    told: dict[str, Any] = {"totalCost": _cost(account, ended), "totalUsage": _usage(account)}
    if ended and account.stretches:
        told["chargingPeriods"] = [_period(stretch) for stretch in account.stretches]
    return told


def _usage(account: Account) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "energy": account.energy_mwh / 1000,
        "chargingTime": round(account.charging_ms / 1000),
        "idleTime": round(account.idle_ms / 1000),
    }
    return usage | ({} if account.reserved_s is None else {"reservationTime": account.reserved_s})


def _cost(account: Account, ended: bool) -> dict[str, Any]:
    tariff = account.tariff
    if ended and tariff.least is not None and _below(account, tariff.least):
        price = {name: number(amount) for name, amount in _named(tariff.least)}
        return {"currency": tariff.currency, "typeOfCost": "MinCost", "fixed": price, "total": price}
    excl, incl = rounded(account.excl), rounded(account.incl)
    cost: dict[str, Any] = {
        "currency": tariff.currency,
        "typeOfCost": "MaxCost" if account.capped else "NormalCost",  # I12.FR.39, FR.41
    }
    for part, amount in excl.items():
        cost[part.value] = {"exclTax": number(amount), "inclTax": number(incl[part])}
        taxes = tariff.lists[part].taxes if part in tariff.lists else ()
        if taxes:
            cost[part.value]["taxRates"] = [
                {"type": tax.type, "tax": number(tax.percent), "stack": tax.stack} for tax in taxes
            ]
    # I12.FR.17
    cost["total"] = {"exclTax": number(sum(excl.values(), ZERO)), "inclTax": number(sum(incl.values(), ZERO))}
    return cost


ZERO = Fraction(0)


def _below(account: Account, least: Bound) -> bool:
    excl, incl = account.total
    return (least.excl is not None and excl < least.excl) or (least.incl is not None and incl < least.incl)


def _named(bound: Bound) -> list[tuple[str, Fraction]]:
    named = (("exclTax", bound.excl), ("inclTax", bound.incl))
    return [(name, amount) for name, amount in named if amount is not None]


def final_total(account: Account) -> Fraction:
    """Return what is to be paid in the end, tax included where it is known."""
    least = account.tariff.least
    if least is not None and _below(account, least):
        return least.incl if least.incl is not None else least.excl or ZERO
    return account.total[1]


def rounded(amounts: Mapping[Part, Fraction]) -> dict[Part, Fraction]:
    """Round amounts so that they add up to their rounded sum, each by less than one unit of the last digit."""
    unit = Fraction(1, 10**PLACES)
    down = {part: amount // unit for part, amount in amounts.items()}
    whole = _half_up(sum(amounts.values(), ZERO) / unit)
    missing = whole - sum(down.values())
    first = sorted(amounts, key=lambda part: (down[part] * unit - amounts[part], part.value))
    for part in first[:missing]:
        down[part] += 1
    return {part: count * unit for part, count in down.items()}


def _half_up(value: Fraction) -> int:
    return (2 * value + 1) // 2


def number(amount: Fraction) -> float:
    return float(amount)


def as_decimal(amount: Fraction) -> Decimal:
    """For the display; half up at the last digit that is told."""
    return Decimal(_half_up(amount * 10**PLACES)).scaleb(-PLACES)


def _period(stretch: Stretch) -> dict[str, Any]:
    volumes: list[tuple[str, float | None]] = [
        ("Energy", stretch.energy_mwh / 1000),
        ("ChargingTime", stretch.charging_ms / 1000),
        ("IdleTIme", stretch.idle_ms / 1000 if stretch.idle_ms else None),  # so spelt in the schema
        ("MinPower", stretch.least_w),
        ("MaxPower", stretch.most_w),
    ]
    return {
        "tariffId": stretch.tariff,  # I12.FR.04
        "startPeriod": moment(stretch.start_utc_ms / 1000),
        "dimensions": [{"type": name, "volume": volume} for name, volume in volumes if volume is not None],
    }


# ---- as it is kept -----------------------------------------------------------------------------------------------


_STRETCH = ("start_utc_ms", "tariff", "used", "energy_mwh", "charging_ms", "idle_ms", "least_w", "most_w")


def account_document(account: Account) -> dict[str, Any]:
    """Return all but the tariff JSON-ready; amounts as fractions, so that nothing is lost."""
    reading = account.reading
    return {
        "reading": [reading.utc_ms, reading.register_mwh, reading.charging, reading.power_w, reading.current_a],
        "usage": [account.energy_mwh, account.charging_ms, account.idle_ms, account.reserved_s],
        "excl": {part.value: str(amount) for part, amount in account.excl.items()},
        "incl": {part.value: str(amount) for part, amount in account.incl.items()},
        "stretches": [[getattr(each, name) for name in _STRETCH] for each in account.stretches],
        "capped": account.capped,
    }


def account_of(document: Mapping[str, Any], tariff: Tariff, zone: tzinfo) -> Account:
    """Rebuild. Raises KeyError, TypeError or ValueError when it is not one of ours."""
    energy_mwh, charging_ms, idle_ms, reserved_s = document["usage"]
    account = Account(tariff, zone, Reading(*document["reading"]), energy_mwh, charging_ms, idle_ms, reserved_s)
    account.excl, account.incl = (
        {Part(part): Fraction(amount) for part, amount in document[name].items()} for name in ("excl", "incl")
    )
    account.stretches = [
        Stretch(start, tariff_id, tuple(used), *rest) for start, tariff_id, used, *rest in document["stretches"]
    ]
    account.capped = document["capped"] is True
    return account
