"""Proximity coding of a plug-in cable: its rating, and whether it stays what it was."""

from __future__ import annotations

from agent.control.faults import Condition
from agent.control.persistence import Persistence
from agent.control.settings import EvseSettings
from agent.control.timing import CABLE_FAULT_S, CABLE_MISSING_S
from hal.ports import PortKind
from hal.values import Cable, ProximityReading

UNKNOWN_CABLES = (Cable.NONE, Cable.FAULT)


class CableWatch:
    """For socket outlets (iec61851.md §6.1). A fixed cable has no coding that the station reads."""

    __slots__ = ("_missing", "_settings", "_wrong", "cable", "session_cable")

    def __init__(self, settings: EvseSettings) -> None:
        self._settings = settings
        self._wrong = Persistence()
        self._missing = Persistence()
        self.cable: Cable | None = None
        """As read; None for a fixed cable or while nothing is known."""
        self.session_cable: Cable | None = None
        """As it was when the offer began; None between sessions."""

    def update(
        self,
        reading: ProximityReading | None,
        plugged: bool,
        unplugged: bool,
        offering: bool,
        now: float,
        *,
        alive: bool = True,
    ) -> Condition | None:
        """``plugged``/``unplugged``: seen for sure on the pilot; ``offering``: PWM is on or the contactor closed;
        ``alive``: the boards are heard. What a silent board does not tell says nothing of the cable; the limit is 0 A
        meanwhile, and the silence is a fault of its own."""
        if not self._settings.socket:
            return None
        self.cable = None if reading is None else reading.cable
        if unplugged:
            self.session_cable = None
        elif offering and self.session_cable is None and self.cable not in (None, *UNKNOWN_CABLES):
            self.session_cable = self.cable
        changed = self.session_cable is not None and self.cable not in (None, self.session_cable)
        text = "unknown" if self.cable is None else self.cable.name
        if self._wrong.held(changed and not unplugged, now, CABLE_FAULT_S) and self.session_cable is not None:
            return Condition(f"proximity coding went from {self.session_cable.name} to {text}")
        bad = plugged and (alive if self.cable is None else self.cable in UNKNOWN_CABLES)
        if self._missing.held(bad, now, CABLE_MISSING_S):
            if PortKind.PROXIMITY_PILOT not in self._settings.ports:
                return Condition("the configured devices have no proximity pilot, which a socket needs")
            return Condition(f"a vehicle is plugged in, but the proximity coding is {text}")
        return None

    @property
    def known(self) -> bool:
        """The cable's rating is known, or there is none to know."""
        return not self._settings.socket or (self.cable is not None and self.cable not in UNKNOWN_CABLES)

    def limit_a(self) -> float:
        """Rating in ampere; infinite for a fixed cable, 0 while unknown."""
        if not self._settings.socket:
            return float("inf")
        return float(self.cable.value) if self.cable is not None and self.known else 0.0
