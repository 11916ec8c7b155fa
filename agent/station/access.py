"""Who may charge here and where, as OCPP 2 asks for it: the parts of the station that decide it, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from agent.station.availability import Availability
from agent.station.readers import Readers
from agent.station.reservations import Reservations


@dataclass(frozen=True, slots=True)
class Access:
    readers: Readers
    availability: Availability
    reservations: Reservations
