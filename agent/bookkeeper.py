"""Writes what the station wants on the books, and keeps what the disk does not take until it does.

While the journal cannot be written nothing is forgotten: entries wait in memory, in order, the last state of each
document once. Whether new transactions begin meanwhile is the configuration's choice; running ones go on either way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.config.schema import JournalFailure
from agent.journal.events import (
    MeterSampled,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
    begins,
)
from agent.journal.journal import Journal, JournalError, QueueFigures
from agent.journal.thinning import Line, Walk, level
from agent.link.messages import Permit, ToControl
from agent.link.signing import SignedKept
from agent.station.books import Books
from agent.station.effects import Keep, Record

log = logging.getLogger(__name__)

Entry = Record | Keep

RETRY_S = 2.0
"""Between tries while the disk refuses."""

TELL_S = 300.0
"""Between two lines of log about the same trouble."""

MOST_WAITING = 4000
"""Entries in memory from which on samples among them are thinned out."""


class Bookkeeper:
    """``now`` gives monotonic seconds."""

    def __init__(self, journal: Journal, policy: JournalFailure, now: Callable[[], float]) -> None:
        self._journal = journal
        self._policy = policy
        self._now = now
        self._waiting: list[Entry] = []
        self._trouble = ""
        self._tried_at = 0.0
        self._told_at = 0.0

    @property
    def retry_at(self) -> float | None:
        """When ``write([])`` should be called again; None while nothing waits."""
        return self._tried_at + RETRY_S if self._waiting or self._journal.damaged else None

    @property
    def waiting(self) -> int:
        """Entries in memory."""
        return len(self._waiting)

    def figures(self) -> QueueFigures:
        """How much the network has not got: the journal's figures, and the events that wait in memory."""
        figures = self._journal.figures()
        unwritten = sum(isinstance(entry, Record) for entry in self._waiting)
        return replace(figures, pending=figures.pending + unwritten)

    def write(self, entries: Sequence[Entry], *, last: bool = False) -> bool:
        """Make all that waits durable in one commit. True when events were among what was written now.

        ``last``: try even if the last failure was only just now.
        """
        self._waiting += entries
        if self._trouble and not last and self._now() < self._tried_at + RETRY_S:
            return False
        if self._journal.damaged:
            self._repair()
        if not self._waiting:
            self._trouble = self._trouble if self._journal.damaged else ""
            return False
        try:
            if self._trouble:
                # Hours of entries are not offered again and again to a disk that takes not even this.
                self._journal.keep("journal", "probe", self._now())
            with self._journal.write():
                for entry in self._waiting:
                    if isinstance(entry, Record):
                        self._journal.append(entry.event, entry.stamp)
                    else:
                        self._journal.keep(entry.table, entry.key, entry.value)
        except JournalError as error:
            self._failed(str(error))
            return False
        recorded = any(isinstance(entry, Record) for entry in self._waiting)
        if self._trouble:
            log.warning("journal: written again; %d entries that waited in memory are durable", len(self._waiting))
        self._waiting, self._trouble = [], ""
        if recorded:
            self._make_room()
        return recorded

    def keeps_back(self, message: ToControl) -> bool:
        """Control is not to hear this yet: what it allows or confirms is not on the disk."""
        if isinstance(message, Permit):
            return self.withholds(message.transaction)
        # A meter must not forget what we have in memory only; it hands it out again.
        return isinstance(message, SignedKept) and bool(self._waiting)

    def withholds(self, transaction: str) -> bool:
        """No energy for a transaction whose start, or whose driver, is not on the books yet, unless the configuration
        wants it."""
        return self._policy is JournalFailure.REFUSE and any(_allows(entry, transaction) for entry in self._waiting)

    @property
    def books(self) -> Books:
        """What to tell about it, the gravest first."""
        journal = self._journal
        if self._trouble:
            closed = self._policy is JournalFailure.REFUSE
            return Books(
                "journal_unwritable",
                "the disk takes no records" + (", so no charge may begin" if closed else ""),
                "free space on its partition, or replace the storage; see the log",
                closed,
            )
        if journal.quarantined is not None or journal.unreadable:
            text = "the journal was damaged; what could be read of it was kept"
            return Books("journal_damaged", text, "replace the storage if this repeats")
        if journal.crowded:
            return Books("journal_crowded", "the journal is larger than it should be", "restore the uplink")
        if journal.thinned:
            return Books(
                "journal_thinned", "meter samples are thinned out evenly for want of room", "restore the uplink"
            )
        return Books()

    def _repair(self) -> None:
        try:
            self._journal.repair()
        except JournalError as error:
            self._failed(str(error))

    def _failed(self, why: str) -> None:
        now = self._now()
        self._tried_at = now
        if not self._trouble or now >= self._told_at + TELL_S:
            self._told_at = now
            log.error("journal: %s; %d entries wait in memory", why, len(self._waiting))
        self._trouble = why
        self._waiting = compact(self._waiting)

    def _make_room(self) -> None:
        try:
            self._journal.make_room()
        except JournalError as error:
            log.warning("journal: making room: %s", error)


def compact(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out documents that a later entry replaces and, when it is very many, samples evenly."""
    latest = {(entry.table, entry.key): index for index, entry in enumerate(entries) if isinstance(entry, Keep)}
    left: list[Entry] = [
        entry
        for index, entry in enumerate(entries)
        if isinstance(entry, Record) or latest[entry.table, entry.key] == index
    ]
    if len(left) <= MOST_WAITING:
        return left
    lines = {index: _line(index, entry) for index, entry in enumerate(left) if isinstance(entry, Record)}
    level_s = level(lines.values())
    if level_s is None:
        return left
    walk = Walk(level_s)
    gone = {index for index, line in lines.items() if walk.drops(line)}
    log.warning("journal: %d samples that waited in memory were thinned out", len(gone))
    return [entry for index, entry in enumerate(left) if index not in gone]


def _line(index: int, entry: Record) -> Line:
    event, stamp = entry.event, entry.stamp
    line = Line(index, event.transaction, hash(stamp.boot), stamp.monotonic_s, isinstance(event, MeterSampled))
    return replace(line, ended=isinstance(event, TransactionEnded))


def _allows(entry: Entry, transaction: str) -> bool:
    """True for what must be durable before energy flows in this transaction: its start, the word of who charges, and
    the session's document where the network is told of it only when energy flows (TxStartPoint EnergyTransfer)."""
    if isinstance(entry, Keep):
        document = entry.value
        untold = isinstance(document, Mapping) and document.get("told") is False
        return entry.table == "session" and untold and document.get("transaction") == transaction
    event = entry.event
    if event.transaction != transaction:
        return False
    granted = isinstance(event, TransactionUpdated) and event.trigger in (Trigger.AUTHORIZED, Trigger.REMOTE_START)
    return isinstance(event, TransactionStarted) or begins(event) or granted
