"""What smart charging answers besides refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PriorityAnswer(Enum):
    """Values as OCPP 2.1 has them (K21)."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    """There is no such transaction."""
    NO_PROFILE = "NoProfile"


@dataclass(frozen=True, slots=True)
class Pull:
    """A dynamic profile of which the network wants to be asked for updates."""

    at: float
    """An interval after its last update (monotonic)."""
    every_s: int
