"""What the driver is shown, as OCPP 2 tells it to the station."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from agent.station.display.message import Message, MessageFilter, SetAnswer
from agent.station.price_texts import PriceText
from agent.station.tokens import Token


class DisplayPort(Protocol):
    """Every call is carried out (and durable where it must be) on return."""

    def set_message(self, message: Message) -> tuple[SetAnswer, str]:
        """Take a message. Return the answer, and why it is not taken."""

    def clear_message(self, number: int) -> bool:
        """False when there is none of this id."""

    def messages(self, which: MessageFilter) -> Sequence[Message]:
        """Return what matches, by id."""

    def prefer(self, token: Token, languages: Sequence[str]) -> None:
        """This driver reads these languages, the best one first."""

    def tell_price(self, transaction: str, text: PriceText) -> None:
        """What the driver of a transaction will pay from now on, in words."""

    def tell_cost(self, transaction: str, cost: Decimal) -> None:
        """What a transaction has cost so far; nothing is added to it here."""
