"""Bands, hysteresis, debounce, diode and toggle, by table."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.control.pilot import DiodeCheck, PilotClassifier, ToggleGuard, classify
from hal.values import PilotReading, PilotState

A, B, C, D, E, F, X = (
    PilotState.A,
    PilotState.B,
    PilotState.C,
    PilotState.D,
    PilotState.E,
    PilotState.F,
    PilotState.INVALID,
)


@pytest.mark.parametrize(
    ("volts", "state"),
    [
        (13.01, X),
        (13.0, A),
        (12.0, A),
        (11.4, A),
        (11.0, A),
        (10.0, B),
        (9.0, B),
        (8.36, B),
        (8.0, B),
        (7.0, C),
        (6.0, C),
        (5.0, C),
        (4.0, D),
        (3.0, D),
        (2.0, D),
        (1.99, E),
        (0.0, E),
        (-1.0, E),
        (-2.0, E),
        (-2.01, X),
        (-10.99, X),
        (-11.0, F),
        (-12.0, F),
        (-13.0, F),
        (-13.01, X),
        (math.nan, X),
        (math.inf, X),
        (-math.inf, X),
    ],
)
def test_bands(volts: float, state: PilotState) -> None:
    assert classify(volts, None) is state


@pytest.mark.parametrize(
    ("volts", "before", "state"),
    [
        (10.5, A, A),
        (10.5, B, B),
        (10.5, None, B),
        (7.5, B, B),
        (7.5, C, C),
        (7.5, A, C),
        (4.5, C, C),
        (4.5, D, D),
        (4.5, B, D),
    ],
)
def test_between_two_bands_the_old_state_decides(volts: float, before: PilotState | None, state: PilotState) -> None:
    assert classify(volts, before) is state


@given(st.floats(), st.sampled_from([None, *PilotState]))
def test_every_level_has_a_state(volts: float, before: PilotState | None) -> None:
    assert classify(volts, before) in PilotState


def feed(*volts: float) -> PilotState | None:
    classifier = PilotClassifier()
    for number, each in enumerate(volts):
        classifier.update(PilotReading(number * 0.02, None, each, -12.0), number * 0.02)
    return classifier.state


@pytest.mark.parametrize(
    ("volts", "state"),
    [
        ((6.0,), None),
        ((6.0, 6.0), C),
        ((9.0, 9.0, 6.0), B),
        ((9.0, 9.0, 6.0, 9.0), B),
        ((9.0, 9.0, 6.0, 6.0), C),
        ((6.0, 6.0, 9.0), B),
        ((6.0, 6.0, 12.0), A),
        ((6.0, 6.0, 0.0), E),
        ((6.0, 6.0, 3.0), D),
        ((3.0, 3.0, 6.0), D),
        ((12.0, 12.0, 9.0, 6.0), A),
    ],
)
def test_entering_takes_two_equal_readings_leaving_c_takes_one(
    volts: tuple[float, ...], state: PilotState | None
) -> None:
    assert feed(*volts) is state


def test_the_same_reading_counts_once() -> None:
    classifier = PilotClassifier()
    reading = PilotReading(1.0, None, 6.0, -12.0)
    for now in (1.0, 1.01, 1.02):
        assert not classifier.update(reading, now)
    assert classifier.state is None


def test_a_measured_pilot_that_is_old_is_no_pilot() -> None:
    classifier = PilotClassifier()
    for at in (1.0, 1.02):
        classifier.update(PilotReading(at, None, 6.0, -12.0), at)
    assert not classifier.update(PilotReading(1.02, None, 6.0, -12.0), 1.5)
    assert classifier.state is C
    assert classifier.update(PilotReading(1.02, None, 6.0, -12.0), 1.53)
    assert classifier.state is None


def test_a_board_is_taken_at_its_word() -> None:
    classifier = PilotClassifier()
    classifier.update(PilotReading(1.0, C, 9.0, 9.0), 1.0)
    assert classifier.state is C
    assert not classifier.measured
    classifier.update(None, 1.1)
    assert classifier.state is None


def look(check: DiodeCheck, low_v: float | None, at: float, pwm_since: float | None = 0.0) -> bool:
    return check.update(PilotReading(at, None, 6.0, low_v), pwm_since)


def test_diode_needs_a_negative_peak_with_pwm_on() -> None:
    check = DiodeCheck()
    look(check, -12.0, 1.0, pwm_since=None)
    assert not check.ok
    look(check, -12.0, 1.05, pwm_since=1.0)
    assert not check.ok, "too early"
    look(check, None, 1.2, pwm_since=1.0)
    assert not check.ok
    look(check, -12.0, 1.3, pwm_since=1.0)
    assert check.ok
    look(check, -12.0, 1.4, pwm_since=None)
    assert not check.ok, "passed since PWM was last switched on"


def test_diode_fault_takes_two_readings() -> None:
    check = DiodeCheck()
    assert not look(check, -6.0, 1.0)
    assert not look(check, -6.0, 1.0)
    assert look(check, -6.0, 1.02)
    assert not check.ok


def test_toggle_guard_waits_only_while_a_toggle_may_run() -> None:
    guard = ToggleGuard()
    guard.update(B, 0.0, 0.0)
    assert not guard.update(C, 0.0, 1.0)
    assert guard.update(C, 0.0, 1.5)
    guard.update(B, 0.0, 10.0)
    assert guard.update(C, 0.0, 20.0), "long after the pilot started"
    guard.update(B, 0.0, 20.3)
    assert not guard.update(C, 0.0, 20.6), "the last C was too short"
    assert guard.update(C, 0.0, 21.1)


def test_no_s2_no_toggle() -> None:
    guard = ToggleGuard()
    guard.update(A, None, 0.0)
    assert guard.update(C, None, 1.0)
    assert guard.update(C, 1.1, 1.1)
