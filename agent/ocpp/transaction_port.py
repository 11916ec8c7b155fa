"""Transactions as OCPP asks for them of the station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from agent.journal.events import Limits, Trigger


class TransactionPort(Protocol):
    """Every call is carried out (and durable where it must be) on return."""

    def speak(self, flexible: bool) -> None:
        """A network was reached by OCPP 2.x (True: transactions begin and end by TxStartPoint and TxStopPoint), or by
        1.6."""

    def open(self) -> Mapping[str, int]:
        """Return the EVSE (0: not known yet) of every transaction that is open, by its identity."""

    def trigger(self, evse: int | None) -> bool:
        """Tell how the transaction at an EVSE (None: each one) is doing. False when none is open there."""

    def note(self, transaction: str, trigger: Trigger) -> bool:
        """Put something on the books that happened to a transaction. False when it is not open."""

    def limit(self, transaction: str, limits: Limits) -> bool:
        """Bound a transaction. False when it is not open."""

    def cost(self, transaction: str, amount: float) -> None:
        """What a transaction has cost so far."""
