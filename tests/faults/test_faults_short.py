"""The short form of every attack, and the proof that each can fail."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.attack import Attack
from tests.faults.catalogue import attacks

pytestmark = pytest.mark.process


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name: sockets lie in it, and a socket's path is 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="evse-") as name:
        yield Path(name)


def _silent(_text: str) -> None:
    return


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name)
def test_attack_leaves_the_books_clean(attack: Attack, place: Path) -> None:
    outcome = attack.short(place, _silent)
    assert outcome.trials > 0
    assert outcome.clean, outcome


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name)
def test_attack_is_felt_without_the_protection(attack: Attack, place: Path) -> None:
    outcome = attack.felt(place, _silent)
    assert not outcome.clean, outcome
