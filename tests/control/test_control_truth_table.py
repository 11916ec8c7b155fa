"""The truth table of iec61851.md §14, one test per row, in virtual time. Times are the table's own."""

from __future__ import annotations

import itertools

import pytest
from control_rig import MEASURED, Rig

from agent.control.limits import duty_of
from agent.link.messages import FaultCode, Hold
from hal.values import BoardError, Cable, Indication, SelfTest

OPEN_S = 0.1
"""Sequences 8.1, 8.2, 2.1, 2.2."""


def test_row_01_a_idle() -> None:
    rig = Rig()
    rig.run(3.0)
    assert (rig.x1, rig.closed, rig.locked) == (True, False, False)
    assert rig.holds[0] is Hold.NOT_PLUGGED
    assert rig.out.indication is Indication.AVAILABLE


def test_row_01_a_with_a_permit_stays_steady() -> None:
    rig = Rig()
    rig.permit()
    rig.run(5.0)
    assert rig.x1
    assert not rig.closed


def test_row_02_plugged_but_not_authorised() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.run(5.0)
    assert (rig.x1, rig.closed) == (True, False)
    assert rig.holds[0] is Hold.NO_PERMIT
    assert rig.out.indication is Indication.PREPARING


def test_row_02_the_agent_may_have_the_cable_held() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.core.hold_cable(True)
    rig.until("lock_closed", 1.0)
    rig.core.hold_cable(False)
    rig.until("lock_open", 5.0)


def test_row_03_b_authorised() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(16.0)
    rig.until("pwm", 3.0)
    rig.run(0.1)
    assert rig.duty == duty_of(16.0)
    assert (rig.closed, rig.locked) == (False, True)
    assert rig.holds == (Hold.VEHICLE_NOT_READY,)


def test_row_04_limit_below_minimum() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(5.9)
    rig.run(5.0)
    assert (rig.x1, rig.closed, rig.locked) == (True, False, True)
    assert rig.holds[0] is Hold.LIMIT_BELOW_MINIMUM


@pytest.mark.parametrize("settings", [None, MEASURED], ids=["classified", "measured"])
def test_row_05_closes_within_3_s(settings: object) -> None:
    rig = Rig(MEASURED) if settings else Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 3.0)
    rig.vehicle = "C"
    assert rig.until("closed", 3.0) <= 3.0
    assert rig.holds == ()
    assert rig.locked is True
    assert rig.out.indication is Indication.CHARGING


@pytest.mark.parametrize(
    "obstacle",
    ["lock", "self_test", "weld", "diode_unseen", "cable"],
)
def test_row_06_checks_pending_or_failed(obstacle: str) -> None:
    rig = Rig(MEASURED)
    if obstacle == "lock":
        rig.lock_works = False
    elif obstacle == "self_test":
        rig.test_passes = False
    elif obstacle == "weld":
        rig.contactor_closed = rig.welded = True
    elif obstacle == "cable":
        rig.cable = Cable.FAULT
    rig.run(2.0)
    rig.vehicle = "B"
    rig.diode = obstacle != "diode_unseen"
    rig.permit()
    rig.run(3.0)
    rig.vehicle = "C"
    rig.run(30.0)
    assert rig.closed_times == []


def test_row_07_c_to_b_opens_within_100_ms_and_keeps_the_offer() -> None:
    rig = Rig()
    rig.charge()
    rig.vehicle = "B"
    assert rig.until("opened", OPEN_S) <= OPEN_S
    assert rig.pwm
    rig.run(3.0)
    assert rig.locked is True


def test_row_07_a_measured_pilot_opens_on_the_first_reading() -> None:
    rig = Rig(MEASURED)
    rig.charge()
    rig.vehicle = "B"
    rig.tick()
    assert rig.opened


@pytest.mark.parametrize("settings", [None, MEASURED], ids=["classified", "measured"])
def test_row_08_c_to_a_opens_within_100_ms_and_unlocks_within_5_s(settings: object) -> None:
    rig = Rig(MEASURED) if settings else Rig()
    rig.charge()
    rig.vehicle = "A"
    rig.current_a = 0.0
    assert rig.until("opened", OPEN_S) <= OPEN_S
    rig.until("lock_open", 5.0)
    assert rig.x1


