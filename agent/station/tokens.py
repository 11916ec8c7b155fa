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


NO_AUTHORIZATION = "NoAuthorization"
"""Type of the identifier where nobody is asked for one (2.0.1 C02)."""
USUAL_KIND = "ISO14443"
"""Type of an identifier of which nothing else is known."""
CENTRAL = "Central"
"""Type of an identifier that the network has made up for one transaction (2.0.1 C05)."""
LOCAL = "Local"
"""Type of an identifier made up at the charge point, a parking ticket say (2.0.1 C06)."""
KEY_CODE = "KeyCode"
"""Type of a number that a driver knows by heart (2.0.1 C04)."""


@dataclass(frozen=True, slots=True)
class Token:
    """An identifier as presented. Compared without regard to case (OCPP 1.6 CiString)."""

    uid: str
    kind: str = USUAL_KIND

    @property
    def key(self) -> str:
        """What tokens are compared and stored by."""
        return self.uid.casefold()

    @property
    def masked(self) -> str:
        """How it may stand in a log: enough to tell cards apart, not enough to copy one; of a PIN nothing."""
        if self.kind == KEY_CODE:
            return "…"  # C04.FR.04
        return f"{self.uid[:2]}…{self.uid[-2:]}" if len(self.uid) >= 8 else "…"


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """An answer about a token. ``expires_utc_s`` None: never. ``group``: parent id, empty for none."""

    status: TokenStatus
    group: str = ""
    expires_utc_s: float | None = None
    word: str = ""
    """The network's own word, where it is finer than ``status`` (2.0.1: NoCredit, NotAtThisTime and so on)."""
    evses: tuple[int, ...] = ()
    """It holds for these alone; empty: for all (2.0.1 C01.FR.21)."""

    @property
    def told(self) -> str:
        """What the network said."""
        return self.word or self.status.value


def status_at(info: TokenInfo, utc_s: float) -> TokenStatus:
    """What an answer is worth at a time: past its date an accepted token is an expired one."""
    if info.status is TokenStatus.ACCEPTED and info.expires_utc_s is not None and info.expires_utc_s <= utc_s:
        return TokenStatus.EXPIRED
    return info.status


def listed_status(info: TokenInfo) -> str:
    """Return status and EVSEs as one text, for the local list's rows."""
    return info.status.value + (f"@{','.join(map(str, info.evses))}" if info.evses else "")


def document_of(info: TokenInfo) -> dict[str, Any]:
    """Return an answer JSON-ready. What OCPP 1.6 does not know only where it is there."""
    document: dict[str, Any] = {"status": info.status.value, "group": info.group, "expires_utc_s": info.expires_utc_s}
    document |= {"word": info.word} if info.word else {}
    return document | ({"evses": list(info.evses)} if info.evses else {})


def info_of(document: Mapping[str, Any] | None) -> TokenInfo | None:
    """Read an answer that was kept; None when there is none, or it cannot be read."""
    if document is None:
        return None
    try:
        expires = document.get("expires_utc_s")
        word, _, places = document["status"].partition("@")
        evses = document.get("evses") or [int(place) for place in places.split(",") if place]
        return TokenInfo(
            TokenStatus(word),
            str(document.get("group", "")),
            None if expires is None else float(expires),
            str(document.get("word", "")),
            tuple(evses),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        log.warning("a kept token cannot be read and is forgotten")
        return None
