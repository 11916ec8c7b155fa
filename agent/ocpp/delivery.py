"""Delivers the journal's records: in order, one at a time, until the network says it has them.

Sent is not delivered: a record leaves the line only with the network's CALLRESULT, in one durable write together with
the transaction number that came with it. A retry carries the same message id, so that a network which remembers ids
takes it once.

OCPP 1.6 §3.7.2: after a CALLERROR or a time-out wait TransactionMessageRetryInterval × tries so far; after
TransactionMessageAttempts tries go on with the next. Two things go further than its text. What used up its tries is
parked, never destroyed, and offered again later (``agent.ocpp.aside``). And a time-out only counts as a try when the
network proves alive right after it (the session sends a heartbeat to learn that): a dead link must not use up tries. A
lost connection never counts.

A durable write takes as long as many a round trip. So the next record is on its way to the network while the one before
is written down as delivered (``settle``): a crash in between sends two records again instead of one, under their ids.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agent.journal.events import (
    Event,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    Trigger,
    Unplugged,
    begins,
)
from agent.ocpp.aside import WAITS, Aside, Offer
from agent.ocpp.ports import JournalPort, PendingRecord
from agent.ocpp.quiet import QuietLog
from agent.ocpp.retold_start import RetoldStart, start_for_2, start_for_16
from agent.ocpp.rpc import Call, Outcome, Priority, Result
from agent.ocpp.told_numbers import ToldNumbers
from agent.ocpp.told_times import ToldTimes
from agent.station.settings import Settings
from agent.station.tokens import USUAL_KIND, Token, TokenInfo

LOGGER = logging.getLogger(__name__)

BATCH = 16
"""Records read ahead."""

_GRANTS = (Trigger.AUTHORIZED, Trigger.REMOTE_START)

JOURNAL_RETRY_S = 5.0
"""After the journal failed (disk full, read-only), before it is asked again."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A record as a message of the OCPP version in use."""

    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an answer to a record says. ``problem`` not empty: it is of no use and counts as a refusal."""

    number: int | None = None
    """The network's number of the transaction."""
    info: TokenInfo | None = None
    """What the network says of the token that the record names."""
    problem: str = ""
    told: Mapping[str, Any] | None = None
    """All of the answer, where it may say more (OCPP 2: cost, priority, limits)."""


class Renderer(Protocol):
    """One OCPP version's words for records."""

    numbers_messages: bool
    """Transactions are named by us, and their messages have numbers (OCPP 2). Else the network numbers transactions,
    and each message names the one it belongs to (1.6)."""

    def numbered(self, event: Event) -> bool:
        """Tell whether the event becomes a message with a number of its own."""

    def render(self, event: Event, utc_s: float, number: int | None) -> Rendered | None:
        """Return the message, or None when this version has none. ``number``: of the message, or (1.6) of the
        transaction, None if unknown."""

    def receipt(self, event: Event, payload: Mapping[str, Any]) -> Receipt: ...


