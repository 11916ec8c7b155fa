"""Block E beside its events: what the network asks about transactions, and what its answers to them say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from agent.journal.events import Event, Limits
from agent.ocpp.base import Payload
from agent.ocpp.rpc import Priority
from agent.ocpp.v2.block import Block, Handler, Trigger
from agent.ocpp.v2.metering import meter_values
from agent.ocpp.v2.version import Version


class Transactions2(Block):
    def handlers(self) -> Mapping[str, Handler]:
        return {"GetTransactionStatus": self._status}

    def triggers(self) -> Mapping[str, Trigger]:
        return {"MeterValues": self._meter_values, "TransactionEvent": self._event}

    def online(self, _everything: bool, _now: float) -> None:
        self._talk.station.transactions.speak(flexible=True)

    def _status(self, payload: Payload) -> Payload:
        """E14."""
        transaction = payload.get("transactionId")
        if transaction is None:
            return {"messagesInQueue": self._talk.waits("")}  # E14.FR.06 to .08
        ongoing = transaction in self._talk.station.transactions.open()
        return {"ongoingIndicator": ongoing, "messagesInQueue": bool(transaction) and self._talk.waits(transaction)}

    def _meter_values(self, evse: int | None) -> bool:
        """F06.FR.06: in a MeterValues of its own, whether a transaction runs or not."""
        sent = False
        for values in self._talk.station.present_values():
            if evse in (None, values.evse):
                message = meter_values(values.evse, values.at_utc_s, values.samples)
                if message is not None:
                    sent = self._talk.call("MeterValues", message, Priority.STATUS) or sent
        return sent

    def _event(self, evse: int | None) -> bool:
        """F06.FR.07."""
        return self._talk.station.transactions.trigger(evse)

    def answered(self, event: Event, answer: Mapping[str, Any]) -> None:
        """The network has answered a TransactionEvent. Comes once that is durable."""
        transactions = self._talk.station.transactions
        cost = _number(answer.get("totalCost"))
        if cost is not None:
            transactions.cost(event.transaction, cost)
        told = answer.get("transactionLimit")
        if self._talk.version is Version.V21 and isinstance(told, Mapping):
            bounds = Limits(
                _number(told.get("maxCost")),
                _number(told.get("maxEnergy")),
                _whole(told.get("maxTime")),
                _whole(told.get("maxSoC")),
            )
            transactions.limit(event.transaction, bounds)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None
