"""For how long an EVSE was kept for a driver who has used his reservation (I12.FR.06, FR.07)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agent.journal.events import TransactionStarted, TransactionUpdated
from agent.station.effects import Record
from agent.station.session import Session
from agent.station.site import Site

KEY = "reserved"


class Reserved:
    def __init__(self, site: Site, table: str) -> None:
        self._site = site
        self._table = table
        self._at: dict[int, float] = {}
        """When a reservation came (wall time), by its number."""
        self._taken: dict[str, int] = {}
        """Number of the reservation that its driver has used, by transaction."""

    def load(self, document: Mapping[str, Any]) -> None:
        self._at = {int(number): float(at) for number, at in document.items()}

    def settle(self, sessions: Collection[Session]) -> None:
        """Note which came, and which were used in this step."""
        for effect in self._site.effects:
            event = effect.event if isinstance(effect, Record) else None
            if isinstance(event, TransactionStarted | TransactionUpdated) and event.reservation is not None:
                self._taken[event.transaction] = event.reservation
        here = {session.transaction for session in sessions}
        self._taken = {transaction: number for transaction, number in self._taken.items() if transaction in here}
        numbers = {*self._site.reservations, *self._taken.values()}
        if numbers != self._at.keys():
            now_utc_s = self._site.moment.utc_s
            self._at = {number: self._at.get(number, now_utc_s) for number in numbers}
            document = {str(number): at for number, at in self._at.items()}
            self._site.keep(self._table, KEY, document or None)

    def seconds(self, session: Session) -> int | None:
        """For how long its driver had reserved; None where he had not."""
        at_utc_s = self._at.get(self._taken.get(session.transaction, -1))
        return None if at_utc_s is None else max(0, round(self._site.moment.utc_s - at_utc_s))
