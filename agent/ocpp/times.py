"""Times as OCPP writes them, the same in every version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def time_text(utc_s: float) -> str:
    """Return ISO 8601 in UTC with milliseconds (1.6 §3.14: three digits at most are advised)."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(text: Any) -> float | None:
    """Read a time of the network as seconds since 1970; None when it is none. No zone means UTC.

    Errata 3.10: fractions of a second must be understood, with any number of digits.
    """
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None
