"""Joins what decides who may charge, and where, to the tunnel of OCPP 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from agent.clock import Clock
from agent.station.access import Access
from agent.station.commands import AvailabilityAnswer, Level, RemoteStart, ReservationEnd, StartAnswer
from agent.station.effects import Effect
from agent.station.station import Station

_Answer = TypeVar("_Answer")


class AccessWork:
    """Implements ``agent.ocpp.access_port.AccessPort``."""

    def __init__(self, station: Station, clock: Clock, carry_out: Callable[[Sequence[Effect]], None]) -> None:
        self._station = station
        self._clock = clock
        self._carry_out = carry_out

    def _step(self, deed: Callable[[Access], _Answer]) -> _Answer:
        answer, effects = self._station.within(lambda: deed(self._station.access), self._clock.now())
        self._carry_out(effects)
        return answer

    def start(self, request: RemoteStart) -> StartAnswer:
        return self._step(lambda access: access.readers.remote_start(request))

    def change_availability(self, level: Level, evse: int, operative: bool) -> AvailabilityAnswer:
        return self._step(lambda access: access.availability.change_at(level, evse, operative))

    def ended_reservations(self) -> Mapping[int, ReservationEnd]:
        return dict(self._station.access.reservations.ended)

    def reservation_end_told(self, number: int) -> None:
        self._step(lambda access: access.reservations.end_told(number))
