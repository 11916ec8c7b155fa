"""What an attack on the books is, and what came of it.

Every attack has three forms. ``full`` is the campaign's (``make faults``). ``short`` is its little sister, run with
the tests. ``control`` is the same attack with the protection taken away and must not end clean: it shows that the
attack can see a loss at all. Where it strikes is chance, so ``felt`` lets it strike several times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str], None]
"""Called with one line of text whenever there is something to tell."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack did to the books and to the contactors. All counts are over all trials."""

    trials: int
    """How often the attack struck."""
    transactions: int
    """How many charges the oracle judged."""
    lost: int = 0
    """Starts, ends or energy that the network never got."""
    doubled: int = 0
    """Transactions that stand on the books more than once."""
    wrong: int = 0
    """Energies, times or orders that differ from the truth."""
    closed: int = 0
    """Contactors found closed that should have been open."""
    notes: tuple[str, ...] = field(default=())
    """First complaints in words, at most a handful."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.closed)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.trials + other.trials,
            self.transactions + other.transactions,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.wrong + other.wrong,
            self.closed + other.closed,
            (self.notes + other.notes)[:5],
        )


Run = Callable[[Path, Progress], Outcome]
"""Runs in a directory of its own."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of attack. ``name`` is what ``make faults ATTACK=name`` takes."""

    name: str
    title: str
    """One line for the report: what is done to the charger."""
    protection: str
    """What stands against it, and what ``control`` takes away."""
    full: Run
    short: Run
    control: Run
    tries: int = 3
    """How often ``control`` strikes at the most."""

    def felt(self, directory: Path, progress: Progress) -> Outcome:
        """Let ``control`` strike until it does not end clean, each time in a directory of its own."""
        outcome = Outcome(0, 0)
        for number in range(self.tries):
            place = directory / str(number)
            place.mkdir()
            outcome += self.control(place, progress)
            if not outcome.clean:
                break
        return outcome