@pytest.mark.parametrize("reason", ["withdraw", "limit", "inoperative"])
@pytest.mark.parametrize("obeys", [True, False])
def test_row_09_stop(reason: str, obeys: bool) -> None:
    rig = Rig()
    rig.charge()
    if reason == "withdraw":
        rig.core.withdraw()
    elif reason == "limit":
        rig.permit(5.0)
    else:
        rig.core.set_operative(False)
    rig.tick()
    assert rig.x1
    assert rig.closed
    assert rig.holds[0] is Hold.STOPPING
    if obeys:
        rig.run(1.0)
        rig.vehicle = "B"
        assert rig.until("opened", OPEN_S) <= OPEN_S
    else:
        took = rig.until("opened", 6.0)
        assert 5.9 <= took <= 6.0
    assert rig.locked is True
    if reason == "inoperative":
        rig.run(0.1)
        assert rig.f


def test_row_10_new_limit_within_10_s_and_not_more_often_than_every_5_s() -> None:
    rig = Rig()
    rig.charge(16.0)
    rig.run(5.0)
    changes: list[float] = []
    last = rig.duty
    asked_at = rig.now
    for second in range(20):
        rig.permit(20.0 if second % 2 else 10.0)
        for _ in range(100):
            rig.tick()
            if rig.duty != last:
                changes.append(rig.now)
                last = rig.duty
    assert changes[0] - asked_at <= 10.0
    assert all(later - earlier >= 5.0 - 1e-6 for earlier, later in itertools.pairwise(changes))
    assert rig.closed


def test_row_11_ventilation() -> None:
    rig = Rig()
    rig.charge()
    rig.vehicle = "D"
    assert rig.until("opened", 3.0) <= OPEN_S
    rig.run(1.0)
    assert rig.faults == {FaultCode.VENTILATION}
    assert rig.x1
    assert rig.locked is True


def test_row_11_d_charges_where_ventilated() -> None:
    rig = Rig(ventilation=True)
    rig.charge()
    rig.vehicle = "D"
    rig.run(5.0)
    assert rig.closed
    assert rig.no_faults


@pytest.mark.parametrize("volts", [0.0, -5.0, 14.0, float("nan")])
def test_row_12_pilot_out_of_band(volts: float) -> None:
    rig = Rig(MEASURED)
    rig.charge()
    rig.high_v = volts
    assert rig.until("opened", 3.0) <= OPEN_S
    rig.run(3.0)
    assert rig.faulted(FaultCode.PILOT)
    assert rig.f
    assert rig.locked is True
    rig.high_v, rig.vehicle = None, "C"
    rig.run(60.0)
    assert rig.faulted(FaultCode.PILOT), "latched to A"
    rig.vehicle = "A"
    rig.until("no_faults", 6.0)


def test_row_12_state_e_from_a_board() -> None:
    rig = Rig()
    rig.charge()
    rig.vehicle = "E"
    assert rig.until("opened", 3.0) <= OPEN_S
    rig.run(2.0)
    assert rig.faulted(FaultCode.PILOT)
    assert rig.f


def test_row_13_diode_before_closing() -> None:
    rig = Rig(MEASURED)
    rig.run(2.0)
    rig.vehicle, rig.diode = "B", False
    rig.permit()
    rig.run(3.0)
    assert rig.faulted(FaultCode.DIODE)
    shown = [out.duty_pct for _, out in rig.history if any(r.code is FaultCode.DIODE for r in out.reports)]
    assert shown == [100.0]
    rig.run(1.5)
    assert rig.f
    rig.vehicle = "C"
    rig.run(30.0)
    assert rig.closed_times == []


def test_row_13_diode_while_closed() -> None:
    rig = Rig(MEASURED)
    rig.charge()
    rig.diode = False
    assert rig.until("opened", 3.0) <= 3.0
    assert rig.faulted(FaultCode.DIODE)


