"""Does this process run out of a slot, and was the software switched on purpose?"""

from __future__ import annotations

import sys
from pathlib import Path

from agent.slots.guard import NAMES, Slots


def slots_here(prefix: str = sys.prefix) -> Slots | None:
    """Return the slots that this process was started from; None for any other kind of installation."""
    place = Path(prefix).resolve()
    if place.name in NAMES and place.parent.name == "slots":
        return Slots(place.parent.parent)
    return None


def may_carry_back(prefix: str = sys.prefix) -> bool:
    """An older version may take a newer one's journal over: after a roll-back, and after a signed downgrade."""
    slots = slots_here(prefix)
    return slots is not None and (slots.taken_back() is not None or slots.pending() is not None)
