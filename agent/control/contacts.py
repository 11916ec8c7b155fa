"""Watches the main contacts: do they do what they were told?"""

from __future__ import annotations

from agent.control.faults import Condition
from agent.control.persistence import Persistence
from agent.control.timing import FEEDBACK_S, WELD_CHECK_S
from agent.link.messages import FaultCode
from hal.values import ContactorReading


class ContactorWatch:
    """Compares feedback with the command. Without feedback it sees nothing, and says so by ``open_for_sure``."""

    __slots__ = ("_stuck", "_welded", "closed", "has_feedback", "known")

    def __init__(self) -> None:
        self._welded = Persistence()
        self._stuck = Persistence()
        self.has_feedback = False
        self.closed: bool | None = None
        """By feedback; None where there is none."""
        self.known = False
        """What can be known of the contacts is known now; False while the board is silent."""

    def update(
        self,
        reading: ContactorReading | None,
        alive: bool,
        commanded_closed: bool,
        commanded_at: float,
        now: float,
    ) -> dict[FaultCode, Condition]:
        """Return what is wrong. ``alive``: the reading is no older than its board's silence may be;
        ``commanded_at``: when the present command was first given."""
        self.known = alive
        self.closed = None if reading is None or not alive else reading.closed
        self.has_feedback = self.closed is not None
        found: dict[FaultCode, Condition] = {}
        settled_s = now - commanded_at
        # iec61851.md §4: must read open ~1 s after each opening, and before each close.
        # A reading from before the command proves nothing: the board may have fallen silent with it.
        contradicts = self.closed is True and not commanded_closed and reading is not None and reading.at > commanded_at
        if self._welded.held(contradicts, now, FEEDBACK_S / 2) and settled_s >= WELD_CHECK_S:
            found[FaultCode.CONTACTOR_WELDED] = Condition("contactor reads closed after the open command")
        if self._stuck.held(
            self.closed is False and commanded_closed and settled_s >= FEEDBACK_S / 2, now, FEEDBACK_S / 2
        ):
            found[FaultCode.CONTACTOR_STUCK_OPEN] = Condition("contactor reads open after the close command")
        return found

    @property
    def open_for_sure(self) -> bool:
        """The feedback, where there is one, reads open."""
        return self.known and self.closed is not True