@pytest.mark.parametrize("source", ["reading", "board"])
def test_rows_14_and_15_residual_current_iec(source: str) -> None:
    rig = Rig()
    rig.charge()
    if source == "reading":
        rig.tripped = True
    else:
        rig.board_errors = {BoardError.RESIDUAL_CURRENT}
    assert rig.until("opened", 0.04) <= 0.04
    rig.run(0.05)
    assert rig.f
    assert rig.faulted(FaultCode.RESIDUAL_CURRENT)
    assert rig.locked is True
    rig.run(4 * 3600.0 / 100)  # no retry, however long it is plugged in
    assert rig.faulted(FaultCode.RESIDUAL_CURRENT)
    rig.vehicle = "A"
    rig.board_errors = set()
    rig.until("no_faults", 20.0)


def test_row_16_us_retries_after_15_minutes_four_times() -> None:
    rig = Rig(us_residual_current=True)
    rig.charge()
    for attempt in range(5):
        rig.run(11.0)
        assert rig.closed, rig.describe()
        rig.tripped = True
        rig.until("opened", 0.1)
        rig.vehicle = "B"
        _skip(rig, 899.0)
        assert rig.faulted(FaultCode.RESIDUAL_CURRENT)
        _skip(rig, 30.0)
        if attempt < 4:
            assert rig.no_faults, rig.describe()
            rig.permit()
            rig.until("pwm", 10.0)
            rig.vehicle = "C"
            rig.until("closed", 5.0)
    assert rig.faulted(FaultCode.RESIDUAL_CURRENT), "locked out after the fourth retry"
    rig.vehicle = "A"
    rig.until("no_faults", 20.0)


def test_row_16_us_no_retry_when_it_trips_within_10_s() -> None:
    rig = Rig(us_residual_current=True)
    rig.charge()
    rig.run(5.0)
    rig.tripped = True
    rig.until("opened", 0.1)
    _skip(rig, 3000.0)
    assert rig.faulted(FaultCode.RESIDUAL_CURRENT)


def test_row_17_self_test_fails() -> None:
    rig = Rig()
    rig.test_passes = False
    rig.run(5.0)
    assert rig.faulted(FaultCode.RESIDUAL_SELF_TEST)
    assert rig.f
    rig.vehicle = "C"
    rig.permit()
    rig.run(30.0)
    assert rig.closed_times == []
    rig.test_passes = True
    rig.core.clear_fault(FaultCode.RESIDUAL_SELF_TEST)
    rig.until("no_faults", 15.0)
    rig.run(1.0)
    assert rig.self_test is SelfTest.PASSED


def test_row_18_over_current_stops() -> None:
    rig = Rig()
    rig.charge(10.0)
    rig.current_a = (10.0 + 0.5) * 1.1 + 0.3
    began = rig.now
    while not rig.faulted(FaultCode.OVER_CURRENT):
        assert rig.now - began <= 7.0 + 1.0
        rig.tick()
    assert rig.now - began >= 6.0
    assert rig.x1
    rig.until("opened", 6.0)


def test_row_18_gross_over_current_opens_at_once() -> None:
    rig = Rig()
    rig.charge(10.0)
    rig.run(6.0)
    rig.current_a = (10.0 + 0.5) * 1.3 + 0.3
    rig.until("opened", 2.0)
    assert rig.faulted(FaultCode.OVER_CURRENT)
    rig.current_a = 0.0
    rig.run(70.0)
    assert rig.no_faults, "one retry"
    rig.until("closed", 10.0)
    rig.run(6.0)
    rig.current_a = 30.0
    rig.until("opened", 2.0)
    _skip(rig, 600.0)
    assert rig.faulted(FaultCode.OVER_CURRENT), "and no second one"


def test_row_19_weld() -> None:
    rig = Rig()
    rig.charge()
    rig.welded = True
    rig.vehicle = "B"
    rig.until("opened", OPEN_S)
    began = rig.now
    while not rig.faulted(FaultCode.CONTACTOR_WELDED):
        assert rig.now - began <= 1.05
        rig.tick()
    assert rig.f
    rig.vehicle = "A"
    rig.run(30.0)
    assert rig.locked is True, "behind a welded contactor the plug is live"
    assert rig.f
    rig.core.clear_fault(FaultCode.CONTACTOR_WELDED)
    rig.run(5.0)
    assert rig.faulted(FaultCode.CONTACTOR_WELDED), "nobody clears it while it reads closed"
    rig.welded = False
    rig.until("no_faults", 5.0)


