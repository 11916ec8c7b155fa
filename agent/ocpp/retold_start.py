"""The start of a transaction, told once more to a network that numbers transactions (OCPP 1.6).

A network of OCPP 2 has taken the start, and then the charge point spoke 1.6 again: what follows would name no
transaction. So the start is told anew, from the history, before what follows. It has the same message id and the same
content on each try, by which a network of 1.6 knows that it is one transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from agent.journal.events import StartTrigger, TransactionStarted
from agent.ocpp.ports import JournalPort
from agent.ocpp.told_numbers import NEXT_TABLE
from agent.station.tokens import USUAL_KIND


@dataclass(frozen=True, slots=True)
class RetoldStart:
    event: TransactionStarted
    utc_s: float
    message_id: str


def retold_start(journal: JournalPort, transaction: str) -> RetoldStart | None:
    """Return the start of a transaction that a network of OCPP 2 has heard of; None for any other, and for one that
    had no driver yet, or of which the history does not know enough. Raises what the journal raises."""
    if transaction not in journal.kept(NEXT_TABLE):
        return None
    known = journal.summary(transaction)
    if known is None or not known.token or not known.evse or known.start_wh is None or known.start_utc_s is None:
        return None
    event = TransactionStarted(
        transaction, known.evse, known.token, USUAL_KIND, known.start_wh, StartTrigger.AUTHORIZED, offline=True
    )
    return RetoldStart(event, known.start_utc_s, str(uuid.uuid5(uuid.NAMESPACE_OID, transaction)))
