"""The short form of every attack, and the proof that each can fail."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.attack import Attack
from tests.faults.catalogue import attacks
from tests.faults.speech import speaking

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


UNDER_2 = ("crash-agent", "random-kills", "flaps", "refusals")
"""What ``make test`` plays under 2.0.1 too; ``make faults VERSION=ocpp2.0.1`` plays all of them."""
UNDER_2_ATTACKS = [attack for attack in attacks() if attack.name in UNDER_2]


@pytest.mark.parametrize("attack", UNDER_2_ATTACKS, ids=lambda attack: attack.name)
def test_attack_leaves_the_books_clean_under_2(attack: Attack, place: Path) -> None:
    with speaking("ocpp2.0.1"):
        outcome = attack.short(place, _silent)
    assert outcome.trials > 0
    assert outcome.clean, outcome


def test_attack_is_felt_under_2_without_the_protection(place: Path) -> None:
    (attack,) = [attack for attack in attacks() if attack.name == "crash-agent"]
    with speaking("ocpp2.0.1"):
        outcome = attack.felt(place, _silent)
    assert not outcome.clean, outcome


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name)
def test_attack_is_felt_without_the_protection(attack: Attack, place: Path) -> None:
    outcome = attack.felt(place, _silent)
    assert not outcome.clean, outcome
