"""What is answered of tariffs and costs: to the network, and for the display."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from agent.station.price_texts import PriceText
from agent.station.tariffs.tariff import Tariff


class TariffAnswer(Enum):
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    TOO_MANY_ELEMENTS = "TooManyElements"
    CONDITION_NOT_SUPPORTED = "ConditionNotSupported"
    DUPLICATE_ID = "DuplicateTariffId"
    TX_NOT_FOUND = "TxNotFound"
    NO_CURRENCY_CHANGE = "NoCurrencyChange"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a tariff is in use."""

    tariff: Tariff
    driver: bool
    evses: tuple[int, ...]
    tokens: tuple[str, ...] = ()
    """As the network wrote them."""


@dataclass(frozen=True, slots=True)
class LocalCost:
    """For the display."""

    text: PriceText | None
    cost: Decimal
    currency: str
    ended: bool
