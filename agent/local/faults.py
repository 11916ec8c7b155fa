"""The local API's method about faults, now and before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from agent.local.methods import Method, observe
from agent.station.documents import FaultHistoryDocument


class FaultsDocument(TypedDict):
    entries: list[FaultHistoryDocument]
    """Present ones first, then the latest first."""


def methods(history: Callable[[], list[FaultHistoryDocument]]) -> dict[str, Method]:
    """Nothing is called here."""

    def faults() -> FaultsDocument:
        """What is wrong and what was: faults of each EVSE and troubles of each device, how often, since when."""
        return {"entries": history()}

    return {"faults": observe(faults)}
