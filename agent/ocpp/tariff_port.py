"""Tariffs and the cost of transactions reckoned at the charge point, as OCPP 2.1 asks for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from agent.station.tariffs.answers import Assignment, TariffAnswer
from agent.station.tokens import Token


class TariffPort(Protocol):
    """Every call is carried out (and durable where it must be) on return. Tariffs are TariffTypes as they came."""

    @property
    def enabled(self) -> bool: ...

    def set_default(self, evse: int, document: dict[str, Any]) -> tuple[TariffAnswer, str]:
        """Install a tariff at an EVSE (0: at each). Return the answer and why it is refused."""

    def assignments(self, evse: int) -> Sequence[Assignment]:
        """Return what is in use at an EVSE (0: anywhere)."""

    def clear(self, ids: Collection[str] | None, evse: int | None) -> Sequence[str]:
        """Remove default tariffs. Return the ids that are gone."""

    def driver(self, token: Token, document: dict[str, Any]) -> bool:
        """Take the tariff of a driver. False when it cannot be used."""

    def change(self, transaction: str, document: dict[str, Any]) -> tuple[TariffAnswer, str]:
        """Another tariff for a transaction from now on."""

    def untold_tariff(self, transaction: str) -> str:
        """Id of the tariff of a transaction, until the network has been told of it; empty for none."""

    def tariff_told(self, transaction: str, tariff: str) -> None:
        """The network knows by which tariff a transaction is reckoned."""

    def running_cost(self, transaction: str) -> dict[str, Any] | None:
        """CostDetailsType of a transaction that is open."""

    def final_cost(self, transaction: str) -> dict[str, Any] | None:
        """CostDetailsType of a transaction that has ended."""

    def delivered(self, transaction: str) -> None:
        """The network has the end of a transaction."""
