"""What to do with records that used up their tries: hold together what belongs together, and offer it again.

A record that the network refuses for good steps aside so that others pass. It stays on the books. The rules:

- Without its start a transaction has no number, and what follows would be booked nowhere. So when a start steps aside,
  the rest of its transaction does too, and comes back with it, in order.
- Before each try of a record the oldest parked one of its transaction has another, and when the network takes that,
  the others come first too: a network that was repaired gets them in order even where nothing tells us that it was.
  OCPP 2 names and numbers everything by itself: neither of the two rules is needed there, and E13.FR.04 wants the next
  message to follow at once.
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

_ALL = 10**9
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

    def __init__(self, journal: JournalPort, *, together: bool = True) -> None:
        """``together``: nothing of a transaction can be told without what came before it."""
        self._journal = journal
        self._together = together
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
        self._refused: set[str] = set()
        """Transactions that had their try in the present pass, in vain."""
        self._parked: dict[str, set[int]] | None = None
        """Numbers of all parked records by transaction; read when first needed."""
        self._preceded: set[int] = set()
        """Records before which an older one had its try."""
        self._probes: set[int] = set()

    def reconnected(self) -> None:
        self._reconnected = True
        self._fresh.clear()

    def stepped_aside(self, record: PendingRecord) -> None:
        """The record has just been parked."""
        if record.seq in self._offered:
            self._offered.remove(record.seq)
            self._refusals += 1
            self._refused.add(record.event.transaction)
        self._fresh.add(record.seq)
        self._probes.discard(record.seq)
        self._preceded.discard(record.seq)
        self._by_transaction().setdefault(record.event.transaction, set()).add(record.seq)
        if isinstance(record.event, TransactionStarted):
            self._transactions().add(record.event.transaction)

    def holds(self, record: PendingRecord) -> bool:
        """Tell whether the record has to wait for a start that is parked."""
        event = record.event
        return (
            self._together
            and not isinstance(event, TransactionStarted)
            and event.transaction in self._transactions()
            and self._journal.network_transaction(event.transaction) is None
        )

    def precede(self, record: PendingRecord) -> bool:
        """Put the oldest parked record of the same transaction into the line before this one. False: there is none."""
        if not self._together or record.seq in self._offered or record.seq in self._preceded:
            return False
        older = [seq for seq in self._by_transaction().get(record.event.transaction, ()) if seq < record.seq]
        if not older:
            return False
        self._preceded.add(record.seq)
        return self._probe(record.event.transaction, min(older))

    def _probe(self, transaction: str, seq: int) -> bool:
        """Put one parked record back; when it is taken, the rest of its transaction follows."""
        self._by_transaction()[transaction].discard(seq)
        if not self._journal.unpark(seq):
            return False
        self._offered.add(seq)
        self._probes.add(seq)
        return True

    def refused(self, record: PendingRecord) -> None:
        """The record will be tried again: the oldest one goes before it again."""
        self._preceded.discard(record.seq)

    def waited_for(self, record: PendingRecord) -> bool:
        """Tell whether others come back once this record is delivered."""
        if record.seq in self._probes:
            return True
        return isinstance(record.event, TransactionStarted) and record.event.transaction in self._transactions()

    def release(self, record: PendingRecord) -> bool:
        """The record was delivered: bring back what waited for it. Call inside a write."""
        if not self.waited_for(record):
            return False
        others = self._by_transaction().get(record.event.transaction, set())
        self._offered |= others if record.seq in self._probes else set()
        return self._journal.unpark_transaction(record.event.transaction) > 0

    def delivered(self, record: PendingRecord) -> None:
        """The record is off the line, for good."""
        if self.waited_for(record):
            self._by_transaction().pop(record.event.transaction, None)
        for seqs in (self._offered, self._probes, self._preceded, self._fresh):
            seqs.discard(record.seq)

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
            self._refused.clear()
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
            if key.transaction in self._refused:
                continue
            oldest = min(self._by_transaction().get(key.transaction, ()), default=None)
            if oldest is not None and oldest not in self._spared and self._probe(key.transaction, oldest):
                return Offer.MOVED
        if not self._more:
            # An earlier pass was broken off here: what lies before had its turn then, and has it now as well.
            self._cursor, self._more, self._rest = 0, self._rest, False
            self._passing = self._more
        return Offer.LOOKING if self._more else Offer.NOTHING

    def _by_transaction(self) -> dict[str, set[int]]:
        if self._parked is None:
            self._parked = {}
            for key in self._journal.parked_keys(_ALL):
                self._parked.setdefault(key.transaction, set()).add(key.seq)
        return self._parked

    def _transactions(self) -> set[str]:
        if self._held is None:
            self._held = self._journal.held_transactions(WAITS)
        return self._held
