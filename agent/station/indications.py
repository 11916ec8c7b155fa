"""What each EVSE shows the driver, and whether its plug stays locked: told to control on change."""

from __future__ import annotations

from agent.link.messages import HoldCable, Indicate, SetOperative
from agent.station.commands import ConnectorStatus
from agent.station.evse import Evse
from agent.station.session import Phase
from agent.station.site import Site, earliest

_SHOWN = {
    ConnectorStatus.AVAILABLE: "available",
    ConnectorStatus.PREPARING: "preparing",
    ConnectorStatus.CHARGING: "charging",
    ConnectorStatus.SUSPENDED_EVSE: "suspended",
    ConnectorStatus.SUSPENDED_EV: "suspended",
    ConnectorStatus.FINISHING: "finishing",
    ConnectorStatus.RESERVED: "reserved",
    ConnectorStatus.UNAVAILABLE: "unavailable",
    ConnectorStatus.FAULTED: "faulted",
}
"""Values of ``hal.values.Indication``."""


class Indications:
    def __init__(self, site: Site) -> None:
        self._site = site

    def forget(self) -> None:
        """Control has started afresh or was away: tell it everything again."""
        for evse in self._site.evses.values():
            evse.told_operative = evse.told_hold = None
            evse.told_indication = ""

    def settle(self) -> None:
        site = self._site
        if not site.control:
            return
        for evse in site.evses.values():
            if evse.told_operative is not evse.in_service:
                evse.told_operative = evse.in_service
                site.send(SetOperative(evse.id, evse.in_service))
            hold = self._holds_cable(evse)
            if evse.socket and evse.told_hold is not hold:
                evse.told_hold = hold
                site.send(HoldCable(evse.id, hold))
            if evse.show is not None and site.now >= evse.show[1]:
                evse.show = None
            shown = evse.show[0] if evse.show else _SHOWN[evse.status or ConnectorStatus.AVAILABLE]
            if evse.told_indication != shown:
                evse.told_indication = shown
                site.send(Indicate(evse.id, shown))

    def wake(self) -> float | None:
        if not self._site.control:
            return None
        return earliest(evse.show[1] for evse in self._site.evses.values() if evse.show is not None)

    def _holds_cable(self, evse: Evse) -> bool:
        """A plug is held during its transaction, and afterwards where the network asked for it."""
        session = evse.session
        if session is None or session.phase is Phase.WAITING:
            return False
        if session.phase is Phase.FINISHED or not session.granted:
            return session.hold_cable
        # OCPP 1.6 §9.1.33: pulled at the vehicle while the transaction goes on.
        away = session.phase is Phase.RUNNING and evse.connected is False
        return not (away and self._site.settings.boolean("OCPPCommCtrlr.UnlockOnEVSideDisconnect"))
