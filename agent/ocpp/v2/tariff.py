"""Block I: what a driver is told of prices and costs, where the network reckons them (I01 to I06)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from agent.journal.events import Event, TransactionEnded
from agent.ocpp.base import Payload
from agent.ocpp.v2.block import Block, Handler
from agent.ocpp.v2.display import content_of
from agent.station.commands import FinalCost
from agent.station.display.message import FORMATS
from agent.station.price_texts import MAX_AMOUNT, PriceText, plain
from agent.station.tokens import Token


class Tariff2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"CostUpdated": self._cost_updated}

    def _cost_updated(self, payload: Payload) -> Payload:
        """I02.FR.02, FR.03"""
        self._running(payload["transactionId"], amount(payload["totalCost"]))
        return {}

    def authorised(self, token: Token, answer: Mapping[str, Any]) -> None:
        """I01.FR.03"""
        text = price_text(_part(answer, "idTokenInfo").get("personalMessage"))
        if text is not None:
            self._talk.station.set_user_price(token, text)

    def answered(self, event: Event, answer: Mapping[str, Any]) -> None:
        text = price_text(answer.get("updatedPersonalMessage"), answer.get("updatedPersonalMessageExtra", ()))
        if text is None:
            text = price_text(_part(answer, "idTokenInfo").get("personalMessage"))
        if text is not None:
            self._talk.station.display.tell_price(event.transaction, text)  # I06.FR.03
        cost = amount(answer.get("totalCost"))
        if cost is None:
            return
        if not isinstance(event, TransactionEnded):
            self._running(event.transaction, cost)  # I02.FR.04
        elif not event.offline:  # I03.FR.03: who has left sees nothing any more
            self._talk.station.final_cost(event.transaction, FinalCost(cost, PriceText("")))

    def _running(self, transaction: str, cost: Decimal | None) -> None:
        if cost is not None:
            self._talk.station.transactions.cost(transaction, float(cost))
            self._talk.station.display.tell_cost(transaction, cost)


def amount(told: Any) -> Decimal | None:
    """Read an amount of money; None for none, or one that no bill has."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        return None
    found = Decimal(str(told))
    return found if abs(found) <= MAX_AMOUNT else None


def price_text(told: Any, others: Any = ()) -> PriceText | None:
    """Read MessageContentTypes; None when there is none that can be shown."""
    contents = [content_of(each) for each in (told, *others) if isinstance(each, Mapping)]
    shown = [content for content in contents if content.format in FORMATS]
    if not shown:
        return None
    languages = tuple((content.language, plain(content.text)) for content in shown if content.language)
    return PriceText(plain(shown[0].text), languages)


def _part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, Mapping) else {}
