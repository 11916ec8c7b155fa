"""How the uplink does, in words and in the log: what a technician is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.clock import Clock
from agent.ocpp.ports import UplinkReport, UplinkState
from agent.ocpp.quiet import QuietLog

LOGGER = logging.getLogger("agent.ocpp.tunnel")


class UplinkStatus:
    def __init__(self, clock: Clock, state: UplinkState, now: Callable[[], float]) -> None:
        """``now``: monotonic seconds."""
        self._clock = clock
        self._now = now
        self._last_error = ""
        self._quiet = QuietLog(LOGGER)
        self.report = UplinkReport(state, clock.now().utc_s)

    def note(self, state: UplinkState) -> None:
        """The uplink is in this state now."""
        if state is UplinkState.ACCEPTED:
            self._last_error = ""
        if state is not self.report.state:
            self.log(state.value, f"uplink is {state.value}")
            self.report = UplinkReport(state, self._clock.now().utc_s, self._last_error)
        elif self._last_error != self.report.last_error:
            self.report = UplinkReport(state, self.report.since_utc_s, self._last_error)

    def ended(self, why: str, *, by_command: bool, expected: bool) -> None:
        """A connection, or a try of one, has ended. Going offline by command, or leaving, is no fault."""
        self._last_error = "" if by_command else why
        level = logging.INFO if expected else logging.WARNING
        self.log("expected" if expected else "failed", f"uplink: {why}", level)

    def log(self, kind: str, text: str, level: int = logging.INFO) -> None:
        self._quiet.log(kind, self._now(), text, level)
