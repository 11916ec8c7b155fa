"""What a technician tries at an idle, unplugged EVSE: lock, state F, lights. Pure.

A try only ever adds a wish to what control shows or locks; it ends by itself, and at once when a vehicle comes, a
permit is in force, or a contactor is not open for sure. None of it can close a contactor: what decides over that does
not look here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agent.control.faults import FaultLock
from agent.control.permit import Lease
from agent.link import messages as m
from hal.ports import PortKind
from hal.values import Cable, Indication

if TYPE_CHECKING:
    from agent.control.evse import EvseControl

LONGEST_S = 10.0
LONGEST_F_S = 3.0
"""State F hides a vehicle that comes: kept short."""

Try = m.TryLock | m.TryPilot | m.TryIndication


class Tries:
    """The wishes that are in force. Times are monotonic seconds."""

    __slots__ = ("_f_until", "_indication", "_indication_until", "_lock", "_lock_until")

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """Back to what control does by itself."""
        self._lock: bool | None = None
        self._indication: Indication | None = None
        self._lock_until = self._f_until = self._indication_until = float("-inf")

    def update(self, idle: bool, plugged: bool | None, now: float) -> None:
        """``idle``: contactor open for sure, no permit in force. An unknown plug ends them too, but where our own
        state F hides it."""
        if not idle or plugged or (plugged is None and not self.shows_f(now)):
            self.end()

    def lock(self, now: float) -> bool | None:
        """Return how the lock is wanted; None: nothing is tried."""
        return self._lock if now < self._lock_until else None

    def shows_f(self, now: float) -> bool:
        return now < self._f_until

    def indication(self, now: float) -> Indication | None:
        return self._indication if now < self._indication_until else None

    def begin(self, message: Try, now: float) -> str:
        """Take a wish. Returns why it is none, or an empty text."""
        longest_s = LONGEST_F_S if isinstance(message, m.TryPilot) else LONGEST_S
        if not (math.isfinite(message.hold_s) and 0.0 < message.hold_s <= longest_s):
            return f"hold_s must be above 0 and at most {longest_s:g}"
        until = now + message.hold_s
        match message:
            case m.TryLock():
                self._lock, self._lock_until = message.locked, until
            case m.TryPilot():
                self._f_until = until
            case m.TryIndication():
                try:
                    self._indication, self._indication_until = Indication(message.indication), until
                except ValueError:
                    return f"{message.indication!r} is no indication"
        return ""


def begin(evse: EvseControl, message: Try, now: float) -> str:
    """Try something at an EVSE. Returns why that is refused, or an empty text."""
    return _objection(evse, now) or _objection_to(evse, message, now) or evse.tries.begin(message, now)


def _objection(evse: EvseControl, now: float) -> str:
    number = evse.settings.evse
    if not evse.open_for_sure(now):
        return f"EVSE {number}: the contactor is not open for sure; end the charge, or see its faults"
    if evse.permits.lease(now) in (Lease.LIVE, Lease.FAIL_SAFE):
        return f"EVSE {number}: a charge is permitted; stop it first"
    if evse.guards.plugged:
        return f"EVSE {number}: a vehicle is plugged in; unplug it first"
    if evse.guards.plugged is None and not evse.tries.shows_f(now):
        return f"EVSE {number}: it cannot be seen whether a vehicle is there; see the pilot and the faults"
    return ""


def _objection_to(evse: EvseControl, message: Try, now: float) -> str:
    number, settings = evse.settings.evse, evse.settings
    if isinstance(message, m.TryLock):
        if not settings.has_lock or PortKind.CABLE_LOCK not in settings.ports:
            return f"EVSE {number} has no lock"
        if evse.guards.cable.cable not in (None, Cable.NONE):
            return f"EVSE {number}: a cable is in the outlet; take it out first"
        if evse.faults.lock() is not FaultLock.KEEP:
            return f"EVSE {number}: a fault decides over the lock; clear it first"
        if evse.tries.shows_f(now):
            return f"EVSE {number}: the pilot is being tried; wait a few seconds"
    if isinstance(message, m.TryPilot):
        if settings.follows:
            return f"EVSE {number}: its controller runs the pilot by itself; nothing can be tried there"
        if evse.faults.blocking():
            return f"EVSE {number}: a fault decides over the pilot; clear it first"
        if not evse.operative:
            return f"EVSE {number} is out of service and shows state F already"
    return ""
