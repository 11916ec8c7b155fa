"""Every earlier schema has its journal among the fixtures, so that no upgrade goes untried."""

from __future__ import annotations

from agent.journal.schema import MIGRATIONS
from tests.faults.upgrades import fixtures, waiting


def test_every_earlier_version_is_kept() -> None:
    assert [path.stem for path in fixtures()] == [f"v{number}" for number in range(1, len(MIGRATIONS))]


def test_each_holds_what_waits() -> None:
    for fixture in fixtures():
        started, ended = waiting(fixture)
        assert len(started) >= 4
        assert len(ended) >= 4
