"""Where a transaction begins and ends: OCPP 2.0.1 part 2 §2.6.6, TxStartPoint and TxStopPoint.

Pure. What a transaction is, the network decides; whether energy may flow is another matter (``agent.station.permits``):
that needs a driver who is authorised, whatever the points say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Point(Enum):
    EV_CONNECTED = "EVConnected"
    AUTHORIZED = "Authorized"
    POWER_PATH_CLOSED = "PowerPathClosed"
    """Connected and authorised. Not the contactor."""
    ENERGY_TRANSFER = "EnergyTransfer"


Points = frozenset[Point]


@dataclass(frozen=True, slots=True)
class Facts:
    connected: bool
    authorised: bool
    energy: bool = False
    """It flows."""

    def at(self, point: Point) -> bool:
        """Tell whether the point holds."""
        match point:
            case Point.EV_CONNECTED:
                return self.connected
            case Point.AUTHORIZED:
                return self.authorised
            case Point.POWER_PATH_CLOSED:
                return self.connected and self.authorised
            case Point.ENERGY_TRANSFER:
                return self.energy


def read(words: Iterable[str]) -> Points:
    """Return the points that a setting lists."""
    return frozenset(Point(word) for word in words)


def begins(start: Points, facts: Facts) -> bool:
    """True when any of the start points holds (E01.FR.02 to .06)."""
    return any(facts.at(point) for point in start)


def ends_unconnected(stop: Points) -> bool:
    """True when the loss of the vehicle ends a transaction (E06.FR.02, E06.FR.06)."""
    return bool(stop & {Point.EV_CONNECTED, Point.POWER_PATH_CLOSED})


def ends_unauthorised(stop: Points) -> bool:
    """True when the loss of the authorisation ends a transaction (E06.FR.03, E06.FR.04, E06.FR.06)."""
    return bool(stop & {Point.AUTHORIZED, Point.POWER_PATH_CLOSED})
