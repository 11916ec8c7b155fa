"""The number of each message within its transaction: OCPP 2's seqNo (part 2, E 1.3.2.1).

A network takes a gap between the numbers for a message that is lost. So a record gets its number when it is read to be
sent, not when it is recorded: what is thinned out before (E04.FR.07, E12.FR.04) leaves no gap, and neither does what
this version has no message for. The number is durable before the message leaves, each retry carries the same, and a
record that has one is not thinned out any more (``agent.journal.space``). A message that used up its tries leaves a
gap, and rightly so (E13.FR.04): the network does lack it.

The count of a transaction begins at 0 and is forgotten when the network has its end. Where another version of OCPP took
the start, or had no word for it, number 0 is left for the start, which is told once more (``agent.ocpp.retold_start``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.journal.events import Event, TransactionEnded, TransactionStarted
from agent.ocpp.ports import JournalPort, PendingRecord

TABLE = "seq_no"
"""By record. ``agent.journal.space`` knows this name."""
NEXT_TABLE = "seq_next"
"""By transaction: the number that comes next."""
OWED_TABLE = "seq_owed"
"""Transactions whose start has number 0 and is yet to be told."""


class ToldNumbers:
    """Pure but for the journal, whose errors it passes on. ``numbered``: which events have one; ``retellable``: the
    start of a transaction can be told from the history."""

    def __init__(
        self,
        journal: JournalPort,
        numbered: Callable[[Event], bool],
        retellable: Callable[[str], bool] = lambda _transaction: False,
    ) -> None:
        self._journal = journal
        self._numbered = numbered
        self._retellable = retellable
        self._known: dict[int, int] | None = None
        self._next: dict[str, int] = {}
        self._owed: set[str] = set()

    def note(self, records: Iterable[PendingRecord]) -> None:
        """These will be sent next: give each its number, in one write."""
        known = self._read()
        new = [record for record in records if record.seq not in known and self._numbered(record.event)]
        if not new:
            return
        given: dict[int, int] = {}
        following: dict[str, int] = {}
        owed: set[str] = set()
        for record in new:
            transaction = record.event.transaction
            begun = (
                transaction in following or transaction in self._next or isinstance(record.event, TransactionStarted)
            )
            if not begun and self._retellable(transaction):
                following[transaction] = 1
                owed.add(transaction)
            number = following.get(transaction, self._next.get(transaction, 0))
            given[record.seq], following[transaction] = number, number + 1
        with self._journal.write():
            for seq, number in given.items():
                self._journal.keep(TABLE, str(seq), number)
            for transaction, number in following.items():
                self._journal.keep(NEXT_TABLE, transaction, number)
            for transaction in owed:
                self._journal.keep(OWED_TABLE, transaction, True)
        self._owed |= owed
        known.update(given)
        self._next.update(following)

    def of(self, record: PendingRecord) -> int | None:
        return self._read().get(record.seq)

    def owes_start(self, transaction: str) -> bool:
        """Tell whether the start of this transaction comes before anything else of it."""
        self._read()
        return transaction in self._owed

    def start_told(self, transaction: str) -> None:
        self._journal.keep(OWED_TABLE, transaction, None)
        self._owed.discard(transaction)

    def forget(self, record: PendingRecord) -> None:
        """It was delivered. Call inside a write."""
        if record.seq in self._read():
            self._journal.keep(TABLE, str(record.seq), None)
        if isinstance(record.event, TransactionEnded):
            self._journal.keep(NEXT_TABLE, record.event.transaction, None)
            self._journal.keep(OWED_TABLE, record.event.transaction, None)

    def _read(self) -> dict[int, int]:
        if self._known is None:
            self._known = {int(seq): int(n) for seq, n in self._journal.kept(TABLE).items() if seq.isdecimal()}
            self._next = {transaction: int(n) for transaction, n in self._journal.kept(NEXT_TABLE).items()}
            self._owed = set(self._journal.kept(OWED_TABLE))
        return self._known
