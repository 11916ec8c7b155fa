"""How late the loop comes, kept in memory as counts per bucket."""

from __future__ import annotations

BOUNDS_MS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class Lateness:
    """``counts[i]`` holds how often the lateness was at most ``BOUNDS_MS[i]``; the last one counts what was later."""

    __slots__ = ("_worst_since_s", "counts", "total_s", "worst_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.worst_s = 0.0
        self.total_s = 0.0
        self._worst_since_s = 0.0

    def note(self, late_s: float) -> None:
        late_ms = late_s * 1000.0
        for index, bound_ms in enumerate(BOUNDS_MS):
            if late_ms <= bound_ms:
                self.counts[index] += 1
                break
        else:
            self.counts[-1] += 1
        self.total_s += late_s
        self.worst_s = max(self.worst_s, late_s)
        self._worst_since_s = max(self._worst_since_s, late_s)

    def take_worst_s(self) -> float:
        """Return the worst since the last call."""
        worst_s, self._worst_since_s = self._worst_since_s, 0.0
        return worst_s

    def text(self) -> str:
        """Return the counts in one line for the log."""
        parts = [f"≤{bound:g} ms: {count}" for bound, count in zip(BOUNDS_MS, self.counts, strict=False) if count]
        if self.counts[-1]:
            parts.append(f"later: {self.counts[-1]}")
        return f"{', '.join(parts) or 'no tick yet'}; worst {self.worst_s * 1000.0:.1f} ms"
