"""Who may charge here and where, as OCPP 2 asks for it of the station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from agent.station.commands import AvailabilityAnswer, Level, RemoteStart, ReservationEnd, StartAnswer


class AccessPort(Protocol):
    """Every call is carried out (and durable where it must be) on return."""

    def start(self, request: RemoteStart) -> StartAnswer:
        """Start a transaction, or give a driver to the one that waits for one. The profile is not checked here."""

    def change_availability(self, level: Level, evse: int, operative: bool) -> AvailabilityAnswer:
        """Put one level alone in or out of service (``evse`` 0 for the station)."""

    def ended_reservations(self) -> Mapping[int, ReservationEnd]:
        """Return those of whose end the network is to be told, by number, oldest first."""

    def reservation_end_told(self, number: int) -> None: ...
