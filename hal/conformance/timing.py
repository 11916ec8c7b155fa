"""Every call into a driver, timed and caught.

A call that took too long is told from a machine that was busy with others: only a call that computed for so long, or
that gave the processor away (it slept, it waited for a device or a lock), has broken the budget. A busy machine can
still make a call look so; therefore the check it happened in is made again (``kit``), and only what breaks the budget
each time is the driver's. The rest is reported as ``acquitted``.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

BUDGET_S = 0.005
LONGEST_S = 1.0
"""For ``start`` and ``close``, which the loop does not wait for."""
REPEATS = 2
"""How often a check is made again in which a callback broke its budget."""


@dataclass(slots=True)
class Stopwatch:
    """Calls by name. ``raised`` holds what left them."""

    took_s: dict[str, list[float]] = field(default_factory=dict)
    breaches: dict[str, list[float]] = field(default_factory=dict)
    raised: list[tuple[str, Exception]] = field(default_factory=list)
    acquitted: int = 0

    def call(self, name: str, function: Callable[..., T], *arguments: object, budget_s: float = BUDGET_S) -> T | None:
        """Call it and return what it returns; None when it raised."""
        switches = _switches()
        cpu_s, begun = time.thread_time(), time.monotonic()
        try:
            return function(*arguments)
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            self.raised.append((name, error))
            return None
        finally:
            took_s = time.monotonic() - begun
            self.took_s.setdefault(name, []).append(took_s)
            if took_s > budget_s and (time.thread_time() - cpu_s > budget_s or _switches() > switches):
                self.breaches.setdefault(name, []).append(took_s)

    def quantile_s(self, share: float) -> float:
        """Return the time that this share of all calls stayed within; 0.0 before the first."""
        times = sorted(time_s for times in self.took_s.values() for time_s in times)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0

    def again(self, repeat: Callable[[], object]) -> dict[str, list[float]]:
        """Take the present breaches out; return those that ``repeat`` brought about each time it was called."""
        blamed, self.breaches = self.breaches, {}
        for _ in range(REPEATS):
            if not blamed:
                break
            repeat()
            anew, self.breaches = self.breaches, {}
            self.acquitted += sum(len(times) for name, times in blamed.items() if name not in anew)
            blamed = {name: times + anew[name] for name, times in blamed.items() if name in anew}
        return blamed

    def blame(self, breaches: dict[str, list[float]]) -> None:
        """Add to the breaches that are the driver's."""
        for name, times in breaches.items():
            self.breaches.setdefault(name, []).extend(times)


def _switches() -> int:
    """How often this thread has given the processor away."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the garbage collector out of what is timed, as control does in its loop."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
