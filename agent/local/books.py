"""The local API's methods about transactions: what was charged, what the network has not got, and trying again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from agent.journal.errors import JournalError
from agent.journal.history import TransactionSummary
from agent.journal.undelivered import Undelivered
from agent.local.methods import Method, observe, operate
from agent.local.rpc import RpcError
from agent.station.documents import moment

MOST = 500
"""Entries in one answer."""


class BooksSource(Protocol):
    """What the methods need of the journal."""

    def transactions(self, limit: int = 100) -> list[TransactionSummary]: ...
    def undelivered(self, limit: int = 100, after: int = 0) -> list[Undelivered]: ...
    def unpark(self, seq: int | None = None) -> int: ...
    def unpark_transaction(self, transaction: str) -> int: ...


def methods(journal: BooksSource, wake: Callable[[], None]) -> dict[str, Method]:
    """``wake`` is called when something was put back into the line."""

    def transactions(limit: int = 50) -> dict[str, Any]:
        """The latest transactions, newest first, each with its records that the network has not got."""
        latest = _asked(lambda: journal.transactions(_bounded(limit)))
        waiting: dict[str, list[Undelivered]] = {}
        others = 0
        known = {summary.transaction for summary in latest}
        for record in _all(journal):
            if record.transaction in known:
                waiting.setdefault(record.transaction, []).append(record)
            else:
                others += 1
        return {
            "transactions": [summary(one, waiting.get(one.transaction, [])) for one in latest],
            "records_of_others": others,
        }

    def retry(id: str | None = None) -> dict[str, int]:  # noqa: A002 (the parameter's name in the API)
        """Offer parked records to the network again: of one transaction, or all."""
        count = _asked(lambda: journal.unpark() if id is None else journal.unpark_transaction(id))
        if not count and id is not None:
            raise RpcError(f"no record of transaction {id[:40]!r} is set aside; 'transactions' lists them")
        wake()
        return {"records": count}

    def export(after: int = 0, limit: int = 100) -> dict[str, Any]:
        """Records that the network has not got, by number above ``after``. ``next``: give it as ``after``; or None."""
        found = _asked(lambda: journal.undelivered(_bounded(limit), max(0, min(after, 1 << 62))))
        return {"records": [record(one) for one in found], "next": found[-1].seq if found else None}

    return {
        "transactions": observe(transactions),
        "transactions.retry": operate(retry),
        "transactions.export": observe(export),
    }


def _bounded(limit: int) -> int:
    return max(1, min(limit, MOST))


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except JournalError as error:
        raise RpcError(str(error)) from error


def _all(journal: BooksSource) -> list[Undelivered]:
    """At most a few thousand: more would stall the agent, and nobody reads them."""
    found: list[Undelivered] = []
    while len(found) < 10 * MOST:
        page = _asked(partial(journal.undelivered, MOST, found[-1].seq if found else 0))
        if not page:
            break
        found += page
    return found


def summary(one: TransactionSummary, records: list[Undelivered]) -> dict[str, Any]:
    parked = [record for record in records if record.parked]
    state = "delivered" if one.delivered and not records else "set aside" if parked else "waiting"
    if not records and not one.delivered:
        state = "open" if one.end_utc_s is None else "waiting"
    return {
        "id": one.transaction,
        "evse": one.evse,
        "network_number": one.network_number,
        "started_at": moment(one.start_utc_s),
        "ended_at": moment(one.end_utc_s),
        "start_wh": one.start_wh,
        "end_wh": one.end_wh,
        "reason": one.reason,
        "state": state,
        "records": len(records),
        "set_aside": len(parked),
        "refused": next((record.reason for record in reversed(parked) if record.reason), ""),
    }


def record(one: Undelivered) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "kind": one.kind,
        "at": moment(one.utc_s),
        "set_aside": one.parked,
        "attempts": one.attempts,
        "refused": one.reason,
        "message_id": one.message_id,
        "event": one.event,
    }
