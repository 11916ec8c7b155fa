"""Joins the driver's display to the tunnel of OCPP 2 and to the local API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from agent.clock import Clock
from agent.station.display.message import Message, MessageFilter, SetAnswer
from agent.station.documents import DisplayDocument
from agent.station.effects import Effect
from agent.station.price_texts import PriceText
from agent.station.station import Station
from agent.station.tokens import Token

_Answer = TypeVar("_Answer")


class DisplayWork:
    """Implements ``agent.ocpp.display_port.DisplayPort`` and ``agent.local.display.Display``."""

    def __init__(self, station: Station, clock: Clock, carry_out: Callable[[Sequence[Effect]], None]) -> None:
        self._station = station
        self._clock = clock
        self._carry_out = carry_out

    def _step(self, deed: Callable[[], _Answer]) -> _Answer:
        answer, effects = self._station.within(deed, self._clock.now())
        self._carry_out(effects)
        return answer

    # ---- for the network ----

    def set_message(self, message: Message) -> tuple[SetAnswer, str]:
        return self._step(lambda: self._station.display.set(message))

    def clear_message(self, number: int) -> bool:
        return self._step(lambda: self._station.display.clear(number))

    def messages(self, which: MessageFilter) -> Sequence[Message]:
        return self._step(lambda: self._station.display.matching(which))

    def prefer(self, token: Token, languages: Sequence[str]) -> None:
        self._step(lambda: self._station.display.prefer(token.key, languages))

    def tell_price(self, transaction: str, text: PriceText) -> None:
        self._step(lambda: self._station.pricing.tell_price(transaction, text))

    def tell_cost(self, transaction: str, cost: Decimal) -> None:
        self._step(lambda: self._station.pricing.tell_cost(transaction, cost))

    # ---- for the display ----

    def price_refused(self, evse: int) -> bool:
        return self._step(lambda: self._station.desk.price_refused(evse))

    def shown(self) -> list[DisplayDocument]:
        station = self._station
        return self._step(lambda: [station.display.document(evse) for evse in station.facts.evses.values()])
