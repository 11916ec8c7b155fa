"""The local authorisation list: the operator's own word on tokens, kept in the charge point (OCPP 1.6 §3.5.2, §5.15;
2.0.1 block D).

It may be long, so it is not held in memory: a store looks one token up at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from agent.station.site import Site
from agent.station.tokens import Token, TokenInfo, TokenStatus, info_of, status_at

MAX_CONFLICTS = 100
"""So many tokens on which list and network disagree are remembered; one suffices for the report."""

UNSUPPORTED_VERSION = -1
EMPTY_VERSION = 0


class ListAnswer(Enum):
    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_SUPPORTED = "NotSupported"
    VERSION_MISMATCH = "VersionMismatch"


Row = tuple[str, str, str, float | None]
"""Key of the token, status, group (empty for none), expiry (seconds since 1970; None: never)."""


@dataclass(frozen=True, slots=True)
class ListUpdate:
    version: int
    full: bool
    """The rows are the whole list; else they are put into the present one, and ``removed`` taken out."""
    rows: tuple[Row, ...]
    removed: tuple[str, ...] = ()


class ListStore(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def size(self) -> int: ...

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return status, group and expires_utc_s of a token; None when it is not listed."""

    def change(self, version: int, full: bool, rows: Iterable[Row], removed: Iterable[str], most: int) -> bool:
        """Change all or nothing, durably. False, and nothing changed, when the list would be longer than ``most``."""


class MemoryStore:
    """A list that lasts as long as the process."""

    def __init__(self) -> None:
        self.version = 0
        self._rows: dict[str, dict[str, Any]] = {}

    @property
    def size(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> Mapping[str, Any] | None:
        return self._rows.get(key)

    def change(self, version: int, full: bool, rows: Iterable[Row], removed: Iterable[str], most: int) -> bool:
        after = {} if full else dict(self._rows)
        for key in removed:
            after.pop(key, None)
        for key, status, group, expires_utc_s in rows:
            after[key] = {"status": status, "group": group, "expires_utc_s": expires_utc_s}
        if len(after) > most:
            return False
        self.version, self._rows = version, after
        return True


class LocalList:
    def __init__(self, site: Site, store: ListStore) -> None:
        self._site = site
        self._store = store

    @property
    def enabled(self) -> bool:
        return self._site.settings.boolean("LocalAuthListCtrlr.Enabled")

    @property
    def version(self) -> int:
        """0: empty; -1: not supported (OCPP 1.6 §5.10). In OCPP 2 a list that was emptied keeps its version (D02)."""
        if not self.enabled:
            return UNSUPPORTED_VERSION
        if self._site.flexible:
            return self._store.version
        return self._store.version if self._store.size else EMPTY_VERSION

    @property
    def size(self) -> int:
        """Tokens in it, used or not."""
        return self._store.size

    def find(self, token: Token) -> TokenInfo | None:
        """What the list says of a token; None when it says nothing, or is not used."""
        if not self.enabled or not self._store.size:
            return None
        return info_of(self._store.get(token.key))

    def holds(self, token: Token) -> bool:
        """True also while the list is not used: its tokens never go to the cache (§3.5.2)."""
        return bool(self._store.size) and self._store.get(token.key) is not None

    def update(self, update: ListUpdate) -> ListAnswer:
        """Change the list. May raise what the store raises; nothing has changed then."""
        settings = self._site.settings
        if not self.enabled:
            return ListAnswer.NOT_SUPPORTED
        keys = [row[0] for row in update.rows] + list(update.removed)
        # Errata: 0 and -1 are never sent.
        if update.version <= 0 or len(set(keys)) != len(keys) or (update.full and update.removed):
            return ListAnswer.FAILED
        if len(keys) > settings.integer("LocalAuthListCtrlr.ItemsPerMessage"):
            return ListAnswer.FAILED
        if not update.full and update.version <= self.version:
            return ListAnswer.VERSION_MISMATCH
        most = settings.integer("LocalAuthListCtrlr.Entries")
        if not self._store.change(update.version, update.full, update.rows, update.removed, most):
            return ListAnswer.FAILED
        self._site.list_conflicts.clear()
        return ListAnswer.ACCEPTED

    def compare(self, token: Token, told: TokenInfo) -> None:
        """The network has told of a token: note whether the list says otherwise (§7.6 LocalListConflict)."""
        listed = self.find(token)
        if listed is None or told.status is TokenStatus.CONCURRENT_TX:
            return
        now_utc_s = self._site.moment.utc_s
        accepted = [status_at(info, now_utc_s) is TokenStatus.ACCEPTED for info in (listed, told)]
        if accepted[0] is accepted[1]:
            self._site.list_conflicts.discard(token.key)
        elif len(self._site.list_conflicts) < MAX_CONFLICTS:
            self._site.list_conflicts.add(token.key)
