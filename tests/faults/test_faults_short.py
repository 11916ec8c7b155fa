"""The short form of every attack, and the proof that each can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.attack import Attack
from tests.faults.catalogue import attacks

pytestmark = pytest.mark.process


def _silent(_text: str) -> None:
    return


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name)
def test_attack_leaves_the_books_clean(attack: Attack, tmp_path: Path) -> None:
    outcome = attack.short(tmp_path, _silent)
    assert outcome.trials > 0
    assert outcome.clean, outcome


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name)
def test_attack_is_felt_without_the_protection(attack: Attack, tmp_path: Path) -> None:
    outcome = attack.control(tmp_path, _silent)
    assert not outcome.clean, outcome
