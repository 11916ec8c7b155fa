"""What became of updates and uploads, waiting to be told to the network: in order, kept over restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

LOGGER = logging.getLogger(__name__)

TABLE = "file_notice"
TOLD_TABLE = "file_notice_told"
"""The latest that the network has, by what it is about."""
MAX_WAITING = 60
"""Beyond it the oldest go."""


class About(Enum):
    FIRMWARE = "firmware"
    DIAGNOSTICS = "diagnostics"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Notice:
    """``request`` is the number that the network gave its request, if it did."""

    key: str
    about: About
    status: str
    request: int | None


class Keeper(Protocol):
    """The journal, as far as this room needs it. Anything may raise when the disk fails."""

    def write(self) -> AbstractContextManager[None]: ...
    def keep(self, table: str, key: str, value: Any | None) -> None: ...
    def kept(self, table: str) -> dict[str, Any]: ...


class NoticeLine:
    """``stirred`` is called after each notice."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._line: dict[str, Notice] = {}
        self.stirred: Callable[[], None] = lambda: None
        for key, entry in sorted(keeper.kept(TABLE).items()):
            try:
                self._line[key] = Notice(key, About(entry["about"]), str(entry["status"]), entry["request"])
            except (KeyError, TypeError, ValueError):
                self._keep(key, None)
        self._sent: dict[About, Notice] = {}
        for key, entry in keeper.kept(TOLD_TABLE).items():
            with suppress(KeyError, TypeError, ValueError):
                self._sent[About(key)] = Notice("", About(key), str(entry["status"]), entry["request"])
        self._next = 1 + max((int(key) for key in self._line), default=0)

    def __len__(self) -> int:
        return len(self._line)

    def append(self, about: About, status: str, request: int | None) -> None:
        key = f"{self._next:012d}"
        self._next += 1
        self._line[key] = Notice(key, about, status, request)
        self._keep(key, {"about": about.value, "status": status, "request": request})
        while len(self._line) > MAX_WAITING:
            self.drop(next(iter(self._line)))
        self.stirred()

    def first(self) -> Notice | None:
        return next(iter(self._line.values()), None)

    def told(self, key: str) -> None:
        """The network has it."""
        notice = self._line.get(key)
        if notice is None:
            return
        try:
            with self._keeper.write():
                self.drop(key)
                about = {"status": notice.status, "request": notice.request}
                self._keep(notice.about.value, about, TOLD_TABLE)
        except Exception as error:  # noqa: BLE001 (as below)
            LOGGER.error("a notice that was told may be told again: %s", error)

    def sent(self, notice: Notice) -> None:
        """It is on its way."""
        self._sent[notice.about] = notice

    def last_sent(self, about: About) -> Notice | None:
        """The latest of this sort that went to the network; None: none ever did."""
        return self._sent.get(about)

    def drop(self, key: str) -> None:
        """Nobody is to be told this."""
        if self._line.pop(key, None) is not None:
            self._keep(key, None)

    def _keep(self, key: str, value: Any | None, table: str = TABLE) -> None:
        try:
            self._keeper.keep(table, key, value)
        except Exception as error:  # noqa: BLE001 (a full disk must not stop what is told about files)
            LOGGER.error("a notice waits in memory only: %s", error)
