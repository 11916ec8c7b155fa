"""What lights show for each indication: a colour and a rhythm. Every rhythm is its own, so that one lamp of any
colour, or an eye that sees none, tells them apart (defaults of this project; no standard exists)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from hal.values import Indication


class Colour(Enum):
    """Red, green, blue shares."""

    GREEN = (0, 1, 0)
    BLUE = (0, 0, 1)
    YELLOW = (1, 1, 0)
    RED = (1, 0, 0)


@dataclass(frozen=True, slots=True)
class Pattern:
    """``flashes``: lit spans within the period, (from, to) in seconds. A period of 0 is steady light."""

    colour: Colour
    period_s: float = 0.0
    flashes: tuple[tuple[float, float], ...] = ()

    def lit(self, since_s: float) -> bool:
        """Tell whether the light is on, ``since_s`` seconds after the pattern began."""
        if self.period_s == 0.0:
            return True
        phase_s = since_s % self.period_s
        return any(begin <= phase_s < end for begin, end in self.flashes)

    def next_change_s(self, since_s: float) -> float:
        """Return seconds until the light may change; infinite for steady light."""
        if self.period_s == 0.0:
            return math.inf
        phase_s = since_s % self.period_s
        edges = [edge for flash in self.flashes for edge in flash] + [self.period_s]
        return min(edge - phase_s for edge in edges if edge > phase_s)


def _flashes(count: int, on_s: float, off_s: float) -> tuple[tuple[float, float], ...]:
    return tuple((n * (on_s + off_s), n * (on_s + off_s) + on_s) for n in range(count))


PATTERNS = {
    Indication.AVAILABLE: Pattern(Colour.GREEN),
    Indication.PREPARING: Pattern(Colour.BLUE, 1.0, ((0.0, 0.5),)),
    Indication.CHARGING: Pattern(Colour.BLUE, 3.0, ((0.0, 2.6),)),
    Indication.SUSPENDED: Pattern(Colour.BLUE, 3.0, ((0.0, 0.4),)),
    Indication.RESERVED: Pattern(Colour.YELLOW, 3.0, _flashes(2, 0.2, 0.2)),
    Indication.FINISHING: Pattern(Colour.GREEN, 2.0, ((0.0, 1.0),)),
    Indication.UNAVAILABLE: Pattern(Colour.RED, 3.0, _flashes(3, 0.2, 0.2)),
    Indication.FAULTED: Pattern(Colour.RED, 0.4, ((0.0, 0.2),)),
    Indication.ACCEPTED: Pattern(Colour.GREEN, 0.2, ((0.0, 0.1),)),
    Indication.REFUSED: Pattern(Colour.RED, 1.2, _flashes(4, 0.1, 0.1)),
}
