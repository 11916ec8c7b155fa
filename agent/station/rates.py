"""How fast a transaction may charge, told when a limit of the site changes it (OCPP 2 K11.FR.04, K13.FR.03)."""

from __future__ import annotations

from agent.journal.events import Trigger
from agent.station.evse import Evse
from agent.station.session import Phase, Session
from agent.station.site import Site
from agent.station.smart_charging import SmartCharging
from agent.station.transactions import Transactions

BETWEEN_S = 10.0
"""Each change goes to the books; an energy manager that follows the sun changes its mind every second."""


class Rates:
    """Runs after permits have settled."""

    def __init__(self, site: Site, charging: SmartCharging, transactions: Transactions) -> None:
        self._site = site
        self._charging = charging
        self._transactions = transactions
        self._told: dict[int, tuple[str, float, float]] = {}
        """EVSE → transaction, rate as told or as it began, and when."""

    def settle(self) -> None:
        for evse in self._site.evses.values():
            session = evse.session
            if session is None or session.phase is not Phase.RUNNING or not session.stop_points:
                self._told.pop(evse.id, None)
            else:
                self._follow(evse, session)

    def _follow(self, evse: Evse, session: Session) -> None:
        now = self._site.now
        rate_a = evse.permit.current_a if evse.permit is not None else 0.0
        transaction, told_a, at = self._told.get(evse.id, ("", 0.0, 0.0))
        if transaction != session.transaction or not self._charging.constrained(now):
            self._told[evse.id] = (session.transaction, rate_a, now - BETWEEN_S)
            return
        share = self._site.settings.number("SmartChargingCtrlr.LimitChangeSignificance") / 100
        if abs(rate_a - told_a) > told_a * share and now - at >= BETWEEN_S:
            self._told[evse.id] = (session.transaction, rate_a, now)
            self._transactions.note(evse, session, Trigger.CHARGING_RATE_CHANGED)
