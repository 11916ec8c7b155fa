"""Joins the station's transactions to the tunnel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from agent.clock import Clock
from agent.journal.events import Limits, Trigger
from agent.station.desk import TransactionDesk
from agent.station.effects import Effect
from agent.station.station import Station

_Answer = TypeVar("_Answer")


class TransactionWork:
    """Implements ``agent.ocpp.transaction_port.TransactionPort``."""

    def __init__(self, station: Station, clock: Clock, carry_out: Callable[[Sequence[Effect]], None]) -> None:
        self._station = station
        self._clock = clock
        self._carry_out = carry_out

    def _step(self, deed: Callable[[TransactionDesk], _Answer]) -> _Answer:
        answer, effects = self._station.within(lambda: deed(self._station.desk), self._clock.now())
        self._carry_out(effects)
        return answer

    def speak(self, flexible: bool) -> None:
        self._step(lambda desk: desk.speak(flexible))

    def open(self) -> Mapping[str, int]:
        return self._station.desk.open()

    def trigger(self, evse: int | None) -> bool:
        return self._step(lambda desk: desk.trigger(evse))

    def note(self, transaction: str, trigger: Trigger) -> bool:
        return self._step(lambda desk: desk.note(transaction, trigger))

    def limit(self, transaction: str, limits: Limits) -> bool:
        return self._step(lambda desk: desk.limit(transaction, limits))

    def cost(self, transaction: str, amount: float) -> None:
        self._step(lambda desk: desk.cost(transaction, amount))
