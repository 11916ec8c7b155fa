"""What is believed of an energy register: roll-over, standing still, jumps, another meter. In virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.metering import (
    CONFIRMATIONS,
    FROZEN_WH,
    JUMP_ALLOWANCE_WH,
    MAX_POWER_W,
    ROLL_OVER_CONFIRMATIONS,
    EnergyRegister,
    FrozenWatch,
    active_power_w,
    impossible,
    most_power_w,
)
from hal.values import Quality

GOOD, SUSPECT = Quality.GOOD, Quality.SUSPECT
END_WH = 1_000_000.0


def test_a_roll_over_continues_the_register() -> None:
    register = EnergyRegister(rollover_wh=END_WH)
    shown = [register.take(raw, float(at)) for at, raw in enumerate([999_990.0, 999_998.0, 3.0, 6.0, 9.0, 12.0])]
    assert [judged.quality for judged in shown] == [GOOD, GOOD, SUSPECT, SUSPECT, GOOD, GOOD]
    assert ROLL_OVER_CONFIRMATIONS == 3
    assert [judged.energy_wh for judged in shown if judged.quality is GOOD] == [
        999_990.0,
        999_998.0,
        1_000_009.0,
        1_000_012.0,
    ]
    assert shown[2].doubt == "the energy register may have rolled over"
    assert register.turns == 1


def test_a_single_reading_near_zero_is_no_roll_over() -> None:
    register = EnergyRegister(rollover_wh=END_WH)
    shown = [register.take(raw, float(at)) for at, raw in enumerate([999_998.0, 1.0, 999_999.0, 999_999.5])]
    assert [judged.quality for judged in shown] == [GOOD, SUSPECT, GOOD, GOOD]
    assert register.turns == 0


def test_a_fall_from_the_middle_is_no_roll_over_but_another_meter() -> None:
    register = EnergyRegister(rollover_wh=END_WH)
    register.take(500_000.0, 0.0)
    shown = [register.take(10.0, 1.0 + at) for at in range(CONFIRMATIONS + 1)]
    assert [judged.quality for judged in shown] == [SUSPECT] * CONFIRMATIONS + [GOOD]
    assert "went from 500000 to 10 Wh" in shown[0].doubt
    assert shown[-1].energy_wh == 10.0


def test_another_meter_after_a_roll_over_shows_its_own_register() -> None:
    register = EnergyRegister(rollover_wh=END_WH)
    for at, raw in enumerate([999_998.0, 3.0, 3.0, 3.0]):
        register.take(raw, float(at))
    assert register.turns == 1
    for at in range(CONFIRMATIONS + 1):
        judged = register.take(700_000.0, 10.0 + at)
    assert (judged.quality, judged.energy_wh, register.turns) == (GOOD, 700_000.0, 0)
    assert register.take(700_001.0, 22.0).quality is GOOD


def test_without_a_known_size_nothing_rolls_over() -> None:
    register = EnergyRegister()
    register.take(999_998.0, 0.0)
    shown = [register.take(3.0, 1.0 + at) for at in range(5)]
    assert {judged.quality for judged in shown} == {SUSPECT}


def test_a_register_that_stands_still_under_power_is_frozen_until_it_moves() -> None:
    register = EnergyRegister()
    qualities = [register.take(5000.0, float(at), 3680.0).quality for at in range(120)]
    assert qualities.count(SUSPECT) > 0
    first = qualities.index(SUSPECT)
    assert first == pytest.approx(FROZEN_WH / 3680.0 * 3600.0, abs=1.0)  # 98 s
    assert set(qualities[first:]) == {SUSPECT}
    moved = register.take(5122.0, 120.0, 3680.0)  # it has counted on inside
    assert (moved.quality, moved.energy_wh) == (GOOD, 5122.0)


def test_an_idle_register_is_not_frozen() -> None:
    register = EnergyRegister()
    assert {register.take(5000.0, float(at), 0.0).quality for at in range(0, 100_000, 100)} == {GOOD}


def test_a_coarse_register_may_stand_longer() -> None:
    coarse = FrozenWatch(step_wh=100.0)
    assert not any(coarse.update(5000.0, float(at), 3600.0) for at in range(300))
    assert coarse.update(5000.0, 305.0, 3600.0)


def test_power_is_not_assumed_over_a_long_silence() -> None:
    watch = FrozenWatch()
    watch.update(5000.0, 0.0, 11_000.0)
    assert not watch.update(5000.0, 100_000.0, 5000.0)


@pytest.mark.parametrize(
    ("power_w", "volts", "amperes", "active"),
    [
        (3680.0, (230.0,), (16.0,), 3680.0),
        (-3680.0, (230.0,), (16.0,), 0.0),  # energy flows back: the import register rests
        (0.0, (230.0,), (16.0,), 1840.0),  # the power register is frozen, too
        (None, (230.0,), (16.0,), 1840.0),
        (None, (), (), 0.0),
        (0.0, (230.0,), (1.0,), 0.0),  # a small idle current
        (11_000.0, (), (), 11_000.0),
    ],
)
def test_what_flows_by_the_meters_own_values(
    power_w: float | None, volts: tuple[float, ...], amperes: tuple[float, ...], active: float
) -> None:
    assert active_power_w(power_w, volts, amperes) == active


def test_rating_bounds_growth_and_current() -> None:
    assert most_power_w(0.0, 3) == MAX_POWER_W
    assert most_power_w(32.0, 1) == pytest.approx(11_080.0)
    assert impossible("current_a", 321.0, 32.0)
    assert not impossible("current_a", 319.0, 32.0)
    assert impossible("voltage_v", float("nan"))
    assert not impossible("energy_import_wh", 1e12)
    register = EnergyRegister(max_power_w=most_power_w(32.0, 1))
    register.take(0.0, 0.0)
    assert register.take(60.0, 10.0).quality is SUSPECT  # 60 Wh in 10 s is 21.6 kW
    assert register.take(40.0, 10.0).quality is GOOD


STEPS = st.lists(st.tuples(st.floats(0.1, 60.0), st.floats(0, 22_000.0)), min_size=1, max_size=80)


@given(STEPS, st.floats(0, END_WH - 1))
def test_an_honest_meter_is_always_believed_and_never_loses_over_its_end(
    steps: list[tuple[float, float]], begin_wh: float
) -> None:
    """True energy from ``begin_wh`` on, shown modulo the size of the register: what is handed out as good is true."""
    register = EnergyRegister(rollover_wh=END_WH)
    true_wh, at = begin_wh, 0.0
    suspect = 0
    assert register.take(true_wh, at).quality is GOOD
    for duration_s, power_w in steps:
        at += duration_s
        true_wh += power_w * duration_s / 3600
        judged = register.take(true_wh % END_WH, at, power_w)
        suspect += judged.quality is SUSPECT
        if judged.quality is GOOD:
            assert judged.energy_wh == pytest.approx(true_wh, abs=0.11)
    assert suspect <= ROLL_OVER_CONFIRMATIONS - 1


@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.sampled_from([0.0, 10.0, END_WH - 1, END_WH + 5])), max_size=60))
def test_good_readings_never_fall_and_never_run_away_without_ten_doubtful_ones_between(raws: list[float]) -> None:
    register = EnergyRegister(rollover_wh=END_WH)
    last: tuple[float, float] | None = None
    doubtful = 0
    for at, raw in enumerate(raws):
        judged = register.take(raw, float(at))
        assert bool(judged.doubt) == (judged.quality is SUSPECT)
        if judged.quality is SUSPECT:
            doubtful += 1
            continue
        if last is not None and doubtful < CONFIRMATIONS:
            grown_wh = judged.energy_wh - last[0]
            most_wh = MAX_POWER_W * (at - last[1]) / 3600 + JUMP_ALLOWANCE_WH
            assert -100 <= grown_wh <= most_wh + 100  # within the step of a float register of that size
        last, doubtful = (judged.energy_wh, float(at)), 0
