"""The authorisation cache: what the network has said of tokens (OCPP 1.6 §3.5.1; 2.0.1 C10)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.station.site import Site
from agent.station.tokens import Token, TokenInfo, document_of, info_of

CACHE_SIZE = 1000
"""Tokens remembered; beyond it one goes, by AuthCacheCtrlr.Policy."""

MOST_BYTES = CACHE_SIZE * 1024
"""What it can take of the journal: identifier and group have 255 characters at most (2.1)."""

TABLE = "token"

_ENABLED, _LIFE_TIME, _POLICY = (f"AuthCacheCtrlr.{name}" for name in ("Enabled", "LifeTime", "Policy"))


@dataclass(slots=True)
class _Entry:
    info: TokenInfo
    used_utc_s: float
    """When it was told or presented last."""
    uses: int = 1


class TokenCache:
    """Entries stand in the order in which they were told; it survives restarts."""

    def __init__(self, site: Site, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._site = site
        self._entries: dict[str, _Entry] = {}
        for key, document in kept.get(TABLE, {}).items():
            info = info_of(document)
            if info is not None:
                used_utc_s = document.get("used_utc_s", site.moment.utc_s)
                self._entries[key] = _Entry(info, used_utc_s, document.get("uses", 1))

    @property
    def enabled(self) -> bool:
        return self._site.settings.boolean(_ENABLED)

    @property
    def size_bytes(self) -> int:
        """AuthCacheCtrlr.Storage"""
        return sum(len(key) + len(json.dumps(_document(entry))) for key, entry in self._entries.items())

    def find(self, token: Token) -> TokenInfo | None:
        """What is known of a token; None while the cache is switched off. One that outlived LifeTime goes
        (C10.FR.08, C10.FR.10); a date of its own takes the place of LifeTime (C10.FR.13)."""
        entry = self._entries.get(token.key) if self.enabled else None
        if entry is None:
            return None
        if self._over(entry):
            self.drop(token.key)
            return None
        return entry.info

    def _over(self, entry: _Entry) -> bool:
        now_utc_s, dated_utc_s = self._site.moment.utc_s, entry.info.expires_utc_s
        if dated_utc_s is not None:
            # OCPP 1.6 keeps it, as an expired token.
            return self._site.flexible and now_utc_s >= dated_utc_s
        life_s = self._site.settings.integer(_LIFE_TIME)
        return life_s > 0 and now_utc_s >= entry.used_utc_s + life_s

    def used(self, token: Token) -> None:
        """A token was presented. Written down only where something goes by it."""
        entry = self._entries.get(token.key)
        settings = self._site.settings
        if entry is not None and (settings.integer(_LIFE_TIME) or settings.string(_POLICY) != "FIFO"):
            entry.used_utc_s = self._site.moment.utc_s
            entry.uses += 1
            self._keep(token.key, entry)

    def store(self, token: Token, info: TokenInfo) -> None:
        """Remember the network's latest word (C10.FR.04, C10.FR.05, C12.FR.06)."""
        former = self._entries.get(token.key)
        if not self.enabled or (former is not None and former.info == info):
            return
        self._entries.pop(token.key, None)
        entry = _Entry(info, self._site.moment.utc_s, former.uses if former is not None else 1)
        self._entries[token.key] = entry
        self._keep(token.key, entry)
        while len(self._entries) > CACHE_SIZE:
            self.drop(self._next_out(token.key))

    def drop(self, key: str) -> None:
        if self._entries.pop(key, None) is not None:
            self._site.keep(TABLE, key, None)

    def clear(self) -> bool:
        """Forget all. False when it is switched off (OCPP 1.6 errata 3.4; 2.0.1 C11.FR.04)."""
        if not self.enabled:
            return False
        for key in list(self._entries):
            self.drop(key)
        return True

    def _next_out(self, newest: str) -> str:
        """Which one makes room (C10.FR.07); never the one that has just come."""
        others = [(key, entry) for key, entry in self._entries.items() if key != newest]
        policy = self._site.settings.string(_POLICY)
        if policy == "LRU":
            return min(others, key=lambda pair: pair[1].used_utc_s)[0]
        if policy == "LFU":
            return min(others, key=lambda pair: (pair[1].uses, pair[1].used_utc_s))[0]
        return others[0][0]

    def _keep(self, key: str, entry: _Entry) -> None:
        self._site.keep(TABLE, key, _document(entry))


def _document(entry: _Entry) -> dict[str, Any]:
    document = document_of(entry.info) | {"used_utc_s": entry.used_utc_s}
    return document | ({"uses": entry.uses} if entry.uses > 1 else {})
