"""Watches the main contacts: do they do what they were told?"""

from __future__ import annotations

from agent.control.faults import Condition
from agent.control.persistence import Persistence
from agent.control.timing import CONTROLLER_OPENS_S, FEEDBACK_S, WELD_CHECK_S
from agent.link.messages import FaultCode
from hal.values import ContactorReading


class ContactorWatch:
    """Compares feedback with the command. Without feedback it sees nothing, and says so by ``open_for_sure``."""

    __slots__ = ("_stuck", "_welded", "closed", "has_feedback", "known", "rests_at")

    def __init__(self) -> None:
        self._welded = Persistence()
        self._stuck = Persistence()
        self.has_feedback = False
        self.closed: bool | None = None
        """By feedback; None where there is none."""
        self.rests_at: float | None = None
        """When a charge controller's contacts were last read open."""
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

    def follow(
        self, reading: ContactorReading | None, alive: bool, open_since: float | None, now: float
    ) -> dict[FaultCode, Condition]:
        """The same for a charge controller, which closes and opens by itself.

        ``open_since``: from when on its contacts should be open, because the pilot is steady or no vehicle asks for
        energy; None while they may be closed.
        """
        self.known = alive
        self.closed = None if reading is None or not alive else reading.closed
        self.has_feedback = self.closed is not None
        self.rests_at = None if reading is None or self.closed is not False else reading.at
        overdue = open_since is not None and now - open_since >= CONTROLLER_OPENS_S
        if self.closed is True and overdue and reading is not None and reading.at > (open_since or 0.0):
            return {FaultCode.CONTACTOR_WELDED: Condition("the controller's contacts stay closed")}
        return {}

    def at_rest(self, steady_since: float | None, now: float) -> bool:
        """A charge controller has opened since it was told to: read so after that, or, without feedback, given time."""
        if not self.known or steady_since is None:
            return False
        if self.has_feedback:
            return self.rests_at is not None and self.rests_at > steady_since
        return now - steady_since >= CONTROLLER_OPENS_S

    @property
    def open_for_sure(self) -> bool:
        """The feedback, where there is one, reads open."""
        return self.known and self.closed is not True
