"""Identifiers of drivers and what the operator's network says about them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

log = logging.getLogger(__name__)


class TokenStatus(Enum):
    """What the network, list or cache says of a token (OCPP 1.6 AuthorizationStatus; 2.0.1's finer ones map in)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


@dataclass(frozen=True, slots=True)
class Token:
    """An identifier as presented. Compared without regard to case (OCPP 1.6 CiString)."""

    uid: str
    kind: str = "ISO14443"

    @property
    def key(self) -> str:
        """What tokens are compared and stored by."""
        return self.uid.casefold()

    @property
    def masked(self) -> str:
        """How it may stand in a log: enough to tell cards apart, not enough to copy one."""
        return f"{self.uid[:2]}…{self.uid[-2:]}" if len(self.uid) >= 8 else "…"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """An answer about a token. ``expires_utc_s`` None: never. ``group``: parent id, empty for none."""

    status: TokenStatus
    group: str = ""
    expires_utc_s: float | None = None


def status_at(info: TokenInfo, utc_s: float) -> TokenStatus:
    """What an answer is worth at a time: past its date an accepted token is an expired one."""
    if info.status is TokenStatus.ACCEPTED and info.expires_utc_s is not None and info.expires_utc_s <= utc_s:
        return TokenStatus.EXPIRED
    return info.status


def info_of(document: Mapping[str, Any] | None) -> TokenInfo | None:
    """Read an answer that was kept; None when there is none, or it cannot be read."""
    if document is None:
        return None
    try:
        expires = document.get("expires_utc_s")
        status, group = TokenStatus(document["status"]), str(document.get("group", ""))
        return TokenInfo(status, group, None if expires is None else float(expires))
    except (KeyError, TypeError, ValueError, AttributeError):
        log.warning("a kept token cannot be read and is forgotten")
        return None
