"""Is this version healthy enough to stay? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

LOOP_BUDGET_S = 0.05
"""How late control's loop may come: half of what IEC 61851-1 leaves for opening (``agent.control.loop.OVERRUN_S``)."""


LATE_SHARE = 0.05
"""So many of its ticks may come later: any machine is late now and then, above all right after a start. Own."""


class Network(Enum):
    NONE = "none"
    """There is none to answer."""
    ACCEPTED = "accepted"
    UNREACHABLE = "unreachable"
    """No connection: its fault, ours, or the line's."""
    NOT_ACCEPTED = "not_accepted"
    """It answers, and does not take us (BootNotification pending, rejected or without an answer)."""


@dataclass(frozen=True, slots=True)
class Health:
    control: bool
    """Control answers."""
    loop_late: float | None
    """Share of control's ticks that came later, in its latest report; None while it has told nothing."""
    books: bool
    """What must be durable is written."""
    network: Network

    @property
    def missing(self) -> tuple[str, ...]:
        """What stands against it, in words; empty for a healthy version."""
        found = []
        if not self.control:
            found.append("control does not answer")
        if self.loop_late is not None and self.loop_late > LATE_SHARE:
            found.append(f"{self.loop_late:.0%} of control's ticks came more than {LOOP_BUDGET_S * 1000:.0f} ms late")
        if not self.books:
            found.append("the journal does not write")
        if not self.online:
            found.append(f"the network is {self.network.value.replace('_', ' ')}")
        return tuple(found)

    @property
    def online(self) -> bool:
        return self.network in (Network.NONE, Network.ACCEPTED)

    @property
    def offline_sane(self) -> bool:
        """Nothing is wrong but that the network cannot be reached."""
        return self.network is Network.UNREACHABLE and len(self.missing) == 1


def late_share(before: Sequence[int], counts: Sequence[int], bounds_s: Sequence[float]) -> float | None:
    """Return the share of ticks later than the budget among those that two reports of control lie apart.

    ``counts`` per bucket since control began, ``before`` those of its report before (empty: there was none);
    ``bounds_s`` are the buckets' upper bounds. None when no tick lies between the two.
    """
    if len(before) != len(counts) or any(new < old for new, old in zip(counts, before, strict=True)):
        before = [0] * len(counts)  # another start of control
    ticks = [new - old for new, old in zip(counts, before, strict=True)]
    late = sum(number for number, bound_s in zip(ticks[1:], bounds_s, strict=False) if bound_s >= LOOP_BUDGET_S)
    return late / sum(ticks) if sum(ticks) else None
