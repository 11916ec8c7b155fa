"""Prices of a charge and what it has cost by now. Pure; money is Decimal throughout.

The network tells the cost up to a reading and the prices from there on (OCA "California pricing", RunningCost). In
between the cost goes on here, from the meter and the clock, for the display. What the network says next replaces it:
bills are its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

ZERO = Decimal(0)
_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class ChargingPrice:
    per_kwh: Decimal = ZERO
    per_hour: Decimal = ZERO
    flat: Decimal = ZERO
    """Once, when this price comes into force by itself; a cost that the network tells holds it already."""


@dataclass(frozen=True, slots=True)
class IdlePrice:
    grace_s: int = 0
    """Free, from the reading with which the network declared the charge idle."""
    per_hour: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Period:
    """Prices that come into force at a time (seconds since 1970)."""

    at_utc_s: float
    charging: ChargingPrice
    idle: IdlePrice | None = None


@dataclass(frozen=True, slots=True)
class Triggers:
    """When the network wants a meter value besides the usual ones. None or empty: not for this reason."""

    at_utc_s: float | None = None
    energy_kwh: Decimal | None = None
    """Consumed in the transaction."""
    power_kw: Decimal | None = None
    """Crossed, upward or downward."""
    statuses: tuple[str, ...] = ()
    """Values of ``agent.station.commands.ConnectorStatus`` that are entered."""


@dataclass(frozen=True, slots=True)
class RunningCost:
    """What the network says: the cost up to a reading, and how it goes on from there.

    ``meter_wh`` None: the energy has stopped counting (idle after the end). ``charging`` None: as before.
    """

    at_utc_s: float
    meter_wh: Decimal | None
    cost: Decimal
    idle: bool
    charging: ChargingPrice | None = None
    idle_price: IdlePrice | None = None
    next_period: Period | None = None
    triggers: Triggers = Triggers()


@dataclass(frozen=True, slots=True)
class Account:
    """The cost of one transaction up to a reading, and the prices in force since then."""

    at_utc_s: float
    meter_wh: Decimal
    cost: Decimal
    charging: ChargingPrice = ChargingPrice()
    idle: bool = False
    idle_since_utc_s: float = 0.0
    idle_price: IdlePrice | None = None
    next_period: Period | None = None
    triggers: Triggers = Triggers()
    ended_utc_s: float | None = None
    """Nothing is added after this."""

    def updated(self, told: RunningCost) -> Account:
        """Take the network's word. Grace counts from the reading at which charging became idle."""
        since = self.idle_since_utc_s if self.idle else told.at_utc_s
        return Account(
            told.at_utc_s,
            self.meter_wh if told.meter_wh is None else told.meter_wh,
            told.cost,
            self.charging if told.charging is None else told.charging,
            told.idle,
            since if told.idle else 0.0,
            told.idle_price,
            told.next_period,
            told.triggers,
        )

    def cost_at(self, utc_s: float, register_wh: Decimal) -> Decimal:
        """Return the cost by now; never less than what the network told."""
        if self.ended_utc_s is not None:
            utc_s = min(utc_s, self.ended_utc_s)
        if self.idle:
            price = self.idle_price or IdlePrice()
            free_until_s = self.idle_since_utc_s + price.grace_s
            return self.cost + price.per_hour * _ms(utc_s - max(self.at_utc_s, free_until_s)) / _MS_PER_HOUR
        energy_wh = max(ZERO, register_wh - self.meter_wh)
        by_time = self.charging.per_hour * _ms(utc_s - self.at_utc_s) / _MS_PER_HOUR
        return self.cost + self.charging.per_kwh * energy_wh / 1000 + by_time

    def advanced(self, utc_s: float, register_wh: Decimal) -> Account:
        """Go over to the next period's prices if their time has come."""
        period = self.next_period
        if period is None or utc_s < period.at_utc_s or self.ended_utc_s is not None:
            return self
        at_utc_s = max(period.at_utc_s, self.at_utc_s)
        cost = self.cost_at(at_utc_s, register_wh)
        return replace(
            self,
            at_utc_s=at_utc_s,
            meter_wh=max(self.meter_wh, register_wh),
            cost=cost if self.idle else cost + period.charging.flat,
            charging=period.charging,
            idle_price=period.idle,
            next_period=None,
        )


def opened(utc_s: float, register_wh: Decimal, price: ChargingPrice) -> Account:
    """Return the account of a transaction that begins at a price of our own knowledge."""
    return Account(utc_s, register_wh, price.flat, price)


def decimal_wh(energy_wh: float) -> Decimal:
    """Return a register in Wh, as the meter shows it, to the thousandth."""
    return Decimal(f"{energy_wh:.3f}")


def rounded(cost: Decimal, decimals: int) -> str:
    """Return an amount as it is shown, half up."""
    return str(cost.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


# ---- documents -----------------------------------------------------------------------------------------------------


def account_document(account: Account) -> dict[str, Any]:
    """Return it JSON-ready; amounts as text, so that nothing is lost."""
    period, triggers = account.next_period, account.triggers
    return {
        "at_utc_s": account.at_utc_s,
        "meter_wh": str(account.meter_wh),
        "cost": str(account.cost),
        "charging": _charging_document(account.charging),
        "idle": account.idle,
        "idle_since_utc_s": account.idle_since_utc_s,
        "idle_price": _idle_document(account.idle_price),
        "next_period": period
        and {
            "at_utc_s": period.at_utc_s,
            "charging": _charging_document(period.charging),
            "idle": _idle_document(period.idle),
        },
        "triggers": {
            "at_utc_s": triggers.at_utc_s,
            "energy_kwh": None if triggers.energy_kwh is None else str(triggers.energy_kwh),
            "power_kw": None if triggers.power_kw is None else str(triggers.power_kw),
            "statuses": list(triggers.statuses),
        },
        "ended_utc_s": account.ended_utc_s,
    }


def account_of(document: Mapping[str, Any]) -> Account:
    """Rebuild. Raises KeyError, TypeError, ValueError or ArithmeticError when it is not one of ours."""
    period, triggers = document["next_period"], document["triggers"]
    return Account(
        document["at_utc_s"],
        Decimal(document["meter_wh"]),
        Decimal(document["cost"]),
        _charging_of(document["charging"]),
        document["idle"],
        document["idle_since_utc_s"],
        _idle_of(document["idle_price"]),
        period and Period(period["at_utc_s"], _charging_of(period["charging"]), _idle_of(period["idle"])),
        Triggers(
            triggers["at_utc_s"],
            _amount(triggers["energy_kwh"]),
            _amount(triggers["power_kw"]),
            tuple(triggers["statuses"]),
        ),
        document["ended_utc_s"],
    )


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _charging_document(price: ChargingPrice) -> list[str]:
    return [str(price.per_kwh), str(price.per_hour), str(price.flat)]


def _charging_of(document: list[str]) -> ChargingPrice:
    return ChargingPrice(*(Decimal(text) for text in document))


def _idle_document(price: IdlePrice | None) -> list[Any] | None:
    return None if price is None else [price.grace_s, str(price.per_hour)]


def _idle_of(document: list[Any] | None) -> IdlePrice | None:
    return None if document is None else IdlePrice(document[0], Decimal(document[1]))
