"""Sequences that are no row of the truth table: wake-up, simplified pilot, restarts, lock attempts, requests."""

from __future__ import annotations

import pytest
from control_rig import MEASURED, Rig

from agent.control.limits import duty_of
from agent.link.messages import FaultCode, Hold
from hal.values import Cable, Capabilities, Indication, SelfTest


def offered(rig: Rig, current_a: float = 16.0) -> Rig:
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(current_a)
    rig.until("pwm", 5.0)
    return rig


def pilot_changes(rig: Rig) -> list[tuple[float, float]]:
    changes: list[tuple[float, float]] = []
    for at, out in rig.history:
        if not changes or changes[-1][1] != out.duty_pct:
            changes.append((at, out.duty_pct))
    return changes


def test_a_sleeping_vehicle_is_woken_once() -> None:
    rig = offered(Rig())
    started = rig.now
    rig.run(120.0)
    after = [(round(at - started, 1), duty) for at, duty in pilot_changes(rig) if at >= started]
    kinds = [duty for _, duty in after]
    assert kinds == [duty_of(16.0), 0.0, 100.0, duty_of(16.0)]
    assert 29.5 <= after[1][0] <= 30.5
    assert 3.9 <= after[2][0] - after[1][0] <= 4.1
    assert 0.5 <= after[3][0] - after[2][0] <= 1.0
    assert rig.holds == (Hold.VEHICLE_ASLEEP,)
    rig.vehicle = "C"
    rig.until("closed", 3.0)
    rig.vehicle = "B"
    rig.run(120.0)
    assert len([1 for _, duty in pilot_changes(rig) if duty == 0.0]) == 1, "a vehicle that has charged sleeps in peace"


def test_a_vehicle_stays_plugged_in_our_eyes_while_we_wake_it() -> None:
    rig = offered(Rig())
    rig.run(31.0)
    assert rig.f
    assert rig.out.observation is not None
    assert rig.out.observation.plugged is True


def test_an_unplug_during_the_wake_up_is_seen() -> None:
    rig = offered(Rig())
    rig.run(31.0)
    rig.vehicle = "A"
    rig.run(10.0)
    assert rig.x1
    assert rig.holds[0] is Hold.NOT_PLUGGED


def test_simplified_pilot_may_be_limited() -> None:
    rig = Rig(simplified_pilot_limit_a=10.0)
    rig.run(2.0)
    rig.vehicle = "C"
    rig.permit(32.0)
    rig.until("closed", 5.0)
    assert rig.duty == duty_of(10.0)
    rig.vehicle = "B"
    rig.run(6.0)
    assert rig.duty == duty_of(32.0), "it has an S2 after all"


def test_the_cable_limits() -> None:
    rig = Rig()
    rig.cable = Cable.A13
    offered(rig, 32.0)
    assert rig.duty == duty_of(13.0)
    assert rig.core.limited_by == "cable"


def test_the_board_limits() -> None:
    rig = Rig()
    rig.capabilities = Capabilities(max_current_a=10.0, max_phases=3)
    offered(rig, 32.0)
    assert rig.duty == duty_of(10.0)
    assert rig.core.limited_by == "hardware"


def test_a_board_with_fewer_phases_than_configured_is_a_mismatch() -> None:
    rig = Rig()
    rig.capabilities = Capabilities(max_phases=1)
    rig.run(5.0)
    assert rig.faults == {FaultCode.BOARD_MISMATCH}


def test_a_fixed_cable_needs_neither_lock_nor_coding() -> None:
    rig = Rig(socket=False, has_lock=False)
    rig.cable = Cable.NONE
    offered(rig, 32.0)
    rig.vehicle = "C"
    rig.until("closed", 3.0)
    assert all(out.lock is None for _, out in rig.history)


