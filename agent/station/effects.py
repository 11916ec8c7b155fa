"""What the station wants done. The station itself does no I/O: it returns effects, in order.

The shell (``agent.app``) carries them out in the order *write, act, send*: all ``Record`` and ``Keep`` effects of one
step go into one journal commit; only when that is durable do the others happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.journal.events import Event, SampledValue, Stamp
from agent.link.messages import ToControl
from agent.station.commands import ResetKind, StatusReport, UnlockAnswer
from agent.station.documents import DisplayDocument
from agent.station.tokens import Token


@dataclass(frozen=True, slots=True)
class Record:
    """Append this event to the journal, to be delivered."""

    event: Event
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Keep:
    """Store (or with ``value`` None forget) a document of the station's own state under (table, key).

    Tables: "session" (one per EVSE with a session), "availability", "setting", "token" (authorisation cache),
    "charging_profile", "reservation", "price", "station", "fault". Values are JSON-ready.
    """

    table: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message to control."""

    message: ToControl


@dataclass(frozen=True, slots=True)
class AskAuthorisation:
    """Ask the network about a token; answer with ``Station.authorisation_answered``."""

    request: int
    token: Token


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """Tell the network the state of an EVSE. Not recorded: after an offline spell only the current one counts."""

    report: StatusReport


@dataclass(frozen=True, slots=True)
class ReportMeter:
    """Tell the network clock-aligned values of an EVSE without a transaction. Not recorded."""

    evse: int
    at_utc_s: float
    samples: tuple[SampledValue, ...]


@dataclass(frozen=True, slots=True)
class AnswerUnlock:
    """The outcome of ``Station.unlock`` with this request number."""

    request: int
    answer: UnlockAnswer


@dataclass(frozen=True, slots=True)
class Restart:
    """Leave; the service manager (or supervisor) starts the agent afresh."""

    kind: ResetKind


@dataclass(frozen=True, slots=True)
class NewsForNetwork:
    """A part of the station has something for the network that is told when it asks for it."""


@dataclass(frozen=True, slots=True)
class ShowMessages:
    """What the driver is shown at an EVSE has changed."""

    document: DisplayDocument


@dataclass(frozen=True, slots=True)
class Tampered:
    """Somebody opened or tilted the charge point: a security event."""

    detail: str


Effect = (
    Record
    | Keep
    | Send
    | AskAuthorisation
    | ReportStatus
    | ReportMeter
    | AnswerUnlock
    | Restart
    | NewsForNetwork
    | ShowMessages
    | Tampered
)
