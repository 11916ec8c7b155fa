"""The residual-current self-test: before each close or once a day, never under energy (iec61851.md §8)."""

from __future__ import annotations

from agent.control.faults import Condition
from agent.control.timing import SELF_TEST_INTERVAL_S, SELF_TEST_TIMEOUT_S, SELF_TEST_TRIP_S
from hal.values import ResidualCurrentReading, SelfTest


class SelfTestControl:
    """Asks for the test and judges its result. A pass holds for a day at most; unless ``daily``, only until the
    contactor has been closed. A trip, and a reset of the monitor, end it in any case."""

    __slots__ = ("_asked_at", "_daily", "_failed", "_passed_at", "_pending", "_repeat_from", "running_until")

    def __init__(self, daily: bool = False) -> None:
        self._daily = daily
        self._asked_at: float | None = None
        self._passed_at: float | None = None
        self._failed = ""
        self._pending = False
        self._repeat_from = float("-inf")
        self.running_until = float("-inf")
        """End of the last time that a test was seen or asked to run: trips until then are the test's own."""

    def passed(self, reading: ResidualCurrentReading | None, offered: bool, now: float) -> bool:
        """True when the contactor may close as far as the test goes. ``offered``: the hardware has a monitor port."""
        if not offered or (reading is not None and reading.self_test is SelfTest.UNSUPPORTED):
            return True
        return self._passed_at is not None and now - self._passed_at < SELF_TEST_INTERVAL_S

    @property
    def busy(self) -> bool:
        """A test was asked for, and its result is not there yet."""
        return self._asked_at is not None

    def spent(self) -> None:
        """The contactor was closed: the next close needs a new test, unless one a day will do."""
        if not self._daily:
            self._passed_at = None

    def ask(self) -> None:
        """Run the test as soon as it may (a person or the network asks, or a latched failure was released)."""
        self._pending = True
        self._failed = ""

    def update(
        self, reading: ResidualCurrentReading | None, may_run: bool, now: float
    ) -> tuple[bool, Condition | None]:
        """Return whether to start the test now, and its failure. ``may_run``: contactor open for sure, pilot known."""
        if reading is None or (reading.self_test is SelfTest.NOT_RUN and self._asked_at is None):
            self._passed_at = None  # the monitor was reset or lost: what it once passed counts no more (row 31)
        if reading is None:
            self._asked_at = None
            return False, Condition(self._failed) if self._failed else None
        if reading.self_test is SelfTest.UNSUPPORTED:
            self._failed = ""
            self._asked_at = None
            return False, None
        if reading.self_test is SelfTest.RUNNING:
            self.running_until = now
        elif reading.tripped and self._asked_at is None and now >= self.running_until + SELF_TEST_TRIP_S:
            self._passed_at = None  # a monitor that has tripped in earnest proves itself anew
        if self._asked_at is not None:
            self._judge(reading, now)
        elif (
            reading.self_test is SelfTest.FAILED
            and self._passed_at is not None
            and self._ended(reading) > self._passed_at
        ):
            self._failed = "the residual-current self-test failed"
            self._passed_at = None
        start = False
        due = self._pending or self._passed_at is None or now - self._passed_at >= SELF_TEST_INTERVAL_S
        if self._asked_at is None and may_run and due and not self._failed and not reading.tripped:
            self._asked_at = self._repeat_from = now
            self.running_until = now
            self._pending = False
            start = True
        elif self._asked_at is not None and reading.self_test is SelfTest.NOT_RUN and now - self._repeat_from >= 1.0:
            self._repeat_from = now  # the request was lost, or the monitor was reset meanwhile
            start = may_run
        return start, Condition(self._failed) if self._failed else None

    def _judge(self, reading: ResidualCurrentReading, now: float) -> None:
        assert self._asked_at is not None
        answered = self._ended(reading) >= self._asked_at
        if answered and reading.self_test is SelfTest.PASSED:
            self._passed_at, self._asked_at, self.running_until = now, None, now
        elif answered and reading.self_test is SelfTest.FAILED:
            self._failed, self._asked_at, self._passed_at = "the residual-current self-test failed", None, None
        elif now - self._asked_at >= SELF_TEST_TIMEOUT_S:
            self._failed, self._asked_at, self._passed_at = "the residual-current self-test did not end", None, None
        else:
            self.running_until = now

    @staticmethod
    def _ended(reading: ResidualCurrentReading) -> float:
        return reading.at if reading.self_test_at is None else reading.self_test_at
