"""The simulated vehicle: pilot levels in the bands of IEC 61851-1, honest draw, a battery that fills."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.vehicle.cars import CARS, GENERIC
from simulators.vehicle.characters import CHARACTERS
from simulators.vehicle.circuit import NOTHING, Load, offered_current_a, peaks_v
from simulators.vehicle.vehicle import NO_CURRENT, Electrical, Vehicle, Wish

ALL = (True, True, True)
NONE = (False, False, False)
B_OHM, C_OHM, D_OHM = 2740.0, 882.0, 246.0


@pytest.mark.parametrize(
    ("load", "low", "high"),
    [
        (NOTHING, 11.40, 12.60),
        (Load(B_OHM), 8.36, 9.56),
        (Load(C_OHM), 5.48, 6.49),
        (Load(D_OHM), 2.62, 3.25),
        (Load(C_OHM, shunt_ohm=80.0), -1.0, 2.0),
    ],
)
def test_positive_peak_lies_in_its_band(load: Load, low: float, high: float) -> None:
    assert low <= peaks_v(50.0, load)[0] <= high
    assert low <= peaks_v(100.0, load)[0] <= high


def test_negative_peak_stays_at_minus_12_v_with_a_diode_and_follows_without() -> None:
    assert peaks_v(50.0, Load(C_OHM))[1] == pytest.approx(-12.0)
    high_v, low_v = peaks_v(50.0, Load(C_OHM, diode=False))
    assert abs(high_v + low_v) <= 1.2  # the board's check for a missing diode
    high_v, low_v = peaks_v(50.0, Load(C_OHM, shunt_ohm=80.0))
    assert abs(high_v + low_v) <= 1.2


def test_steady_pilot_has_one_level_and_a_dead_one_none() -> None:
    assert peaks_v(0.0, Load(B_OHM)) == (-12.0, -12.0)
    assert peaks_v(50.0, Load(B_OHM), powered=False) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("duty_pct", "current_a"),
    [
        (0, 0),
        (5, 0),
        (7.5, 0),
        (8, 6),
        (10, 6),
        (16.67, 10.002),
        (50, 30),
        (85, 51),
        (90, 65),
        (96.5, 80),
        (97.5, 0),
        (100, 0),
    ],
)
def test_offer_follows_the_duty_table(duty_pct: float, current_a: float) -> None:
    assert offered_current_a(duty_pct) == pytest.approx(current_a)


def run(vehicle: Vehicle, seconds: float, duty_pct: float, mains: tuple[bool, bool, bool] = ALL) -> Electrical:
    result = Electrical(0.0, 0.0, NO_CURRENT)
    for _ in range(round(seconds / 0.01)):
        result = vehicle.step(0.01, duty_pct, mains)
    return result


def test_normal_vehicle_goes_b_c_draws_and_stops() -> None:
    vehicle = Vehicle()
    assert run(vehicle, 5.0, 100.0, NONE).high_v == pytest.approx(8.98, abs=0.01)
    assert run(vehicle, 1.0, 25.0, NONE).high_v == pytest.approx(6.0, abs=0.01)
    assert run(vehicle, 4.0, 25.0).current_a == pytest.approx((15.0, 15.0, 15.0))
    assert run(vehicle, 5.0, 10.0).current_a == pytest.approx((6.0, 6.0, 6.0))
    stopped = run(vehicle, 3.0, 100.0)
    assert stopped.current_a == NO_CURRENT
    assert stopped.high_v > 8.0  # S2 open: B


def test_pause_ramps_down_before_s2_opens_and_not_ready_opens_at_once() -> None:
    vehicle = Vehicle()
    run(vehicle, 6.0, 25.0)
    vehicle.wish = Wish.PAUSE
    assert run(vehicle, 0.1, 25.0).high_v < 7.0
    assert run(vehicle, 2.0, 25.0).high_v > 8.0
    vehicle.wish = Wish.CHARGE
    run(vehicle, 6.0, 25.0)
    vehicle.wish = Wish.NOT_READY
    opened = vehicle.step(0.01, 25.0, ALL)
    assert opened.high_v > 8.0
    assert opened.current_a[0] > 10.0  # under load


@pytest.mark.parametrize("wake", ["ef", "dead", "x1"])
def test_sleeper_wakes_by_ef_or_by_x1_step_only(wake: str) -> None:
    vehicle = Vehicle(character=CHARACTERS["sleepy"])
    run(vehicle, 1.0, 100.0, NONE)
    assert run(vehicle, 60.0, 25.0, NONE).high_v > 8.0
    run(vehicle, 1.0, 100.0, NONE)
    assert run(vehicle, 10.0, 25.0, NONE).high_v > 8.0  # too short a step
    if wake == "x1":
        run(vehicle, 3.0, 100.0, NONE)
    else:
        for _ in range(400):
            vehicle.step(0.01, 0.0, NONE, powered=wake == "ef")
    assert run(vehicle, 2.0, 25.0, NONE).high_v < 7.0


def test_ignores_pwm_off_draws_on_until_the_contactor_opens() -> None:
    vehicle = Vehicle(character=CHARACTERS["ignores-pwm-off"])
    run(vehicle, 6.0, 25.0)
    assert run(vehicle, 6.0, 100.0).current_a[0] == pytest.approx(15.0)
    assert run(vehicle, 0.1, 100.0, NONE).current_a == NO_CURRENT


def test_bcb_toggle_shows_each_level_for_200_to_400_ms() -> None:
    vehicle = Vehicle(character=CHARACTERS["bcb-toggle"])
    run(vehicle, 1.0, 100.0, NONE)
    levels: list[tuple[bool, float]] = []
    for _ in range(500):
        in_c = vehicle.step(0.01, 5.0 if not levels else 25.0, NONE).high_v < 7.0
        if not levels or levels[-1][0] != in_c:
            levels.append((in_c, 0.0))
        levels[-1] = (in_c, levels[-1][1] + 0.01)
    assert [in_c for in_c, _ in levels] == [False, True, False, True, False, True]
    assert all(0.2 <= seconds <= 0.4 for _, seconds in levels[1:4])


@pytest.mark.parametrize(
    ("car", "mains", "duty_pct", "current_a"),
    [
        ("renault-zoe-r135", ALL, 53.33, (31.9, 31.9, 31.9)),
        ("tesla-model-3-lr", ALL, 53.33, (15.94, 15.94, 15.94)),
        ("tesla-model-3-lr", (True, False, False), 53.33, (32.0, 0.0, 0.0)),
        ("vw-id3-45", ALL, 53.33, (15.65, 15.65, 0.0)),
        ("nissan-leaf-40", ALL, 53.33, (28.7, 0.0, 0.0)),
        ("mitsubishi-outlander", ALL, 53.33, (16.09, 0.0, 0.0)),
        ("generic", (False, True, True), 53.33, NO_CURRENT),
    ],
)
def test_real_cars_draw_what_their_charger_takes(
    car: str, mains: tuple[bool, bool, bool], duty_pct: float, current_a: tuple[float, float, float]
) -> None:
    assert run(Vehicle(CARS[car]), 8.0, duty_pct, mains).current_a == pytest.approx(current_a, abs=0.05)


def test_a_dozen_real_cars() -> None:
    assert len(CARS) - 1 >= 12
    assert all(1 <= car.phases <= 3 and car.battery_wh > 0 for car in CARS.values())


def test_battery_tapers_fills_and_the_vehicle_stops_by_itself() -> None:
    vehicle = Vehicle(soc=0.965)
    currents = [run(vehicle, 30.0, 53.33).current_a[0] for _ in range(120)]
    assert max(currents) > 31.0
    assert any(4.0 < current_a < 28.0 for current_a in currents)
    assert vehicle.battery.full
    end = run(vehicle, 3.0, 53.33)
    assert end.current_a == NO_CURRENT
    assert end.high_v > 8.0


HONEST = sorted(name for name, character in CHARACTERS.items() if character.honest)
segments = st.lists(
    st.tuples(
        st.floats(0.0, 100.0),
        st.sampled_from([ALL, NONE, (True, False, False), (True, True, False)]),
        st.sampled_from(list(Wish)),
        st.floats(0.05, 8.0),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HONEST), st.sampled_from(sorted(CARS)), segments)
def test_honest_vehicles_never_draw_above_the_offer_nor_give_energy_back(
    character: str, car: str, story: list[tuple[float, tuple[bool, bool, bool], Wish, float, bool]]
) -> None:
    vehicle = Vehicle(CARS[car], CHARACTERS[character])
    dt_s, before_wh = 0.05, 0.0
    offers: list[float] = []
    for duty_pct, mains, wish, seconds, powered in story:
        vehicle.wish = wish
        for _ in range(max(1, round(seconds / dt_s))):
            result = vehicle.step(dt_s, duty_pct, mains, powered=powered)
            offers.append(offered_current_a(duty_pct) if powered else 0.0)
            # A lower duty is followed within 5 s (Table A.6, sequence 6).
            highest_a = max(offers[-round(5.0 / dt_s) :])
            assert all(0.0 <= current_a <= highest_a + 1e-9 for current_a in result.current_a)
            assert all(current_a == 0.0 for current_a, live in zip(result.current_a, mains, strict=True) if not live)
            assert vehicle.delivered_wh >= before_wh
            before_wh = vehicle.delivered_wh
    assert 0.0 <= vehicle.battery.soc <= 1.0


def test_generic_car_takes_32_a_on_three_phases() -> None:
    assert GENERIC.max_current_a(3) == pytest.approx(32.0)


@pytest.mark.parametrize(("name", "factor"), [("draws-a-tenth-too-much", 1.1), ("draws-half-too-much", 1.5)])
def test_greedy_vehicles_exceed_the_offer(name: str, factor: float) -> None:
    vehicle = Vehicle(character=CHARACTERS[name])
    assert run(vehicle, 8.0, 20.0).current_a[0] == pytest.approx(12.0 * factor)
