"""What the two processes tell each other of meters that sign. Part of the vocabulary of ``agent.link.messages``.

Wishes and facts, not dialogues: a wish may be told again at any time, and a signed set is told again until the agent
has said that it keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BeginSigning:
    """Agent → control. Sign for this transaction. The words are OCMF's (``hal.values.SigningSession``)."""

    evse: int
    transaction: str
    identified: bool
    level: str
    flags: tuple[str, ...]
    id_type: str
    id_data: str
    point: str


@dataclass(frozen=True, slots=True)
class SignReading:
    """Agent → control. Sign the reading of now; only for meters that can (``SigningReport.separate``)."""

    evse: int


@dataclass(frozen=True, slots=True)
class EndSigning:
    """Agent → control. No more energy flows for this transaction: sign its end."""

    evse: int
    transaction: str


@dataclass(frozen=True, slots=True)
class SignedKept:
    """Agent → control. The set of this key is on the books; the meter may forget it."""

    evse: int
    key: str


@dataclass(frozen=True, slots=True)
class MeterClock:
    """Agent → control. It is ``utc_s`` at ``at`` (monotonic), local time ``offset_min`` ahead of UTC."""

    evse: int
    utc_s: float
    at: float
    offset_min: int


@dataclass(frozen=True, slots=True)
class SigningReport:
    """Control → agent. How the signing half of a meter does; fields as in ``hal.values.SigningState``."""

    evse: int
    at: float
    ready: bool
    separate: bool
    public_key: str
    transaction: str
    failed: str
    trouble: str


@dataclass(frozen=True, slots=True)
class SignedSet:
    """Control → agent. What the meter signed, byte for byte; fields as in ``hal.values.SignedReading``."""

    evse: int
    at: float
    key: str
    transaction: str
    moment: str
    data: str
    encoding: str
    signing_method: str
    public_key: str
