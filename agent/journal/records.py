"""Records as the journal hands them out."""

from __future__ import annotations

from dataclasses import dataclass

from agent.journal.events import Event, Stamp


@dataclass(frozen=True, slots=True)
class Pending:
    """A record waiting for delivery."""

    seq: int
    event: Event
    stamp: Stamp
    """As written at the time."""
    utc_s: float
    """The stamp's time, corrected by what is known of that boot's clock."""
    attempts: int
    message_id: str
    """Stable per record: each retry carries the same."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that left the line undelivered. It stays on the books until an operator decides."""

    seq: int
    kind: str
    body: str
    utc_s: float
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """What a parked record belongs to."""

    seq: int
    is_start: bool
    transaction: str


@dataclass(frozen=True, slots=True)
class QueueFigures:
    pending: int
    parked: int
    oldest_utc_s: float | None
    """Of the pending ones; None when there are none."""
