"""Self-test of a residual-current monitor through its TEST pin, as a machine over time.

TEST high must trip the monitor; then TEST goes low and the latch is reset, and the trip must clear. Both within
times that leave room for the slowest known module (740 ms to the 6 mA trip, 660 ms more to the 30 mA one, 1.2 s to
clear).
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.drivers.mcu_board.messages import RcdCommand
from hal.values import SelfTest

TRIP_TIMEOUT_S = 2.0
CLEAR_TIMEOUT_S = 3.0


@dataclass(slots=True)
class RcdSelfTest:
    state: SelfTest = SelfTest.NOT_RUN
    ended_at: float | None = None
    _deadline: float = 0.0
    _clearing: bool = False

    @property
    def running(self) -> bool:
        return self.state is SelfTest.RUNNING

    def start(self, now: float) -> RcdCommand | None:
        """Begin, unless one is running. Returns the command to send."""
        if self.running:
            return None
        self.state = SelfTest.RUNNING
        self._clearing = False
        self._deadline = now + TRIP_TIMEOUT_S
        return RcdCommand(test=True)

    def on_flags(self, tripped: bool, failed: bool, now: float) -> RcdCommand | None:
        """Take the board's flags. Returns the command to send, if any."""
        if failed:
            was_running = self.running
            self._end(SelfTest.FAILED, now)
            return RcdCommand() if was_running else None
        if not self.running:
            return None
        if tripped and not self._clearing:
            self._clearing = True
            self._deadline = now + CLEAR_TIMEOUT_S
            return RcdCommand(reset=True)
        if not tripped and self._clearing:
            self._end(SelfTest.PASSED, now)
        return None

    def on_timer(self, now: float) -> RcdCommand | None:
        """Fail a test that takes too long. Returns the command to send, if any."""
        if not self.running or now < self._deadline:
            return None
        self._end(SelfTest.FAILED, now)
        return RcdCommand()

    def abort(self) -> None:
        """The board was reset or lost: what the test would have said is unknown."""
        self.state, self.ended_at = SelfTest.NOT_RUN, None

    def _end(self, state: SelfTest, now: float) -> None:
        if self.state is not state or self.ended_at is None:
            self.ended_at = now
        self.state = state
