"""The time on the display: UTC and an offset that the network tells, with its next change (TimeOffset and its kin)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from agent.station.settings import Settings

_OFFSET = re.compile(r"([+-]?)([01]?[0-9]):([0-5][0-9])")
LARGEST_S = 14 * 3600


def read_offset(text: str) -> int | None:
    """Read an offset like -05:00 as seconds ahead of UTC; None when it is none."""
    if text.strip() == "Z":
        return 0
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        return None
    offset = (int(found[2]) * 60 + int(found[3])) * 60
    return None if offset > LARGEST_S else -offset if found[1] == "-" else offset


def read_transition(text: str) -> float | None:
    """Read the moment of the next change as seconds since 1970; None when it is none. No zone means UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def offset_s(settings: Settings, utc_s: float) -> int:
    """Return how far the display is ahead of UTC at a time, in seconds."""
    offset = read_offset(settings.string("ClockCtrlr.TimeOffset"))
    changed = read_offset(settings.string("ClockCtrlr.TimeOffsetNextTransition"))
    transition = read_transition(settings.string("ClockCtrlr.NextTimeOffsetTransitionDateTime"))
    if changed is not None and transition is not None and utc_s >= transition:
        return changed
    return offset or 0