def test_a_stop_is_carried_through_before_the_next_offer() -> None:
    rig = Rig()
    rig.charge()
    rig.core.withdraw()
    rig.run(1.0)
    rig.permit(16.0)
    rig.run(3.0)
    assert rig.x1
    assert rig.closed
    rig.until("opened", 3.0)
    opened_at = rig.now
    rig.until("pwm", 5.0)
    assert rig.now - opened_at < 1.0 or rig.x1 is False
    rig.until("closed", 5.0)


def test_pwm_returns_after_three_seconds_of_x1_at_the_earliest() -> None:
    rig = offered(Rig())
    rig.core.withdraw()
    rig.tick()
    assert rig.x1
    rig.permit(16.0)
    assert rig.until("pwm", 5.0) >= 2.9


def test_a_lock_that_does_not_close_is_tried_three_times() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.lock_works = False
    rig.vehicle = "B"
    rig.permit()
    rig.run(20.0)
    assert rig.faults == {FaultCode.LOCK}
    presses, last = 0, None
    for _, out in rig.history:
        presses += out.lock is True and last is not True
        last = out.lock
    assert presses == 3


def test_the_lock_stays_while_current_flows() -> None:
    rig = Rig()
    rig.charge()
    rig.welded = True
    rig.vehicle = "A"
    rig.run(10.0)
    assert rig.locked is True


def test_a_cable_may_be_kept_after_the_vehicle_has_left() -> None:
    rig = Rig()
    rig.charge()
    rig.core.hold_cable(True)
    rig.vehicle, rig.current_a = "A", 0.0
    rig.run(20.0)
    assert rig.locked is True
    rig.core.hold_cable(False)
    rig.until("lock_open", 5.0)


def test_self_test_runs_again_after_each_charge_and_each_day() -> None:
    rig = Rig()
    rig.run(2.0)
    assert rig.tests == 1
    rig.charge()
    rig.vehicle = "A"
    rig.run(3.0)
    assert rig.tests == 2
    for _ in range(24 * 60 + 2):
        rig.tick(60.0)
    assert rig.tests == 3


def test_once_a_day_is_enough_where_the_profile_says_so_but_never_under_energy() -> None:
    rig = Rig(daily_self_test=True)
    for _ in range(3):
        rig.charge()
        rig.vehicle = "A"
        rig.run(3.0)
    assert rig.tests == 1
    rig.charge()
    for _ in range(24 * 60 + 2):
        rig.permit()
        rig.tick(60.0)
    assert rig.closed
    assert rig.tests == 1, "due, but energy flows"
    rig.vehicle = "B"
    rig.run(1.0)
    rig.vehicle = "C"
    rig.until("closed", 5.0)
    assert rig.tests == 2, "before the next close"


@pytest.mark.parametrize("cause", ["trip", "reset"])
def test_a_monitor_that_tripped_or_was_reset_proves_itself_anew(cause: str) -> None:
    rig = Rig(daily_self_test=True)
    rig.charge()
    rig.vehicle = "B"
    rig.run(2.0)
    assert rig.tests == 1
    if cause == "trip":
        rig.tripped = True
        rig.run(0.5)
        rig.vehicle = "A"
        rig.until("no_faults", 20.0)
    else:
        rig.self_test = SelfTest.NOT_RUN
    rig.run(3.0)
    assert rig.tests == 2


def test_a_self_test_can_be_asked_for_but_not_while_energy_flows() -> None:
    rig = Rig()
    rig.run(2.0)
    assert rig.core.run_self_test() == ""
    rig.run(1.0)
    assert rig.tests == 2
    rig.charge()
    assert "energy flows" in rig.core.run_self_test()
    assert "closed" in rig.core.reset_board()


def test_the_trip_of_a_self_test_is_no_fault() -> None:
    rig = Rig()
    rig.run(0.5)
    rig.core.run_self_test()
    while rig.self_test is not SelfTest.RUNNING:
        rig.tick()
    rig.tripped = True
    rig.run(1.0)
    rig.tripped = False
    rig.run(2.0)
    assert rig.no_faults