def test_row_20_commanded_closed_feedback_open() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.stuck_open = True
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 3.0)
    rig.vehicle = "C"
    rig.until("closed", 3.0)
    assert rig.until("opened", 0.5 + 0.02) <= 0.52
    assert rig.faults == {FaultCode.CONTACTOR_STUCK_OPEN}
    assert rig.x1
    rig.run(60.0)
    assert len(rig.closed_times) == 1


def test_row_21_open_pen() -> None:
    rig = Rig(monitor_open_pen=True)
    rig.charge()
    rig.voltage_v = (200.0, 235.0, 235.0)
    took = rig.until("opened", 6.0)
    assert took >= 4.9
    assert FaultCode.PROTECTIVE_EARTH in rig.faults
    assert rig.f
    rig.run(10.0)
    assert rig.f, "as long as it lasts"
    rig.voltage_v = (230.0, 230.0, 230.0)
    rig.run(29.0)
    assert rig.closed_times == rig.closed_times[:1]
    rig.run(10.0)
    assert rig.no_faults


def test_row_22_voltage_out_of_band() -> None:
    rig = Rig()
    rig.charge()
    rig.voltage_v = (230.0, 190.0, 230.0)
    took = rig.until("opened", 10.0)
    assert took >= 4.9
    assert rig.faults == {FaultCode.SUPPLY_VOLTAGE}
    assert rig.x1
    rig.voltage_v = (230.0, 230.0, 230.0)
    rig.run(29.0)
    assert rig.faults
    rig.until("no_faults", 3.0)
    rig.until("closed", 10.0)


def test_row_23_temperature_derates_pauses_opens() -> None:
    rig = Rig()
    rig.charge(32.0)
    rig.temperature_c, rig.current_a = 70.0, 19.0
    rig.run(11.0)
    assert rig.closed
    assert rig.core.offered_a == pytest.approx(19.0, abs=0.02)
    assert rig.core.limited_by == "temperature"
    rig.temperature_c = 76.0
    rig.tick()
    assert rig.x1
    rig.until("opened", 6.0)
    rig.temperature_c = 71.0
    rig.run(20.0)
    assert rig.faulted(FaultCode.TEMPERATURE), "hysteresis"
    rig.temperature_c = 69.0
    rig.until("no_faults", 2.0)
    rig.until("closed", 10.0)
    rig.temperature_c = 80.0
    assert rig.until("opened", 0.1) <= 0.02
    assert rig.f


def test_row_23_a_broken_sensor_counts_as_too_hot() -> None:
    rig = Rig()
    rig.charge()
    rig.temperature_c = None
    rig.until("opened", 6.0)
    assert rig.faulted(FaultCode.TEMPERATURE)


@pytest.mark.parametrize("cable", [Cable.A20, Cable.NONE, Cable.FAULT])
def test_row_24_proximity_changes_during_c(cable: Cable) -> None:
    rig = Rig()
    rig.charge()
    rig.cable = cable
    assert rig.until("opened", 1.0) <= 1.0
    assert rig.faults == {FaultCode.CABLE}
    assert rig.x1
    rig.vehicle, rig.cable = "A", Cable.NONE
    rig.until("no_faults", 5.0)


def test_row_25_lock_feedback_lost_in_c() -> None:
    rig = Rig()
    rig.charge()
    rig.lock_works, rig.locked = False, False
    assert rig.until("opened", 3.0) <= 3.0
    assert rig.faulted(FaultCode.LOCK)
    assert rig.x1


def test_row_26_emergency_stop() -> None:
    rig = Rig()
    rig.charge()
    rig.emergency = True
    assert rig.until("opened", 0.05) <= 0.02
    assert rig.f
    assert rig.holds[0] is Hold.EMERGENCY_STOP
    rig.until("lock_open", 5.0)
    rig.run(60.0)
    assert rig.f
    rig.emergency = False
    rig.run(60.0)
    assert rig.faulted(FaultCode.EMERGENCY_STOP), "never resumes by itself"
    assert len(rig.closed_times) == 1
    rig.core.clear_fault(FaultCode.EMERGENCY_STOP)
    rig.until("no_faults", 2.0)


