"""A status source that stands for the agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.local.status import StatusDocument

DOCUMENT: StatusDocument = {
    "station": {"identity": "N-1", "vendor": "Nord", "model": "X", "version": "0.1.0"},
    "uplink": {
        "state": "accepted",
        "url": "ws://127.0.0.1:9000",
        "since": "2026-01-02T03:04:05.000Z",
        "last_error": "",
        "queue": {"pending": 0, "oldest_at": None, "parked": 0},
    },
    "control": {"connected": True, "instance": "abc"},
    "clock": {"synced": True, "utc": "2026-01-02T03:05:05.000Z"},
    "evses": [],
}


class Source:
    def __init__(self) -> None:
        self.online: list[bool] = []
        self.document: StatusDocument = DOCUMENT

    def status(self) -> StatusDocument:
        return self.document

    def set_uplink(self, online: bool) -> None:
        self.online.append(online)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="evse-") as name:
        yield Path(name)