def test_a_trip_that_outlives_the_self_test_is_a_fault() -> None:
    rig = Rig()
    rig.run(0.2)
    rig.tripped = True
    rig.run(5.0)
    assert rig.faulted(FaultCode.RESIDUAL_CURRENT)


def test_a_monitor_that_latches_is_reset_after_the_unplug_only() -> None:
    rig = Rig()
    rig.charge()
    rig.tripped = True
    rig.run(30.0)
    assert rig.residual_resets == 0
    rig.vehicle = "A"
    rig.until("no_faults", 10.0)
    assert rig.residual_resets == 1


def test_out_of_service_refuses_permits_and_comes_back() -> None:
    rig = Rig()
    rig.run(1.0)
    rig.core.set_operative(False)
    rig.run(1.0)
    assert rig.f
    assert rig.out.indication is Indication.UNAVAILABLE
    assert "out of service" in rig.permit()
    rig.core.set_operative(True)
    rig.run(1.0)
    assert rig.x1
    assert rig.permit() == ""


def test_the_agents_indication_comes_after_faults() -> None:
    rig = Rig()
    rig.run(1.0)
    rig.core.indicate(Indication.RESERVED)
    rig.tick()
    assert rig.out.indication is Indication.RESERVED
    rig.emergency = True
    rig.tick()
    assert rig.out.indication is Indication.FAULTED


def test_a_pilot_that_was_never_measured_is_a_fault_in_the_end() -> None:
    rig = Rig(MEASURED)
    rig.pilot_missing = True
    rig.run(4.0)
    assert rig.no_faults
    rig.run(2.0)
    assert rig.faults == {FaultCode.PILOT}


def test_a_board_that_never_speaks_is_lost() -> None:
    rig = Rig()
    rig.board_silent = True
    rig.run(6.0)
    assert FaultCode.BOARD_LOST in rig.faults


def test_a_late_loop_is_reported_and_forgotten() -> None:
    rig = Rig()
    rig.charge()
    rig.core.note_overrun("60 ms late")
    rig.run(0.1)
    assert rig.faults == {FaultCode.CONTROL_OVERRUN}
    assert rig.closed
    rig.run(61.0)
    assert rig.no_faults
    assert rig.closed


def test_fewer_phases_are_obeyed_even_where_they_cannot_be_switched() -> None:
    rig = Rig()
    rig.capabilities = Capabilities(min_phases=3, max_phases=3)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(16.0, phases=1)
    rig.run(20.0)
    assert rig.x1
    assert rig.holds[0] is Hold.PHASE_SWITCH


def test_phases_are_chosen_without_a_pause_before_the_first_offer() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(16.0, phases=1)
    rig.until("pwm", 3.0)
    assert rig.core.phase_switch.phases == 1


def test_phases_do_not_change_more_often_than_every_five_minutes() -> None:
    rig = Rig()
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(16.0, phases=1)
    rig.until("pwm", 3.0)
    rig.permit(16.0, phases=3)
    rig.run(60.0)
    assert rig.core.phase_switch.phases == 1
    assert rig.pwm, "more phases can wait"


def test_observation_tells_the_whole_truth() -> None:
    rig = Rig()
    rig.charge(16.0)
    seen = rig.out.observation
    assert seen is not None
    assert (seen.pilot, seen.plugged, seen.vehicle_ready, seen.contactor_closed) == ("C2", True, True, True)
    assert (seen.phases, seen.locked, seen.cable_a, seen.permit_serial) == (3, True, 32, rig.serial)
    assert (seen.limit_a, seen.limited_by, seen.fail_safe) == (16.0, "permit", False)
    assert (seen.holds, seen.faults) == ((), ())
    assert seen.temperature_c == 30.0
    rig.core.withdraw()
    rig.tick()
    assert rig.out.observation is not None
    assert rig.out.observation.limit_a == 0.0
    assert rig.out.observation.permit_serial == 0
