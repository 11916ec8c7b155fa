"""Joins tariffs and local cost calculation to the tunnel of OCPP 2.1."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from agent.clock import Clock
from agent.station.effects import Effect
from agent.station.station import Station
from agent.station.tariffs.answers import Assignment, TariffAnswer
from agent.station.tariffs.tariffs import Tariffs
from agent.station.tokens import Token

_Answer = TypeVar("_Answer")


class TariffWork:
    """Implements ``agent.ocpp.tariff_port.TariffPort``."""

    def __init__(self, station: Station, clock: Clock, carry_out: Callable[[Sequence[Effect]], None]) -> None:
        self._station = station
        self._clock = clock
        self._carry_out = carry_out

    def _step(self, deed: Callable[[Tariffs], _Answer]) -> _Answer:
        answer, effects = self._station.within(lambda: deed(self._station.tariffs), self._clock.now())
        self._carry_out(effects)
        return answer

    @property
    def enabled(self) -> bool:
        return self._station.tariffs.enabled

    def set_default(self, evse: int, document: dict[str, Any]) -> tuple[TariffAnswer, str]:
        return self._step(lambda tariffs: tariffs.set_default(evse, document))

    def assignments(self, evse: int) -> Sequence[Assignment]:
        return self._step(lambda tariffs: tariffs.assignments(evse))

    def clear(self, ids: Collection[str] | None, evse: int | None) -> Sequence[str]:
        return self._step(lambda tariffs: tariffs.clear(ids, evse))

    def driver(self, token: Token, document: dict[str, Any]) -> bool:
        return self._step(lambda tariffs: tariffs.driver(token, document))

    def change(self, transaction: str, document: dict[str, Any]) -> tuple[TariffAnswer, str]:
        return self._step(lambda tariffs: tariffs.change(transaction, document))

    def untold_tariff(self, transaction: str) -> str:
        return self._station.tariffs.untold_tariff(transaction)

    def tariff_told(self, transaction: str, tariff: str) -> None:
        self._step(lambda tariffs: tariffs.tariff_told(transaction, tariff))

    def running_cost(self, transaction: str) -> dict[str, Any] | None:
        return self._station.tariffs.running_cost(transaction)

    def final_cost(self, transaction: str) -> dict[str, Any] | None:
        return self._station.tariffs.final_cost(transaction)

    def delivered(self, transaction: str) -> None:
        self._step(lambda tariffs: tariffs.delivered(transaction))
