"""What tests judge: readings in, verdict and measured value out; and the plot of the pilot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.console.checks import charge_times, contactor_open, meter_values, pilot_level, register_moves
from agent.console.plot import Sample, plot, sample


def one(port: str, name: str, text: str = "", value: float | None = None, age_s: float | None = 0.1) -> dict[str, Any]:
    return {"port": port, "name": name, "text": text, "value": value, "age_s": age_s, "device": "b"}


def passed(checks: Any) -> list[bool | None]:
    return [each.passed for each in checks]


@pytest.mark.parametrize(
    ("feedback", "amps", "faults", "expected"),
    [
        ("no", 0.0, [], [True, True, True]),
        ("yes", 0.0, [], [False, True, True]),
        ("unknown", 0.1, [], [None, True, True]),
        ("no", 3.0, ["contactor_welded"], [True, False, False]),
        (None, None, [], [False, None, True]),
    ],
)
def test_an_open_contactor(feedback, amps, faults, expected) -> None:
    inputs = [one("contactor", "closed", feedback)] if feedback else []
    inputs += [one("meter", "current_a_l1", "", amps)] if amps is not None else []
    assert passed(contactor_open(inputs, faults)) == expected


def meter(wh: float, watt: float | None = 0.0, volts: float = 230.0, quality: str = "good", age_s: float = 0.1) -> Any:
    found = [one("meter", "energy_import_wh", "", wh, age_s), one("meter", "quality", quality)]
    found += [one("meter", "voltage_v_l1", f"{volts}", volts)]
    return found if watt is None else [*found, one("meter", "power_w", "", watt)]


def test_a_meter_by_itself() -> None:
    assert passed(meter_values(meter(1.0))) == [True, True, True]
    assert passed(meter_values(meter(1.0, volts=12.0, quality="suspect", age_s=60.0))) == [False, False, False]
    assert passed(meter_values([])) == [False]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (meter(100.0, 0.0), meter(100.0, 0.0), True),
        (meter(100.0, 0.0), meter(160.0, 0.0), False),
        (meter(100.0, 11_000.0), meter(130.0, 11_000.0), True),
        (meter(100.0, 22_000.0), meter(100.0, 22_000.0), False),
        (meter(100.0, 0.0), meter(99.0, 0.0), False),
        (meter(100.0, None), meter(100.0, None), None),
        ([], meter(100.0), False),
    ],
)
def test_a_register_moves_only_with_current(before, after, expected) -> None:
    assert register_moves(before, after, 10.0).passed is expected


@pytest.mark.parametrize(
    ("level", "state", "high_v", "low_v", "expected"),
    [
        ("A", "A", 11.9, None, True),
        ("A", "A", 9.0, -12.0, False),
        ("F", "F", -11.9, -12.0, True),
        ("F", "A", 11.9, 11.8, False),
        ("A", "A", None, None, True),
        ("A", "B", None, None, False),
        ("F", "A", None, None, None),
        ("F", "F", None, None, True),
        ("A", None, None, None, False),
    ],
)
def test_the_steady_levels_of_the_pilot(level, state, high_v, low_v, expected) -> None:
    inputs = [one("pilot", "state", state)] if state else []
    inputs += [one("pilot", name, "", value) for name, value in (("high_v", high_v), ("low_v", low_v)) if value]
    assert pilot_level(inputs, level).passed is expected


def change(at_s: float, pilot: str, closed: bool, permitted: bool = True, holds: tuple[str, ...] = ()) -> Any:
    return {"at_s": at_s, "pilot": pilot, "contactor_closed": closed, "permitted": permitted, "holds": [*holds]}


READY = [change(1.0, "B2", False), change(2.0, "C2", False), change(2.4, "C2", True)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([*READY, change(9.0, "B2", True), change(9.08, "B2", False)], [True, True]),
        ([*READY, change(9.0, "B2", True), change(9.9, "B2", False)], [True, False]),
        ([*READY, change(9.0, "C1", True, False, ("stopping",)), change(12.0, "B1", False, False)], [True, True]),
        ([*READY, change(9.0, "C1", True, False, ("stopping",)), change(16.0, "C1", False, False)], [True, False]),
        ([*READY[:2], change(6.0, "C2", True)], [False, None]),
        ([change(1.0, "A1", False)], [None, None]),
        ([], [None, None]),
    ],
)
def test_the_times_of_a_charge(changes, expected) -> None:
    assert passed(charge_times(changes)) == expected


def test_the_plot_shows_each_level_in_its_row() -> None:
    samples = [Sample(70.0, 12.0, False), Sample(100.0, 9.0, True), Sample(120.0, 5.8, True), Sample(1.0, 3.0, True)]
    drawn = plot(samples, 120.0, 68, False)
    assert [line[5] for line in drawn] == ["A", "B", "C", "D", "E", "F"]
    assert drawn[0].endswith(".")
    assert drawn[2][-1] == "#"
    assert drawn[3].rstrip().endswith("|"), "older than the plot"
    assert "\u2588" in plot(samples, 120.0, 68, True)[2]


def test_a_board_that_measures_nothing_is_drawn_by_its_state() -> None:
    live = {"state": "B2", "pilot_high_v": None, "at_s": 5.0, "duty_pct": 50.0}
    assert sample(live) == Sample(5.0, 9.0, True)
    assert sample({**live, "state": "?"}) is None


@given(
    samples=st.lists(st.builds(Sample, st.floats(-1e6, 1e6), st.floats(-50.0, 50.0), st.booleans()), max_size=50),
    columns=st.integers(1, 200),
)
def test_a_plot_fits_whatever_it_is_given(samples, columns) -> None:
    assert all(len(line) <= max(columns, 18) for line in plot(samples, 0.0, columns, False))