def test_row_27_board_silent() -> None:
    rig = Rig()
    rig.charge()
    rig.board_silent = True
    took = rig.until("opened", 5.0 + 0.02)
    assert took >= 4.9
    assert rig.faulted(FaultCode.BOARD_LOST)
    assert rig.f
    rig.run(10.0)
    assert rig.faults == {FaultCode.BOARD_LOST, FaultCode.METER}, "the feedback of a silent board is no weld"
    assert rig.out.observation is not None
    assert rig.out.observation.contactor_closed is None
    rig.board_silent = False
    rig.vehicle = "C"
    rig.until("no_faults", 3.0)
    before = len(rig.closed_times)
    rig.until("closed", 12.0)
    assert len(rig.closed_times) == before + 1
    assert rig.tests >= 2, "every check again"


def test_row_27_board_reset() -> None:
    rig = Rig()
    rig.charge()
    rig.board_resets = 1
    assert rig.until("opened", 0.1) <= 0.02
    assert rig.x1
    reopened = rig.now
    rig.until("closed", 15.0)
    assert rig.now - reopened >= 5.0


def test_row_28_mains_fail() -> None:
    rig = Rig()
    rig.charge()
    rig.voltage_v = (0.0, 0.0, 0.0)
    rig.current_a = 0.0
    assert rig.until("opened", 3.0) <= 3.0
    assert rig.faulted(FaultCode.MAINS)
    rig.until("lock_open", 3.0)


@pytest.mark.parametrize("stop", [False, True])
def test_row_29_meter_lost(stop: bool) -> None:
    rig = Rig(stop_on_meter_loss=stop)
    rig.charge()
    rig.meter_silent = True
    rig.run(11.0)
    assert rig.faults == {FaultCode.METER}
    if stop:
        assert rig.x1
        rig.until("opened", 6.0)
    else:
        rig.run(20.0)
        assert rig.closed


def test_row_30_phase_switch() -> None:
    rig = Rig()
    rig.charge()
    _skip(rig, 300.0, charging=True)
    rig.permit(16.0, phases=1)
    rig.tick()
    assert rig.x1
    phases = {out.phases for _, out in rig.history[-2:] if out.contactor}
    assert phases <= {None}, "never touched while closed"
    rig.vehicle = "B"
    rig.until("opened", 0.1)
    opened_at = rig.now
    while rig.out.phases != 1:
        assert rig.x1
        rig.tick()
        assert rig.now - opened_at < 20.0
    assert rig.now - opened_at >= 10.0
    assert rig.locked is True
    rig.until("pwm", 5.0)
    rig.vehicle = "C"
    rig.until("closed", 3.0)
    assert rig.core.phase_switch.phases == 1


def test_row_31_restart_with_a_vehicle_in_c() -> None:
    rig = Rig(vehicle="C")
    rig.locked = True
    rig.permit()
    rig.run(2.9)
    assert all(out.duty_pct == 100.0 and not out.contactor for _, out in rig.history)
    assert all(out.lock is not False for _, out in rig.history), "the plug stays locked"
    rig.until("closed", 6.0)
    assert rig.tests == 1
    assert rig.self_test is SelfTest.PASSED


def test_row_31_restart_with_a_contactor_that_still_reads_closed() -> None:
    rig = Rig(vehicle="C")
    rig.contactor_closed = rig.welded = True
    rig.permit()
    rig.run(20.0)
    assert rig.closed_times == []
    assert rig.faulted(FaultCode.CONTACTOR_WELDED)


def test_row_32_bcb_toggle() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 3.0)
    for _ in range(4):
        rig.vehicle = "C"
        rig.run(0.4)
        rig.vehicle = "B"
        rig.run(0.4)
    assert rig.closed_times == []
    rig.vehicle = "C"
    assert rig.until("closed", 3.0) >= 0.4


def test_row_32_a_vehicle_without_s2_is_not_kept_waiting() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "C"
    rig.permit()
    rig.until("pwm", 3.0)
    assert rig.until("closed", 3.0) <= 0.3


def _skip(rig: Rig, seconds: float, charging: bool = False) -> None:
    """Let time pass in coarse steps while nothing is to be measured."""
    end = rig.now + seconds
    while rig.now < end:
        rig.tick(0.1)
        assert not charging or rig.closed
