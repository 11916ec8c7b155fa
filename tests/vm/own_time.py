"""Time as an emulated machine lives it: while its processors wait for one of ours, nothing in it can get on.

So a limit of patience counts seconds less those for which the kernel let the machine's threads wait in its run queue
(/proc/PID/task/TID/schedstat, second number, nanoseconds; Documentation/scheduler/sched-stats.rst). Other work on this
machine then makes a test slower, not red.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

NANOSECONDS = 1e9


def waited_s(process: Path) -> float:
    """How long the thread of a process (its folder in /proc) that had to wait longest has waited, in seconds; 0.0 for
    one that is gone or a kernel that does not count."""
    longest = 0
    with contextlib.suppress(OSError):
        for task in (process / "task").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                longest = max(longest, int((task / "schedstat").read_text("ascii").split()[1]))
    return longest / NANOSECONDS


class OwnTime:
    """``now_s()`` never goes back, and never runs faster than the clock. ``process``: the folder in /proc of the
    machine of this moment, None while there is none."""

    def __init__(
        self,
        process: Callable[[], Path | None],
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[Path], float] = waited_s,
    ) -> None:
        self._process, self._clock, self._waited = process, clock, waited
        self._of: Path | None = None
        self._at_s = clock()
        self._seen_s = 0.0
        self._now_s = 0.0

    def now_s(self) -> float:
        """Seconds since the beginning."""
        process, at = self._process(), self._clock()
        if process != self._of:
            self._of, self._seen_s = process, 0.0
        seen = self._waited(process) if process is not None else 0.0
        lost = max(seen - self._seen_s, 0.0)
        self._seen_s = max(seen, self._seen_s)
        self._now_s += max(at - self._at_s - lost, 0.0)
        self._at_s = at
        return self._now_s
