"""Identifiers as OCPP 1.6 writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.ocpp.times import read_time
from agent.station.tokens import TokenInfo, TokenStatus

MAX_ID_TAG = 20
"""IdToken is a CiString20Type (OCPP 1.6 §7.28)."""


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
