"""The cable lock of a socket outlet: when it must be closed, when it may open, and what happens when it does not."""

from __future__ import annotations

from agent.control.faults import Condition, FaultLock
from agent.control.persistence import Persistence
from agent.control.settings import EvseSettings
from agent.control.timing import LOCK_ATTEMPTS, LOCK_DRIVE_S, LOCK_LOST_S
from hal.ports import PortKind
from hal.values import Cable, LockReading

ZERO_CURRENT_A = 0.5
"""Below this a phase carries "about no" current (iec61851.md §11). Own figure: the meters' noise."""


class LockControl:
    """Decides the lock's command. ``None`` leaves it as it is: right after start nobody knows why it is closed."""

    __slots__ = (
        "_attempts",
        "_commanded_at",
        "_lost",
        "_plugged",
        "_session",
        "_settings",
        "command",
        "hold",
        "locked",
        "tried",
    )

    def __init__(self, settings: EvseSettings) -> None:
        self._settings = settings
        self._lost = Persistence()
        self._commanded_at = float("-inf")
        self._attempts = 0
        self._plugged = False
        self._session = False
        self.hold: bool | None = None
        """The agent's wish; None before it has told one for this plug."""
        self.tried: bool | None = None
        """A technician's wish for an empty outlet (``tries``); None: there is none."""
        self.command: bool | None = None
        self.locked: bool | None = None

    def update(
        self,
        reading: LockReading | None,
        *,
        plugged: bool,
        unplugged: bool,
        cable: Cable | None,
        permitted: bool,
        contactor_open: bool,
        commanded_closed: bool,
        current_a: float,
        fault: FaultLock,
        now: float,
    ) -> Condition | None:
        """Choose ``command`` and return what is wrong with the lock.

        ``permitted``: a permit or fail-safe is in force; ``contactor_open``: commanded open and, where there is
        feedback, read open; ``current_a``: highest phase current of a fresh meter, 0 without one.
        """
        if not self._settings.has_lock:
            return None
        self.locked = None if reading is None else reading.locked
        if unplugged:
            if self._plugged and cable in (None, Cable.NONE):
                self.hold = None  # the agent's wish was for that plug
            self._plugged = self._session = False
        elif plugged:
            self._plugged = True
            if permitted or (self.command is None and self.locked):
                self._session = True  # also after a restart in mid-session: row 31 keeps the plug locked
        safe_to_open = contactor_open and current_a < ZERO_CURRENT_A
        self._choose(self._wanted(plugged, unplugged, cable, permitted, fault), safe_to_open, now)
        return self._judge(plugged, commanded_closed, now)

    def _wanted(
        self, plugged: bool, unplugged: bool, cable: Cable | None, permitted: bool, fault: FaultLock
    ) -> bool | None:
        if fault is FaultLock.HOLD:
            return True
        if fault is FaultLock.RELEASE:
            return False
        if unplugged and self.tried is not None and cable in (None, Cable.NONE):
            return self.tried
        if unplugged:  # row 8: open, unless the owner wants the cable kept while it is in the socket
            return bool(self.hold) and cable not in (None, Cable.NONE)
        if not plugged:
            return self.command
        if permitted:
            return True
        return self._session if self.hold is None else self.hold

    def _choose(self, wanted: bool | None, safe_to_open: bool, now: float) -> None:
        if wanted is False and not safe_to_open:  # iec61851.md §11: contactor open and no current first
            wanted = self.command
        if wanted is self.command:
            return
        self.command = wanted
        self._commanded_at = now
        self._attempts = 1

    def _judge(self, plugged: bool, commanded_closed: bool, now: float) -> Condition | None:
        lost = self._lost.held(commanded_closed and self.locked is not True, now, LOCK_LOST_S)
        if lost:
            return Condition("the lock no longer reads locked")
        if self.command is True and self.locked is not True and plugged and not commanded_closed:
            if PortKind.CABLE_LOCK not in self._settings.ports:
                return Condition("the configured devices have no cable lock; set has_lock: false if there is none")
            if now - self._commanded_at >= LOCK_DRIVE_S:
                if self._attempts >= LOCK_ATTEMPTS:
                    return Condition(f"the lock did not close in {LOCK_ATTEMPTS} attempts")
                self._attempts += 1
                self._commanded_at = now
        return None

    def pulse(self, now: float) -> bool | None:
        """Return the command for the device: between two attempts to lock it is released for a moment."""
        if self.command is True and self._attempts > 1 and now - self._commanded_at < 0.5 and self.locked is not True:
            return False
        return self.command

    @property
    def ready(self) -> bool:
        """The lock does not stand in the way of closing the contactor."""
        return not self._settings.has_lock or (self.command is True and self.locked is True)
