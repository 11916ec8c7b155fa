"""A residual-current monitor on pins: trip, second trip, error, test and reset, with its self-test timed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hal.drivers.gpio.pins import Pin
from hal.drivers.gpio.unit import Unit, seen_at
from hal.drivers.monitor_test import MonitorTest, TestTimes
from hal.gpio.address import check_input, check_output
from hal.options import option
from hal.values import ResidualCurrentReading

STEP_S = 0.01
RESET_S = 0.25


@dataclass(frozen=True, slots=True)
class ResidualCurrentOptions:
    """Times of the self-test: defaults are those of X804-type modules (Tinkerforge evse-v2-bricklet, dc_fault.c)."""

    trip: str = option(
        help="input: active while the monitor has tripped (best so that a broken wire is active)",
        exclusive="GPIO line",
        check=check_input,
    )
    trip_ac: str = option(
        "", help="input: a second trip output (30 mA beside 6 mA)", exclusive="GPIO line", check=check_input
    )
    error: str = option(
        "", help="input: active while the monitor has a fault of its own", exclusive="GPIO line", check=check_input
    )
    test: str = option(
        "", help="output: active while the self-test is asked for", exclusive="GPIO line", check=check_output
    )
    reset: str = option("", help="output: a pulse clears a latched trip", exclusive="GPIO line", check=check_output)
    test_ms: float = option(250.0, help="how long the test output is active", unit="ms", ge=10, le=5000)
    trip_within_ms: float = option(740.0, help="by then the trip output must be active", unit="ms", ge=10, le=5000)
    trip_ac_within_ms: float = option(
        660.0, help="so much later at most, the second trip output must be active", unit="ms", ge=10, le=5000
    )
    release_within_ms: float = option(
        1200.0, help="so much later at most, all must be released again", unit="ms", ge=10, le=5000
    )

    @property
    def times(self) -> TestTimes | None:
        """None where there is no test line."""
        if not self.test:
            return None
        return TestTimes(
            trip_s=self.trip_within_ms / 1000,
            release_s=self.release_within_ms / 1000,
            drive_s=self.test_ms / 1000,
            second_trip_s=self.trip_ac_within_ms / 1000,
        )


class ResidualCurrentUnit(Unit):
    """Implements ResidualCurrentMonitor. While the test runs, a trip is the test's own."""

    def __init__(self, options: ResidualCurrentOptions, consumer: str) -> None:
        def pin(text: str, *, output: bool = False) -> Pin | None:
            return Pin(text, output=output, consumer=consumer) if text else None

        self._trip = Pin(options.trip, output=False, consumer=consumer)
        self._trip_ac, self._error = pin(options.trip_ac), pin(options.error)
        self._test_pin, self._reset_pin = pin(options.test, output=True), pin(options.reset, output=True)
        self._inputs = tuple(pin for pin in (self._trip, self._trip_ac, self._error) if pin is not None)
        self._test = MonitorTest(options.times)
        self._reset_until = -math.inf
        super().__init__(*self._inputs, self._test_pin, self._reset_pin)

    def residual_current(self) -> ResidualCurrentReading | None:
        if any(pin.level is None for pin in self._inputs):
            return None
        error = self._error is not None and bool(self._error.level)
        tripped = error or (self._tripped and not self._test.running)
        return ResidualCurrentReading(seen_at(*self._inputs), tripped, self._test.state, self._test.ended_at)

    def start_self_test(self, now: float) -> None:
        """No effect while the monitor is tripped, or its lines are not there."""
        if self._test_pin is None or not self._test_pin.is_open or self._tripped or self._lost:
            return
        self._test.start(now)
        self._work(now)

    def reset_residual_current(self, now: float) -> None:
        if self._reset_pin is not None and self._reset_pin.set(True):
            self._reset_until = now + RESET_S

    def on_edges(self, pin: Pin, events: object, now: float) -> None:  # noqa: ARG002 (the levels say it all)
        self._work(now)

    def on_timer(self, now: float) -> float:
        if self._test.running and (self._lost or (self._test_pin is not None and not self._test_pin.is_open)):
            self._test.abort()
        self._work(now)
        busy = self._test.running or (self._reset_pin is not None and bool(self._reset_pin.level))
        return now + STEP_S if busy else super().on_timer(now)

    def make_safe(self, now: float) -> None:  # noqa: ARG002 (part of the unit)
        self._test.abort()
        for pin in (self._test_pin, self._reset_pin):
            if pin is not None:
                pin.set(False)

    def trouble(self) -> str:
        if self._error is not None and self._error.level:
            return f"{self._error.address}: the residual-current monitor reports a fault of its own; check its supply"
        return ""

    @property
    def _lost(self) -> bool:
        return not all(pin.is_open for pin in self._inputs)

    @property
    def _tripped(self) -> bool:
        return bool(self._trip.level) or (self._trip_ac is not None and bool(self._trip_ac.level))

    def _work(self, now: float) -> None:
        second = None if self._trip_ac is None else bool(self._trip_ac.level)
        self._test.step(bool(self._trip.level), second, now)
        if self._test_pin is not None:
            self._test_pin.set(self._test.drives)
        if self._test.resets:
            self.reset_residual_current(now)
        if self._reset_pin is not None and now >= self._reset_until:
            self._reset_pin.set(False)