class Delivery:
    """Feeds records to the RPC engine one by one. Pure but for the journal; times are monotonic seconds."""

    def __init__(
        self,
        journal: JournalPort,
        settings: Settings,
        renderer: Renderer,
        started: Callable[[str, TokenInfo], None],
        overlap: bool = False,
        token_told: Callable[[Token, TokenInfo], None] = lambda _token, _info: None,
    ) -> None:
        """``started(transaction, info)`` is called after the network took note of a start, ``token_told(token, info)``
        when its answer to an end says something of the token that ended it.

        ``overlap``: the caller calls ``settle`` once the next message is sent; else each answer is settled at once.
        """
        self._overlap = overlap
        self._journal = journal
        self._settings = settings
        self._renderer = renderer
        self._started = started
        self._token_told = token_told
        self._aside = Aside(journal, together=not renderer.numbers_messages)
        self._told = ToldTimes(journal)
        self._numbers = ToldNumbers(
            journal, renderer.numbered, lambda transaction: start_for_2(journal, transaction) is not None
        )
        self._offline_up_to = self._newest()
        """Records up to this one were made, or were left over, while the network was away (2.0.1 E11.FR.07)."""
        self.answered: Callable[[Event, Mapping[str, Any]], None] = lambda _event, _payload: None
        """Called with each answer that says something, once that is durable."""
        self._batch: deque[PendingRecord] = deque()
        self._flying: PendingRecord | None = None
        self._doubtful: PendingRecord | None = None
        self._unmarked: list[tuple[PendingRecord, Receipt]] = []
        """Answered, and not yet written down. Never sent again by this process, whatever the disk does."""
        self._stuck = False
        """The last try to write them down failed."""
        self._resume_at: float | None = None
        self._exhausted = False
        self._quiet = QuietLog(LOGGER)

    # ---- what the session asks ----

    @property
    def needs_proof(self) -> bool:
        """A record timed out: find out whether the network is alive and say so by ``proved_alive``."""
        return self._doubtful is not None

    def wake(self) -> None:
        """Something was appended to the journal."""
        self._exhausted = False

    def reread(self) -> None:
        """What is known of the journal's records (their true time) may have changed."""
        self._batch.clear()
        self._told.clock_corrected()

    def next_wake(self) -> float | None:
        """When ``next_call`` may have something again, in monotonic seconds; None: when woken."""
        if self._flying is not None or self._doubtful is not None:
            return None
        if not self._exhausted or (self._resume_at is not None and self._unmarked):
            return self._resume_at
        return max(self._aside.due_at(), self._resume_at or 0.0)

    def next_call(self, now: float) -> Call | None:
        """Return the next record's call when it is due. Ask only while no other call is open."""
        if self._flying is not None or self._doubtful is not None:
            return None
        if self._resume_at is not None:
            if now < self._resume_at:
                return None
            self._resume_at = None
        if self._exhausted and now >= self._aside.due_at():
            self._exhausted = False
        try:
            return self._next_call(now)
        except Exception as error:  # noqa: BLE001 (whatever the disk does, the tunnel stays up)
            self._journal_failed(error, now)
            return None

    def lost(self) -> None:
        """The connection is gone. What was on its way is sent again, and its try does not count."""
        self._flying = None
        self._doubtful = None
        self._batch.clear()
        self._exhausted = False
        self._aside.reconnected()
        self._offline_up_to = max(self._offline_up_to, self._newest())

    def _newest(self) -> int:
        try:
            return self._journal.newest()
        except Exception:  # noqa: BLE001 (what cannot be read now is not offline for that)
            return 0

    def waits(self, transaction: str = "", now: float = 0.0) -> bool:
        """Tell whether the network has still to get something, of one transaction or (empty) of any."""
        self.settle(now)
        return self._journal.waits(transaction)

    def proved_alive(self, now: float) -> None:
        """The network answered something else after a record timed out: so that try counts."""
        record, self._doubtful = self._doubtful, None
        if record is not None:
            self._failed(record, "no answer within the time-out", now)

    # ---- sending ----

    def _next_call(self, now: float) -> Call | None:
        if self._stuck or len(self._unmarked) > 1:
            self._mark()
        while not self._exhausted:
            offer = self._aside.offer(now)
            if offer is Offer.LOOKING:
                self._resume_at = now
                return None
            if offer is Offer.MOVED:
                self._batch.clear()
            if not self._batch:
                self._mark()  # or they would be read again
                self._batch.extend(self._journal.pending(BATCH))
                if not self._batch:
                    self._exhausted = True
                    return None
                self._told.note(self._batch)
                self._numbers.note(self._batch)
            record = self._batch[0]
            if self._aside.holds(record):
                self._hold_back()
                continue
            if self._aside.precede(record):
                self._batch.clear()
                continue
            call = self._call(record, now)
            if call is not None:
                self._flying = record
                return call
            self._batch.popleft()
        return None

    def _call(self, record: PendingRecord, now: float) -> Call | None:
        event = record.event
        numbered = self._renderer.numbers_messages
        number = self._numbers.of(record) if numbered else self._number(event.transaction)
        if record.seq <= self._offline_up_to and not isinstance(event, Unplugged):
            event = replace(event, offline=True)
        try:
            rendered = self._renderer.render(event, self._told.of(record), number)
        except (ValueError, TypeError, ArithmeticError) as error:
            self._set_aside(record, f"cannot be sent: {error}", now)
            return None
        if rendered is None:
            self._journal.delivered(record.seq)
            return None
        start = self._owed_start(event, number)
        if start is not None:
            return self._start_again(record, start)

        def done(outcome: Outcome, now: float) -> None:
            self._done(record, outcome, now)

        return Call(
            rendered.action,
            rendered.payload,
            Priority.TRANSACTION,
            done,
            record.message_id,
            takes_late_answer=True,
        )

    def _owed_start(self, event: Event, number: int | None) -> RetoldStart | None:
        """The start that this network lacks, and must have before the event."""
        if self._renderer.numbers_messages:
            owed = self._numbers.owes_start(event.transaction)
            return start_for_2(self._journal, event.transaction) if owed else None
        if number is not None or begins(event):
            return None
        return start_for_16(self._journal, event.transaction)

    def _start_again(self, record: PendingRecord, start: RetoldStart) -> Call | None:
        """The start that ``record`` needs; the record itself follows when it has its number."""
        rendered = self._renderer.render(start.event, start.utc_s, 0 if self._renderer.numbers_messages else None)
        if rendered is None:
            return None

        def done(outcome: Outcome, now: float) -> None:
            if outcome.result is not Result.ANSWERED:
                self._done(record, outcome, now)
                return
            self._flying = self._doubtful = None
            receipt = self._renderer.receipt(start.event, outcome.payload)
            if receipt.problem:
                self._failed(record, receipt.problem, now)
                return
            try:
                if receipt.number is not None:
                    self._journal.set_network_transaction(start.event.transaction, receipt.number)
                if self._renderer.numbers_messages:
                    self._numbers.start_told(start.event.transaction)
            except Exception as error:  # noqa: BLE001 (as in next_call)
                self._journal_failed(error, now)
                return
            if receipt.info is not None:
                self._learn(start.event, receipt.info)

        return Call(
            rendered.action, rendered.payload, Priority.TRANSACTION, done, start.message_id, takes_late_answer=True
        )

    def _hold_back(self) -> None:
        """Park what waits for a parked start, all that was read ahead in one write."""
        held = [record for record in self._batch if self._aside.holds(record)]
        with self._journal.write():
            for record in held:
                self._journal.park(record.seq, WAITS)
        for record in held:
            self._aside.stepped_aside(record)
        self._batch = deque(record for record in self._batch if record not in held)

    def _number(self, transaction: str) -> int | None:
        for record, receipt in self._unmarked:
            if record.event.transaction == transaction and receipt.number is not None:
                return receipt.number
        return self._journal.network_transaction(transaction)

    def refused_by_ourselves(self, error: ValueError, now: float) -> None:
        """The call last returned broke its schema, so it was not sent."""
        record, self._flying = self._flying, None
        if record is not None:
            self._drop_from_batch(record)
            try:
                self._set_aside(record, f"cannot be sent: {error}", now)
            except Exception as failure:  # noqa: BLE001 (as in next_call)
                self._journal_failed(failure, now)

    # ---- answers ----

    def _done(self, record: PendingRecord, outcome: Outcome, now: float) -> None:
        if outcome.late and outcome.result is not Result.ANSWERED:
            return  # that try has been counted
        if self._flying is record:
            self._flying = None
        if outcome.result is Result.TIMED_OUT:
            self._doubtful = record
        elif outcome.result is Result.ANSWERED:
            receipt = self._renderer.receipt(record.event, outcome.payload)
            if receipt.problem:
                self._failed(record, receipt.problem, now)
            else:
                self._answered(record, receipt, now)
        elif outcome.result is Result.REFUSED:
            self._failed(record, f"{outcome.code}: {outcome.description}", now)

    def _answered(self, record: PendingRecord, receipt: Receipt, now: float) -> None:
        if self._doubtful is record:
            self._doubtful = None
        if self._batch and self._batch[0].seq == record.seq:
            self._batch.popleft()
            self._resume_at = None
        self._unmarked.append((record, receipt))
        if not self._overlap or self._is_waited_for(record):
            self.settle(now)

    def _is_waited_for(self, record: PendingRecord) -> bool:
        """What comes back with this record goes before anything newer, so nothing may be sent meanwhile."""
        try:
            return self._aside.waited_for(record)
        except Exception:  # noqa: BLE001 (the journal cannot be read: writing to it will say so)
            return True

    def settle(self, now: float) -> None:
        """Write down what the network has answered."""
        if self._stuck:
            return  # tried again when it is time
        try:
            self._mark()
        except Exception as error:  # noqa: BLE001 (as in next_call)
            self._journal_failed(error, now)

    def _mark(self) -> None:
        if not self._unmarked:
            return
        self._stuck = True
        released = False
        with self._journal.write():
            for record, receipt in self._unmarked:
                if receipt.number is not None:
                    self._journal.set_network_transaction(record.event.transaction, receipt.number)
                self._journal.delivered(record.seq)
                self._told.forget(record)
                self._numbers.forget(record)
                released = self._aside.release(record) or released
        self._stuck = False
        if released:
            self._batch.clear()
            self._exhausted = False
        marked, self._unmarked = self._unmarked, []
        for record, receipt in marked:
            self._aside.delivered(record)
            if receipt.info is not None:
                self._learn(record.event, receipt.info)
            if receipt.told is not None:
                self.answered(record.event, receipt.told)

    def _learn(self, event: Event, info: TokenInfo) -> None:
        """The network has judged a token: the one that charges, or the one that ended a charge."""
        granted = isinstance(event, TransactionUpdated) and event.trigger in _GRANTS
        if isinstance(event, TransactionStarted) or begins(event) or granted:
            self._started(event.transaction, info)
        elif isinstance(event, TransactionEnded | TransactionUpdated) and event.token:
            self._token_told(Token(event.token, event.token_kind or USUAL_KIND), info)

    def _failed(self, record: PendingRecord, why: str, now: float) -> None:
        self._doubtful = None
        try:
            tries = self._journal.attempt_failed(record.seq, why[:500])
            if tries >= self._settings.integer("OCPPCommCtrlr.MessageAttempts") or self._aside.one_try(record):
                self._set_aside(record, why, now)
                self._drop_from_batch(record)
                return
        except Exception as error:  # noqa: BLE001 (as in next_call)
            self._journal_failed(error, now)
            return
        self._aside.refused(record)
        # OCPP 1.6 §3.7.2
        self._resume_at = now + self._settings.integer("OCPPCommCtrlr.MessageAttemptInterval") * tries

    def _set_aside(self, record: PendingRecord, why: str, now: float) -> None:
        text = f"record {record.seq} leaves the line and stays on the books: {why[:200]!a}"
        self._quiet.log("set_aside", now, text, logging.ERROR)
        self._journal.park(record.seq, why[:500])
        self._aside.stepped_aside(record)

    def _drop_from_batch(self, record: PendingRecord) -> None:
        if self._batch and self._batch[0].seq == record.seq:
            self._batch.popleft()

    def _journal_failed(self, error: Exception, now: float) -> None:
        self._quiet.log("journal", now, f"the journal failed, delivery waits: {type(error).__name__}: {error}")
        self._batch.clear()
        self._resume_at = now + JOURNAL_RETRY_S
