"""The start of a transaction, told once more, because another version of OCPP has taken it (or had no word for it).

- A network of 2.x took the start, and then the charge point speaks 1.6 again: what follows would name no transaction.
- 1.6 took the start, and what follows goes to a network of 2.x: it would get events of a transaction that never began.

So the start is told anew, from the history, before what follows. It has the same message id and the same content on
each try, by which a network knows that it is one transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from agent.journal.events import ChargingState, StartTrigger, TransactionStarted
from agent.ocpp.ports import JournalPort
from agent.ocpp.told_numbers import NEXT_TABLE
from agent.station.tokens import USUAL_KIND


@dataclass(frozen=True, slots=True)
class RetoldStart:
    event: TransactionStarted
    utc_s: float
    message_id: str


def start_for_16(journal: JournalPort, transaction: str) -> RetoldStart | None:
    """Return the start of a transaction that a network of OCPP 2 has heard of; None for any other, and for one that
    had no driver yet, or of which the history does not know enough. Raises what the journal raises."""
    if transaction not in journal.kept(NEXT_TABLE):
        return None
    start = start_for_2(journal, transaction)
    return start if start is not None and start.event.token else None


def start_for_2(journal: JournalPort, transaction: str) -> RetoldStart | None:
    """Return the start of a transaction; None when the history does not know enough of it."""
    known = journal.summary(transaction)
    if known is None or not known.evse or known.start_wh is None or known.start_utc_s is None:
        return None
    event = TransactionStarted(
        transaction,
        known.evse,
        known.token,
        USUAL_KIND if known.token else "",
        known.start_wh,
        StartTrigger.AUTHORIZED if known.token else StartTrigger.CABLE_PLUGGED_IN,
        offline=True,
        state=ChargingState.EV_CONNECTED,
    )
    return RetoldStart(event, known.start_utc_s, str(uuid.uuid5(uuid.NAMESPACE_OID, transaction)))
