"""The time under which a start is told, kept from its first try to its delivery.

OCPP 1.6 has no identity of a transaction until the start is answered: a network knows a repeated StartTransaction by
its content. Were the clock corrected between two tries, the second would carry another time and be booked as another
transaction. So the time is written down before a start is first sent, and each try carries it, also after a restart.
(What follows a start names the transaction's number, and a corrected time does no harm there.)
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.journal.events import TransactionStarted
from agent.ocpp.ports import JournalPort, PendingRecord

TABLE = "told"


class ToldTimes:
    """Pure but for the journal, whose errors it passes on."""

    def __init__(self, journal: JournalPort) -> None:
        self._journal = journal
        self._times: dict[int, float] | None = None
        self._perhaps_sent: set[int] = set()

    def note(self, records: Iterable[PendingRecord]) -> None:
        """These will be sent next: write down the times of the starts among them, in one write."""
        known = self._known()
        new = {r.seq: r.utc_s for r in records if isinstance(r.event, TransactionStarted) and r.seq not in known}
        if not new:
            return
        with self._journal.write():
            for seq, utc_s in new.items():
                self._journal.keep(TABLE, str(seq), utc_s)
        known.update(new)

    def of(self, record: PendingRecord) -> float:
        """Return the time to tell, in seconds since 1970; from now on it stands."""
        known = self._known()
        if record.seq not in known:
            return record.utc_s
        self._perhaps_sent.add(record.seq)
        return known[record.seq]

    def forget(self, record: PendingRecord) -> None:
        """It was delivered. Call inside a write."""
        if record.seq in self._known():
            self._journal.keep(TABLE, str(record.seq), None)

    def clock_corrected(self) -> None:
        """What was noted and certainly not sent takes its new time."""
        if self._times is not None:
            self._times = {seq: utc_s for seq, utc_s in self._times.items() if seq in self._perhaps_sent}

    def _known(self) -> dict[int, float]:
        if self._times is None:
            kept = self._journal.kept(TABLE)
            self._times = {int(seq): float(utc_s) for seq, utc_s in kept.items() if seq.isdecimal()}
            self._perhaps_sent = set(self._times)
        return self._times
