"""Is this version healthy enough to stay? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LOOP_BUDGET_S = 0.05
"""How late control's loop may come: half of what IEC 61851-1 leaves for opening (``agent.control.loop.OVERRUN_S``)."""


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
    loop_late_s: float | None
    """The latest tick that control told of; None while it has told nothing."""
    books: bool
    """What must be durable is written."""
    network: Network

    @property
    def missing(self) -> tuple[str, ...]:
        """What stands against it, in words; empty for a healthy version."""
        found = []
        if not self.control:
            found.append("control does not answer")
        if self.loop_late_s is not None and self.loop_late_s > LOOP_BUDGET_S:
            found.append(f"control's loop came {self.loop_late_s * 1000:.0f} ms late")
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
