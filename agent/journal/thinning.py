"""What goes when space runs out: samples within a transaction, evenly. Starts and ends never.

A level is a shortest distance in time. Walking through a transaction, a sample that follows the last one kept by less
than that goes. Evenly spaced samples lose every second one at a level of one and a half spacings; those that an
earlier level has spread already stay; so old and new samples end up equally dense, and no block is ever lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LEAST_SHARE = 0.1
"""A level is chosen so that it takes at least this share of the samples, if any level does."""


@dataclass(frozen=True, slots=True)
class Line:
    """A record in the line, as far as thinning looks at it. ``at_s`` is monotonic within ``boot``."""

    seq: int
    transaction: str
    boot: int
    at_s: float
    sample: bool
    ended: bool = False


@dataclass(slots=True)
class Walk:
    """Goes along the line at one level. Holds no more than the transactions that are open where it stands."""

    level_s: float
    _last: dict[str, tuple[int, float]] = field(default_factory=dict)

    def drops(self, line: Line) -> bool:
        if line.ended:
            self._last.pop(line.transaction, None)
            return False
        if not line.sample:
            return False
        last = self._last.get(line.transaction)
        if last is not None and last[0] == line.boot and 0 <= line.at_s - last[1] < self.level_s:
            return True
        self._last[line.transaction] = (line.boot, line.at_s)
        return False


def level(lines: Iterable[Line]) -> float | None:
    """Choose the level, in seconds: one and a half times a distance that is common enough. None: nothing to thin."""
    samples = 0
    gaps: Counter[float] = Counter()
    for gap_s in _gaps(lines):
        samples += 1
        if gap_s is not None:
            gaps[_rounded(gap_s)] += 1
    taken = 0
    for gap_s in sorted(gaps):
        taken += gaps[gap_s]
        # Of samples at equal distances every second one goes.
        if taken / 2 >= samples * LEAST_SHARE:
            return 1.5 * gap_s
    return 1.5 * max(gaps) if gaps else None


def _gaps(lines: Iterable[Line]) -> Iterator[float | None]:
    last: dict[str, tuple[int, float]] = {}
    for line in lines:
        if line.ended:
            last.pop(line.transaction, None)
        elif line.sample:
            before = last.get(line.transaction)
            known = before is not None and before[0] == line.boot and line.at_s >= before[1]
            yield line.at_s - before[1] if known and before is not None else None
            last[line.transaction] = (line.boot, line.at_s)


def _rounded(gap_s: float) -> float:
    """Up to an eighth above the true distance, so that jitter does not split what belongs together."""
    return 1.0 if gap_s <= 1.0 else math.pow(2.0, math.ceil(math.log2(gap_s) * 8) / 8)
