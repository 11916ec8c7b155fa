"""What the network hears of a transaction between its start and its end, under OCPP 2.x: chargingState and its causes.

Runs after permits and statuses have settled: it compares what is with what was told last, and puts the difference on
the books. Of two triggers that fit, the more specific one (E02.FR.17).
"""

from __future__ import annotations

from agent.journal.events import ChargingState, StopReason, Trigger
from agent.station.beginning import phases_of
from agent.station.commands import ConnectorStatus
from agent.station.evse import Evse
from agent.station.points import Point, read
from agent.station.rates import Rates
from agent.station.session import Phase, Session
from agent.station.site import Site
from agent.station.smart_charging import SmartCharging
from agent.station.statuses import running_status
from agent.station.transactions import Transactions

_STATES = {
    ConnectorStatus.CHARGING: ChargingState.CHARGING,
    ConnectorStatus.SUSPENDED_EV: ChargingState.SUSPENDED_EV,
    ConnectorStatus.SUSPENDED_EVSE: ChargingState.SUSPENDED_EVSE,
}


class Telling:
    def __init__(self, site: Site, transactions: Transactions, charging: SmartCharging) -> None:
        self._site = site
        self._transactions = transactions
        self._rates = Rates(site, charging, transactions)

    def settle(self) -> None:
        self._rates.settle()
        for evse in self._site.evses.values():
            session = evse.session
            if session is None or not session.stop_points or evse.connected is None:
                continue
            if session.phase is Phase.RUNNING:
                self._running(evse, session)
            elif session.phase is Phase.FINISHED and session.open and evse.connected:
                self._state(evse, session, ChargingState.EV_CONNECTED)

    def _running(self, evse: Evse, session: Session) -> None:
        if not evse.connected:
            if session.apart is None:
                session.apart, session.state = self._site.moment.stamp(), ChargingState.IDLE
                self._transactions.note(evse, session, Trigger.EV_COMMUNICATION_LOST, ChargingState.IDLE)
            return
        if session.apart is not None:
            session.apart, session.state = None, ChargingState.EV_CONNECTED
            session.authorised = self._site.moment.stamp()  # the vehicle is that of now
            self._transactions.note(evse, session, Trigger.CABLE_PLUGGED_IN, ChargingState.EV_CONNECTED)
            return
        state = _state_of(evse)
        if state is None:
            return
        if state is ChargingState.CHARGING:
            session.flowed = True
            if not session.told:
                self._transactions.energy_flows(evse, session)
        elif session.flowed and Point.ENERGY_TRANSFER in read(session.stop_points):
            # E06.FR.07.
            reason = StopReason.STOPPED_BY_EV if state is ChargingState.SUSPENDED_EV else StopReason.OTHER
            self._transactions.stop(evse, reason, trigger=Trigger.CHARGING_STATE_CHANGED)
            return
        self._state(evse, session, state)

    def _state(self, evse: Evse, session: Session, state: ChargingState) -> None:
        phases = phases_of(evse) if state is ChargingState.CHARGING else None
        changed = phases if phases != session.phases else None  # E02.FR.18, E02.FR.19
        if state is not session.state or (changed is not None and session.open):
            trigger = Trigger.CHARGING_STATE_CHANGED if state is not session.state else Trigger.CHARGING_RATE_CHANGED
            session.state = state
            session.phases = session.phases if phases is None else phases
            self._transactions.note(evse, session, trigger, state, phases=changed)


def _state_of(evse: Evse) -> ChargingState | None:
    """What a charge that runs is doing; None while it is between two states."""
    if evse.stopped_by_fault:
        return ChargingState.SUSPENDED_EVSE
    status = running_status(evse)
    return None if status is None else _STATES.get(status)
