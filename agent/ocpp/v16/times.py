"""Times and identifiers as OCPP 1.6 writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent.station.tokens import TokenInfo, TokenStatus

MAX_ID_TAG = 20
"""IdToken is a CiString20Type (OCPP 1.6 §7.28)."""


def time_text(utc_s: float) -> str:
    """Return ISO 8601 in UTC with milliseconds (OCPP 1.6 §3.14; three digits at most are advised)."""
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


def id_tag(uid: str) -> str:
    """Return an identifier as OCPP 1.6 can carry it: printable ASCII, cut to 20 characters.

    A longer one cannot be told whole; what was charged under it must be delivered all the same.
    """
    return "".join(c if " " <= c <= "~" else "?" for c in uid)[:MAX_ID_TAG]


def carries(uid: str) -> bool:
    """Tell whether OCPP 1.6 can carry this identifier unchanged."""
    return bool(uid) and id_tag(uid) == uid


def token_info(id_tag_info: Any) -> TokenInfo | None:
    """Read an IdTagInfo, taking what is usable of it; None when it holds no status that we know."""
    if not isinstance(id_tag_info, Mapping):
        return None
    try:
        status = TokenStatus(id_tag_info.get("status"))
    except ValueError:
        return None
    group = id_tag_info.get("parentIdTag")
    return TokenInfo(status, group if isinstance(group, str) else "", read_time(id_tag_info.get("expiryDate")))
