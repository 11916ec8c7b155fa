"""What became of updates and uploads, waiting to be told to the network: in order, kept over restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

LOGGER = logging.getLogger(__name__)

TABLE = "file_notice"
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
        self._next = 1 + max((int(key) for key in self._line), default=0)

    def __len__(self) -> int:
        return len(self._line)

    def append(self, about: About, status: str, request: int | None) -> None:
        key = f"{self._next:012d}"
        self._next += 1
        self._line[key] = Notice(key, about, status, request)
        self._keep(key, {"about": about.value, "status": status, "request": request})
        while len(self._line) > MAX_WAITING:
            self.told(next(iter(self._line)))
        self.stirred()

    def first(self) -> Notice | None:
        return next(iter(self._line.values()), None)

    def told(self, key: str) -> None:
        """The network has it."""
        if self._line.pop(key, None) is not None:
            self._keep(key, None)

    def _keep(self, key: str, value: Any | None) -> None:
        try:
            self._keeper.keep(TABLE, key, value)
        except Exception as error:  # noqa: BLE001 (a full disk must not stop what is told about files)
            LOGGER.error("a notice waits in memory only: %s", error)
