"""Joins what station and journal hold of one driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.clock import Clock
from agent.journal.history import TransactionSummary
from agent.journal.journal import Journal
from agent.station.documents import moment
from agent.station.effects import Effect
from agent.station.station import Station
from agent.station.tokens import Token


class CustomerWork:
    """Implements ``agent.ocpp.customer_port.CustomerPort``."""

    def __init__(
        self, station: Station, journal: Journal, clock: Clock, carry_out: Callable[[Sequence[Effect]], None]
    ) -> None:
        self._station = station
        self._journal = journal
        self._clock = clock
        self._carry_out = carry_out

    def held(self, token: Token) -> Sequence[str]:
        transactions = [_line(one) for one in self._journal.transactions_of(token.key)]
        return [*self._station.customers.held(token), *transactions]

    def forget(self, token: Token) -> bool:
        """The records of a transaction go to the network with its driver, so they must be there first."""
        if not all(one.delivered for one in self._journal.transactions_of(token.key)):
            return False
        now = self._clock.now()
        reservations, effects = self._station.forget_customer(token, now)
        self._carry_out(effects)
        for number in reservations:
            _, effects = self._station.cancel_reservation(number, now)
            self._carry_out(effects)
        self._journal.forget_token(token.key)
        return True


def _line(one: TransactionSummary) -> str:
    times = " to ".join(moment(at) or "?" for at in (one.start_utc_s, one.end_utc_s))
    energy = "" if one.start_wh is None or one.end_wh is None else f", {one.end_wh - one.start_wh:.0f} Wh"
    return f"transaction {one.transaction}: EVSE {one.evse}, {times}{energy}"
