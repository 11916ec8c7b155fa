"""Identifiers as OCPP 2 writes them, and what the network says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.ocpp.times import read_time
from agent.ocpp.v2.version import Version
from agent.station.tokens import NO_AUTHORIZATION, Token, TokenInfo, TokenStatus

LONGEST = {Version.V201: 36, Version.V21: 255}
"""Characters of an idToken."""

_STATUS = {
    "Accepted": TokenStatus.ACCEPTED,
    "Blocked": TokenStatus.BLOCKED,
    "ConcurrentTx": TokenStatus.CONCURRENT_TX,
    "Expired": TokenStatus.EXPIRED,
    "Invalid": TokenStatus.INVALID,
    "NoCredit": TokenStatus.BLOCKED,
    "NotAllowedTypeEVSE": TokenStatus.INVALID,
    "NotAtThisLocation": TokenStatus.INVALID,
    "NotAtThisTime": TokenStatus.INVALID,
    "Unknown": TokenStatus.INVALID,
}
"""AuthorizationStatusEnumType → what it comes to for a charge."""


def id_token(token: Token) -> dict[str, Any]:
    """Return an IdTokenType."""
    return {"idToken": "" if token.kind == NO_AUTHORIZATION else token.uid, "type": token.kind}  # C02.FR.01


def read_token(told: Mapping[str, Any]) -> Token:
    """Read an IdTokenType. Its additionalInfo is of no use here (part 2 C §1.1.1)."""
    return Token(told["idToken"], told["type"])


def group_of(payload: Mapping[str, Any]) -> str:
    """Return the identifier of a message's groupIdToken; empty for none."""
    group = payload.get("groupIdToken")
    return str(group["idToken"]) if isinstance(group, Mapping) else ""


def carries(token: Token, version: Version) -> bool:
    """Tell whether this version can carry the identifier unchanged."""
    return 0 < len(token.uid) <= LONGEST[version]


def token_info(id_token_info: Any) -> TokenInfo | None:
    """Read an IdTokenInfoType, taking what is usable of it; None when it holds no status that we know."""
    if not isinstance(id_token_info, Mapping):
        return None
    word = str(id_token_info.get("status"))
    status = _STATUS.get(word)
    if status is None:
        return None
    group = id_token_info.get("groupIdToken")
    uid = group.get("idToken") if isinstance(group, Mapping) else None
    expires = read_time(id_token_info.get("cacheExpiryDateTime"))
    evses = id_token_info.get("evseId") or ()
    places = tuple(evse for evse in evses if type(evse) is int) if isinstance(evses, list) else ()
    finer = "" if word == status.value else word
    return TokenInfo(status, uid if isinstance(uid, str) else "", expires, finer, places)
