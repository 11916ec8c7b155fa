"""What to do with records that used up their tries: hold together what belongs together, and offer it again.

A record that the network refuses for good steps aside so that others pass. It stays on the books. Two rules:

- Without its start a transaction has no number, and what follows would be booked nowhere. So when a start steps aside,
  the rest of its transaction does too, and comes back with it, in order.
- All of it is offered again: after each reconnect, but not more often than every ``OFFER_GAP_S``, and every
  ``OFFER_EVERY_S`` on a connection that stands. It goes before the line, because it is older: so a network that was
  repaired gets each transaction in order. One try each, and after ``REFUSALS`` refusals the line goes on and the rest
  has its turn next time: so a network that still refuses holds nobody up.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

from agent.journal.events import TransactionStarted
from agent.ocpp.ports import JournalPort, ParkedKey, PendingRecord

OFFER_GAP_S = 600.0
OFFER_EVERY_S = 6 * 3600.0
REFUSALS = 5

WAITS = "waits for the start of its transaction, which the network refused"

_CHUNK = 50
"""Parked records looked at in one go."""


class Offer(Enum):
    NOTHING = "nothing"
    """Nothing is to be offered now."""
    LOOKING = "looking"
    """There may be more: ask again, but let others run first."""
    MOVED = "moved"
    """A record is back in the line."""


class Aside:
    """Pure but for the journal, whose errors it passes on. Times are monotonic seconds."""

    def __init__(self, journal: JournalPort) -> None:
        self._journal = journal
        self._held: set[str] | None = None
        """Transactions whose start is parked, or that wait for theirs; read when first needed."""
        self._reconnected = True
        self._began_at = -math.inf
        self._passing = False
        self._cursor = 0
        self._chunk: deque[ParkedKey] = deque()
        self._more = False
        self._rest = False
        """The pass began in the middle."""
        self._offered: set[int] = set()
        self._fresh: set[int] = set()
        """Parked on the present connection: a reconnect before does not speak for them."""
        self._spared: set[int] = set()
        """What the present pass leaves out."""
        self._refusals = 0

    def reconnected(self) -> None:
        self._reconnected = True
        self._fresh.clear()

    def stepped_aside(self, record: PendingRecord) -> None:
        """The record has just been parked."""
        if record.seq in self._offered:
            self._offered.remove(record.seq)
            self._refusals += 1
        self._fresh.add(record.seq)
        if isinstance(record.event, TransactionStarted):
            self._transactions().add(record.event.transaction)

    def holds(self, record: PendingRecord) -> bool:
        """Tell whether the record has to wait for a start that is parked."""
        event = record.event
        return (
            not isinstance(event, TransactionStarted)
            and event.transaction in self._transactions()
            and self._journal.network_transaction(event.transaction) is None
        )

    def waited_for(self, record: PendingRecord) -> bool:
        """Tell whether others wait for this record."""
        return isinstance(record.event, TransactionStarted) and record.event.transaction in self._transactions()

    def release(self, record: PendingRecord) -> bool:
        """The record was delivered: bring back what waited for it. Call inside a write."""
        self._offered.discard(record.seq)
        return self.waited_for(record) and self._journal.unpark_transaction(record.event.transaction) > 0

    def one_try(self, record: PendingRecord) -> bool:
        return record.seq in self._offered

    def due_at(self) -> float:
        """When parked records are to be offered again."""
        if self._passing:
            return self._began_at
        return self._began_at + (OFFER_GAP_S if self._reconnected else OFFER_EVERY_S)

    def offer(self, now: float) -> Offer:
        """Put the next parked record back into the line, in front. Ask only while nothing is on its way."""
        if now < self.due_at():
            return Offer.NOTHING
        if not self._passing:
            self._held = self._journal.held_transactions(WAITS)
            self._spared = self._fresh.copy() if self._reconnected else set()
            self._passing, self._reconnected, self._began_at = True, False, now
            self._chunk.clear()
            self._more, self._refusals, self._rest = True, 0, self._cursor > 0
        elif self._refusals >= REFUSALS:
            self._passing = False
            return Offer.NOTHING
        if not self._chunk and self._more:
            self._chunk.extend(self._journal.parked_keys(_CHUNK, self._cursor))
            self._more = len(self._chunk) == _CHUNK
        while self._chunk:
            key = self._chunk.popleft()
            self._cursor = key.seq
            free = (key.is_start or key.transaction not in self._transactions()) and key.seq not in self._spared
            if free and self._journal.unpark(key.seq):
                self._offered.add(key.seq)
                return Offer.MOVED
        if not self._more:
            # An earlier pass was broken off here: what lies before had its turn then, and has it now as well.
            self._cursor, self._more, self._rest = 0, self._rest, False
            self._passing = self._more
        return Offer.LOOKING if self._more else Offer.NOTHING

    def _transactions(self) -> set[str]:
        if self._held is None:
            self._held = self._journal.held_transactions(WAITS)
        return self._held
