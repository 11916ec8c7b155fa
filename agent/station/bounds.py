"""How far a transaction may go, as the network has set it (OCPP 2.1 E16): energy, time, cost.

The state of charge is not among them: no hardware of ours learns it (IEC 61851-1 does not carry it).
"""

from __future__ import annotations

from agent.journal.events import Limits, StopReason
from agent.station.evse import Evse
from agent.station.roaming import elapsed_s, energy_wh
from agent.station.session import Session
from agent.station.site import Site


def supported(limits: Limits) -> Limits:
    """Leave out what cannot be kept (E16.FR.13)."""
    return Limits(limits.cost, limits.energy_wh, limits.time_s)


def merged(old: Limits | None, new: Limits) -> Limits:
    """A bound that is not named again stays: once set it can only be changed (E16.FR.17)."""
    if old is None:
        return new
    return Limits(
        old.cost if new.cost is None else new.cost,
        old.energy_wh if new.energy_wh is None else new.energy_wh,
        old.time_s if new.time_s is None else new.time_s,
    )


class Bounds:
    def __init__(self, site: Site) -> None:
        self._site = site

    def reached(self, evse: Evse, session: Session) -> StopReason | None:
        """Return which bound is reached or passed; None while all are kept, or there is none (E16.FR.05, .10)."""
        limits = session.limits
        if limits is None:
            return None
        if limits.time_s is not None and elapsed_s(self._site, session) >= limits.time_s:
            return StopReason.TIME_LIMIT_REACHED
        if limits.energy_wh is not None and energy_wh(self._site, evse, session) >= limits.energy_wh:
            return StopReason.ENERGY_LIMIT_REACHED
        if limits.cost is not None and session.cost is not None and session.cost >= limits.cost:
            return StopReason.COST_LIMIT_REACHED  # E16.FR.15
        return None

    def wake(self, session: Session) -> float | None:
        """When the bound of time is reached, in monotonic seconds; None when there is none or it has been."""
        if session.limits is None or session.limits.time_s is None or session.limit_reached is not None:
            return None
        left_s = session.limits.time_s - elapsed_s(self._site, session)
        return self._site.now + left_s if left_s > 0 else None
