"""Sharing the feed: how much each EVSE may draw. A pure function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.station.phase_rotation import ALL_LINES

MINIMUM_A = 6.0
"""Below this no pilot exists (IEC 61851-1 Table A.7)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An EVSE that may charge. All currents per phase."""

    evse: int
    max_a: float
    order: int
    """Who came first."""
    asking: bool = True
    """The vehicle takes energy or has not been offered any yet."""
    resting: bool = False
    """It was offered energy and has not taken it for a while: it waits behind those that want."""
    least_a: float = MINIMUM_A
    """Below this it had better not charge at all; at least 6 A."""
    lines: frozenset[int] = ALL_LINES
    """Phases of the feed that it loads."""


def share(limit_a: float, claims: Iterable[Claim]) -> dict[int, float]:
    """Divide ``limit_a`` so that the sum on no phase of the feed exceeds it. Return ampere per EVSE; 0.0 means: wait.

    Each phase is divided among those that load it. An EVSE on several gets what the fullest of them leaves it; what
    it cannot use on the others goes to those that can.
    """
    wanted = {claim.evse: claim for claim in claims}
    lines = frozenset[int]().union(*(claim.lines for claim in wanted.values()))
    while True:
        by_line = [_divide(limit_a, [claim for claim in wanted.values() if line in claim.lines]) for line in lines]
        result = {evse: min(found[evse] for found in by_line if evse in found) for evse in wanted}
        # An EVSE that one phase holds back gives up the rest; that only ever leaves more for others.
        lowered = {
            evse: replace(claim, max_a=result[evse])
            for evse, claim in wanted.items()
            if any(found.get(evse, result[evse]) > result[evse] for found in by_line)
        }
        if not lowered:
            return result
        wanted |= lowered


def _divide(limit_a: float, claims: Iterable[Claim]) -> dict[int, float]:
    """Divide one phase. Return ampere per EVSE; 0.0 means: wait.

    Each EVSE gets at least its least current or nothing. When it does not suffice for all, those that came first are
    served. What is left above that goes evenly to the vehicles that ask, then to the others.
    """
    ordered = sorted(claims, key=lambda claim: (claim.resting, claim.order))
    result = {claim.evse: 0.0 for claim in ordered}
    left_a = limit_a
    served = []
    for claim in ordered:
        if MINIMUM_A <= claim.least_a <= min(claim.max_a, left_a):
            result[claim.evse] = claim.least_a
            left_a -= claim.least_a
            served.append(claim)
    for asking in (True, False):
        left_a = _fill(left_a, [claim for claim in served if claim.asking is asking], result)
    return result


def _fill(left_a: float, claims: list[Claim], result: dict[int, float]) -> float:
    """Raise all evenly up to their own limits, in whole tenths of an ampere. Return what is left."""
    # In order of how much more each can take, what the first ones leave goes evenly to the rest.
    for index, claim in enumerate(sorted(claims, key=lambda claim: claim.max_a - result[claim.evse])):
        even_a = left_a / (len(claims) - index)
        more_a = int(min(claim.max_a - result[claim.evse], even_a) * 10 + 1e-6) / 10
        if more_a > 0:
            result[claim.evse] = round(result[claim.evse] + more_a, 1)
            left_a -= more_a
    return left_a
