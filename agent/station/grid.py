"""The building's supply: what its meter leaves for all EVSEs together.

``headroom_a`` and ``follow`` are pure; ``GridLimit`` remembers. The chargers' own draw is taken from their meters, so
an EVSE without a meter counts as a load of the building: it then gets less than it could, never more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from agent.link.messages import MeterSample

GRID_STALE_S = 10.0
"""A grid meter silent for longer tells nothing. Own, as for the meters of the EVSEs."""
RISE_A_PER_S = 0.5
"""So slowly the limit rises again; it falls at once. Own: a kettle should not move every vehicle twice."""
PAIR_S = 5.0
"""A reading of an EVSE's meter stands beside one of the grid meter when it is no older than this."""


def headroom_a(most_a: float, grid_a: Sequence[float], mine_a: Sequence[float]) -> float:
    """Return what all EVSEs together may draw on each phase so that none of the supply exceeds ``most_a``.

    ``grid_a``: measured currents of the supply, phase by phase; ``mine_a``: what of it the EVSEs draw, in the same
    order, 0 where unknown. What the building feeds back leaves no more than the whole supply. Unknown gives 0.
    """
    if not grid_a or not all(math.isfinite(each) for each in (*grid_a, *mine_a)):
        return 0.0
    own = (*mine_a, *(0.0 for _ in grid_a))
    others_a = max(max(grid - mine, 0.0) for grid, mine in zip(grid_a, own, strict=False))
    return min(max(most_a - others_a, 0.0), most_a)


def follow(last_a: float, room_a: float, passed_s: float) -> float:
    """Return the new limit: down at once, up slowly, never above ``room_a``."""
    return min(room_a, max(last_a, 0.0) + RISE_A_PER_S * max(passed_s, 0.0))


class GridLimit:
    """Follows one grid meter. Times in monotonic seconds, currents in ampere per phase."""

    def __init__(self, most_a: float, fallback_a: float) -> None:
        self._most_a = most_a
        self._fallback_a = min(fallback_a, most_a)
        self._limit_a = self._fallback_a
        self.measured: MeterSample | None = None

    def measure(self, sample: MeterSample, own: Iterable[tuple[MeterSample, Sequence[int]]], now: float) -> None:
        """Take a reading of the grid meter, beside the EVSEs' own latest with the order of their phases (see
        ``own_a``). A doubtful one counts for nothing."""
        if sample.quality != "good" or not sample.current_a or not self._newer(sample):
            return
        passed_s = sample.at - self.measured.at if self.measured is not None and self.fresh(now) else 0.0
        draws = [(each.current_a, order) for each, order in own if abs(sample.at - each.at) <= PAIR_S]
        room_a = headroom_a(self._most_a, sample.current_a, own_a(draws, len(sample.current_a)))
        self._limit_a = follow(self.limit_a(now), room_a, passed_s)
        self.measured = sample

    def _newer(self, sample: MeterSample) -> bool:
        return self.measured is None or sample.at > self.measured.at

    def fresh(self, now: float) -> bool:
        return self.measured is not None and now - self.measured.at <= GRID_STALE_S

    def limit_a(self, now: float) -> float:
        """What all EVSEs together may draw now; the fallback while the meter is silent."""
        return self._limit_a if self.fresh(now) else self._fallback_a

    def wake(self, now: float) -> float | None:
        """When a silent meter begins to count as silent; None when it does already, or never spoke."""
        return self.measured.at + GRID_STALE_S + 0.001 if self.measured is not None and self.fresh(now) else None


def own_a(draws: Iterable[tuple[Sequence[float], Sequence[int]]], lines: int) -> list[float]:
    """Return what the EVSEs draw for certain on each of ``lines`` phases of the supply.

    Each draw is an EVSE's currents, and which phase of the supply (1 … 3) each of them is; an empty order: not known.
    Then only what flows on all of them alike is certain.
    """
    found = [0.0] * lines
    for currents, order in draws:
        known = len(order) >= len(currents)
        for line in range(1, lines + 1):
            if known:
                found[line - 1] += sum(max(a, 0.0) for a, at in zip(currents, order, strict=False) if at == line)
            elif len(currents) == lines:
                found[line - 1] += max(min(currents), 0.0)
    return found
