"""What the network asks of transactions, and tells about them, whichever OCPP version says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.journal.events import Limits, StopReason, Trigger
from agent.station.bounds import Bounds, merged, supported
from agent.station.evse import Evse
from agent.station.metering import Metering
from agent.station.session import Phase, Session
from agent.station.site import Site
from agent.station.transactions import Transactions


class TransactionDesk:
    def __init__(self, site: Site, transactions: Transactions, metering: Metering) -> None:
        self._site = site
        self._transactions = transactions
        self._metering = metering
        self._bounds = Bounds(site)

    def speak(self, flexible: bool) -> None:
        """From now on transactions begin and end by the points (OCPP 2.x), or as OCPP 1.6 has it. Survives restarts;
        what is open goes on as it began."""
        if self._site.flexible is not flexible:
            self._site.flexible = flexible
            self._site.keep("station", "flexible", flexible)

    def open(self) -> Mapping[str, int]:
        """Return the EVSE (0: not known yet) of every transaction that is open, by its identity."""
        found = {session.transaction: evse.id for evse, session in self._at_evses()}
        found.update({session.transaction: 0 for session in self._site.waiting if session.open})
        return found

    def remote_stop(self, transaction: str) -> bool:
        """False when no transaction of this identity is open."""
        for evse in self._site.evses.values():
            if evse.in_transaction and evse.session is not None and evse.session.transaction == transaction:
                self._transactions.stop(evse, StopReason.REMOTE)
                return True
        for session in self._site.waiting:
            if session.open and session.transaction == transaction:
                self._transactions.stop_waiting(session, StopReason.REMOTE)
                return True
        return False

    def price_refused(self, number: int) -> bool:
        """The driver at an EVSE does not accept what it costs (2.1 I07.FR.30, FR.31). False when nobody is authorised
        there. KeyError for no such EVSE."""
        evse = self._site.evses[number]
        session = evse.session
        if session is None or not session.granted or session.phase is Phase.FINISHED:
            return False
        if session.phase is Phase.WAITING:
            self._transactions.call_off(evse, StopReason.DE_AUTHORIZED)
        else:
            self._transactions.stop(evse, StopReason.DE_AUTHORIZED, trigger=Trigger.TARIFF_NOT_ACCEPTED)
        return True

    def trigger(self, number: int | None) -> bool:
        """Tell how the transactions at an EVSE (None: at all) are doing, asked for by the network (F06.FR.07).

        False when none is open there."""
        told = False
        for evse, session in self._at_evses():
            if number in (None, evse.id):
                present = self._metering.wanted(evse, "SampledDataCtrlr.TxUpdatedMeasurands")
                self._transactions.note(evse, session, Trigger.TRIGGER, session.state, samples=present)
                told = True
        return told

    def note(self, transaction: str, trigger: Trigger) -> bool:
        """Put on the books that something happened to a transaction which its energy does not show (a new limit of
        the charging rate, say). False when it is not open."""
        for evse, session in self._at_evses():
            if session.transaction == transaction:
                self._transactions.note(evse, session, trigger)
                return True
        return False

    def limit(self, transaction: str, limits: Limits) -> bool:
        """Bound a transaction (2.1 E16.FR.03). False when it is not open."""
        known = supported(limits)
        for evse, session in self._at_evses():
            if session.transaction == transaction:
                if known != Limits():
                    session.limits = merged(session.limits, known)
                    self._transactions.note(evse, session, Trigger.LIMIT_SET, limits=known)
                    self._release(evse, session)
                return True
        return False

    def cost(self, transaction: str, amount: float) -> None:
        """What a transaction has cost so far, as the network says (2.1 E16.FR.15)."""
        for evse, session in self._at_evses():
            if session.transaction == transaction:
                session.cost = amount
                self._release(evse, session)

    def _release(self, evse: Evse, session: Session) -> None:
        """A bound that was reached may be wider now (E16.FR.14)."""
        if session.limit_reached is not None and self._bounds.reached(evse, session) is None:
            session.limit_reached = None

    def _at_evses(self) -> Iterator[tuple[Evse, Session]]:
        for evse in self._site.evses.values():
            if evse.session is not None and evse.session.open:
                yield evse, evse.session
