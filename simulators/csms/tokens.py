"""The tokens this CSMS knows, and what it says about the ones it does not know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

LONGEST = 255
"""Characters of an idToken in OCPP 2.1; 2.0.1 carries 36."""

V16_LONGEST = 20


class TokenStatus(StrEnum):
    """AuthorizationStatusEnumType of OCPP 2.0.1 (3.3); the first five are those of OCPP 1.6 (7.2)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Token:
    """One known token. ``expiry`` is the ISO 8601 text that goes into ``expiryDate``."""

    id_tag: str
    status: TokenStatus = TokenStatus.ACCEPTED
    parent: str | None = None
    expiry: str | None = None
    message: str | None = None
    """What the driver is told, from 2.0.1 on (personalMessage)."""


def parse_time(text: str) -> datetime:
    """An ISO 8601 time with a time zone. Raises ``ValueError`` that says which of the two is missing."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; end it with Z or an offset")
    return moment


class TokenList:
    """Known tokens by id, without regard to case (idTag is a CiString, OCPP 1.6 section 7.28)."""

    def __init__(self, *, accept_unknown: bool = True) -> None:
        self.accept_unknown = accept_unknown
        self._tokens: dict[str, Token] = {}

    def put(self, token: Token) -> None:
        """Add or replace a token. Raises ``ValueError`` for an id or expiry that OCPP cannot carry."""
        for name, tag in (("idTag", token.id_tag), ("parentIdTag", token.parent)):
            if tag is not None and not 1 <= len(tag) <= LONGEST:
                raise ValueError(f"{name} {tag!r}: 1 to {LONGEST} characters are allowed")
        if token.expiry is not None:
            parse_time(token.expiry)
        self._tokens[token.id_tag.casefold()] = token

    def remove(self, id_tag: str) -> None:
        """Forget a token. Raises ``ValueError`` when it was not known."""
        if self._tokens.pop(id_tag.casefold(), None) is None:
            raise ValueError(f"token {id_tag!r} is not in the list; `tokens` shows the list")

    def info(self, id_tag: str, now: datetime, unknown: TokenStatus = TokenStatus.INVALID) -> Token:
        """What to answer for this id at this time: the known token, or a made-up one for an unknown id (``unknown``
        where those are refused)."""
        token = self._tokens.get(id_tag.casefold())
        if token is None:
            return Token(id_tag, TokenStatus.ACCEPTED if self.accept_unknown else unknown)
        expired = token.expiry is not None and parse_time(token.expiry) <= now
        if expired and token.status is TokenStatus.ACCEPTED:
            return replace(token, status=TokenStatus.EXPIRED)
        return token

    def as_json(self) -> dict[str, Any]:
        """The list, and the rule for unknown ids."""
        return {
            "unknown": "accept" if self.accept_unknown else "refuse",
            "tokens": [
                {"id_tag": t.id_tag, "status": t.status.value, "parent": t.parent, "expiry": t.expiry}
                | ({"message": t.message} if t.message is not None else {})
                for t in self._tokens.values()
            ],
        }
