"""The last changes of pilot, offer and contacts of each EVSE, with control's own times, to measure a charge by."""

from __future__ import annotations

from collections import deque
from typing import TypedDict

from agent.link.messages import Observation

MOST = 200
"""Per EVSE."""


class ChangeDocument(TypedDict):
    """How things stood from ``at_s`` on."""

    at_s: float
    """Control's monotonic seconds."""
    pilot: str
    offered_a: float
    contactor_closed: bool | None
    locked: bool | None
    permitted: bool
    holds: list[str]


class Changes:
    def __init__(self) -> None:
        self._kept: dict[int, deque[ChangeDocument]] = {}

    def note(self, seen: Observation) -> None:
        """Keep an observation that differs from the one before."""
        kept = self._kept.setdefault(seen.evse, deque(maxlen=MOST))
        change = ChangeDocument(
            at_s=round(seen.at, 4),
            pilot=seen.pilot,
            offered_a=seen.offered_a,
            contactor_closed=seen.contactor_closed,
            locked=seen.locked,
            permitted=seen.permit_serial != 0,
            holds=[hold.value for hold in seen.holds],
        )
        if not kept or {**kept[-1], "at_s": 0} != {**change, "at_s": 0}:
            kept.append(change)

    def since(self, evse: int, after_s: float) -> list[ChangeDocument]:
        """Return what changed later than a moment, oldest first."""
        return [each for each in self._kept.get(evse, ()) if each["at_s"] > after_s]
