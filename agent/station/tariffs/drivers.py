"""Tariffs of drivers who have not begun yet (I08)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agent.station.session import Session
from agent.station.site import Site
from agent.station.tariffs.defaults import Installed, installed_of
from agent.station.tokens import Token

KEY = "drivers"
MOST = 50
"""The oldest goes first."""


class Drivers:
    def __init__(self, site: Site, table: str) -> None:
        self._site = site
        self._table = table
        self._tariffs: dict[str, tuple[str, Installed]] = {}
        """By key of the token: as the network wrote it, and its tariff."""
        self._came: dict[str, float] = {}
        """When each of them came (monotonic)."""

    def load(self, document: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError."""
        self._tariffs = {key: (str(uid), installed_of(each)) for key, (uid, each) in document.items()}
        self._came = dict.fromkeys(self._tariffs, self._site.now)

    def put(self, token: Token, installed: Installed) -> None:
        self._tariffs.pop(token.key, None)
        self._tariffs[token.key] = (token.uid, installed)
        self._came[token.key] = self._site.now
        while len(self._tariffs) > MOST:
            self._came.pop(next(iter(self._tariffs)), None)
            del self._tariffs[next(iter(self._tariffs))]
        self._save()

    def of(self, token: Token) -> Installed | None:
        return self._tariffs.get(token.key, ("", None))[1]

    def take(self, token: Token) -> Installed | None:
        """Hand it over to a transaction."""
        _uid, installed = self._tariffs.pop(token.key, ("", None))
        if installed is not None:
            self._came.pop(token.key, None)
            self._save()
        return installed

    def waiting(self) -> dict[str, Installed]:
        """Return them by token, as the network wrote it."""
        return dict(self._tariffs.values())

    def lapse(self, sessions: Collection[Session]) -> None:
        """Forget those of drivers who did not begin in time (I08.FR.07)."""
        if not self._tariffs:
            return
        most_s = self._site.settings.integer("TxCtrlr.EVConnectionTimeOut")
        here = {session.token.key for session in sessions}
        gone = [key for key in self._tariffs.keys() - here if self._site.now - self._came.get(key, 0.0) > most_s]
        for key in gone:
            del self._tariffs[key]
            self._came.pop(key, None)
        if gone:
            self._save()

    def _save(self) -> None:
        document = {key: [uid, each.document] for key, (uid, each) in self._tariffs.items()}
        self._site.keep(self._table, KEY, document or None)
