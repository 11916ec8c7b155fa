"""A charge controller that closes by itself: control only ever lets it when everything that it can check holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from control_rig import CONTROLLER, Rig

from agent.control.board_watch import FLAGS
from agent.control.faults import FAULTS
from agent.control.limits import duty_of
from agent.control.timing import CONTROLLER_OPENS_S
from agent.link.messages import FaultCode, Hold
from hal.ports import PortKind
from hal.values import BoardError, Cable, Indication, SelfTest

BARE = replace(
    CONTROLLER,
    socket=False,
    has_lock=False,
    ports=CONTROLLER.ports - {PortKind.RESIDUAL_CURRENT_MONITOR, PortKind.CABLE_LOCK, PortKind.PROXIMITY_PILOT},
)
"""A wallbox with a fixed cable, whose controller does everything else by itself."""
SEEN_S = 0.6
"""A poll, and a tick."""


def contacts(rig: Rig) -> bool:
    assert rig.controller is not None
    return rig.controller.contacts


def charging(settings: object = None, **changes: object) -> Rig:
    rig = Rig(CONTROLLER if settings is None else BARE, **changes)  # type: ignore[arg-type]
    rig.charge()
    assert contacts(rig)
    return rig


def test_row_01_a_idle() -> None:
    rig = Rig(CONTROLLER)
    rig.permit()
    rig.run(5.0)
    assert (rig.x1, rig.closed, contacts(rig)) == (True, False, False)


def test_row_02_not_authorised_shows_no_pwm_whatever_the_vehicle_says() -> None:
    rig = Rig(CONTROLLER)
    rig.run(2.0)
    for letter in "BCB":
        rig.vehicle = letter
        rig.run(5.0)
        assert (rig.x1, rig.closed, contacts(rig)) == (True, False, False)
    assert rig.holds[0] is Hold.NO_PERMIT


def test_row_03_the_offer_waits_for_lock_cable_self_test_and_open_contacts() -> None:
    rig = Rig(CONTROLLER)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(16.0)
    while not rig.pwm:
        rig.tick()
        assert rig.now - 1000.0 < 10.0, rig.describe()
    assert rig.duty == duty_of(16.0)
    assert (rig.locked, rig.self_test, rig.core.guards.contactor.closed) == (True, SelfTest.PASSED, False)
    rig.run(SEEN_S)
    assert rig.holds == (Hold.VEHICLE_NOT_READY,)


def test_row_05_what_the_controller_closes_counts_as_closed_by_us() -> None:
    rig = Rig(CONTROLLER)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 10.0)
    rig.vehicle = "C"
    rig.until("closed", 3.0)
    assert contacts(rig)
    rig.tick()
    assert rig.holds == ()
    assert rig.out.indication is Indication.CHARGING
    assert rig.out.observation is not None
    assert rig.out.observation.contactor_closed is True
    assert rig.no_faults


@pytest.mark.parametrize("obstacle", ["lock", "self_test", "weld", "cable", "limit", "cover", "silence"])
def test_row_06_no_offer_while_a_check_is_pending_or_failed(obstacle: str) -> None:
    rig = Rig(CONTROLLER)
    assert rig.controller is not None
    match obstacle:
        case "lock":
            rig.lock_works = False
        case "self_test":
            rig.test_passes = False
        case "weld":
            rig.controller.contacts = rig.welded = True
        case "cable":
            rig.cable = Cable.FAULT
        case "cover":
            rig.cover_open = True
        case "silence":
            rig.board_silent = True
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(5.0 if obstacle == "limit" else 16.0)
    rig.run(3.0)
    rig.vehicle = "C"
    rig.run(30.0)
    assert [at for at, out in rig.history if 0.0 < out.duty_pct < 100.0] == []
    assert rig.controller.closings == 0


@pytest.mark.parametrize("lost", ["lock", "cable", "self_test"])
def test_row_06_a_check_that_no_longer_holds_takes_the_offer_away(lost: str) -> None:
    rig = Rig(CONTROLLER)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 10.0)
    rig.run(2.0)
    if lost == "lock":
        rig.locked, rig.lock_works = None, False
    elif lost == "cable":
        rig.cable = Cable.NONE
    else:
        rig.self_test = SelfTest.NOT_RUN
    rig.tick()
    assert rig.x1
    rig.vehicle = "C"
    rig.run(2.5)
    assert rig.x1, "T_STEP_X1"
    assert not contacts(rig)


def test_row_07_c_to_b_without_a_monitor_keeps_the_offer() -> None:
    rig = charging(BARE)
    rig.vehicle = "B"
    rig.until("opened", SEEN_S)
    rig.run(5.0)
    assert rig.pwm
    rig.vehicle = "C"
    rig.until("closed", 3.0)


def test_row_07_with_a_monitor_the_next_offer_waits_for_a_new_self_test() -> None:
    rig = charging()
    tests = rig.tests
    rig.vehicle = "B"
    rig.until("opened", SEEN_S)
    rig.run(0.05)
    assert rig.x1
    rig.until("pwm", 10.0)
    assert rig.tests == tests + 1
    assert rig.locked is True
    rig.vehicle = "C"
    rig.until("closed", 3.0)


def test_no_self_test_while_the_controller_may_close() -> None:
    rig = Rig(CONTROLLER)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 10.0)
    rig.core.run_self_test()
    tests = rig.tests
    rig.run(20.0)
    assert rig.tests == tests


def test_row_08_the_vehicle_leaves() -> None:
    rig = charging()
    rig.vehicle = "A"
    rig.current_a = 0.0
    rig.until("opened", SEEN_S)
    assert rig.x1
    rig.until("lock_open", 5.0)


@pytest.mark.parametrize("reason", ["withdraw", "limit", "inoperative", "lease"])
def test_row_09_a_stop_is_a_steady_pilot_and_the_open_command_together(reason: str) -> None:
    rig = charging()
    if reason == "withdraw":
        rig.core.withdraw()
    elif reason == "limit":
        rig.permit(5.0)
    elif reason == "inoperative":
        rig.core.set_operative(False)
    else:
        rig.permit(0.0, lease_s=0.001)
    rig.tick()
    assert (rig.x1 or rig.f, rig.closed) == (True, False)
    assert contacts(rig), "the vehicle has its time from the controller"
    assert rig.out.lock is not False
    rig.run(4.0)
    assert not contacts(rig)
    assert rig.no_faults


def test_row_10_limits_still_rule() -> None:
    rig = charging()
    rig.run(5.0)
    rig.permit(8.0)
    rig.run(0.1)
    assert rig.duty == duty_of(8.0)
    assert rig.closed


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("emergency", FaultCode.EMERGENCY_STOP),
        ("tripped", FaultCode.RESIDUAL_CURRENT),
        ("cover_open", FaultCode.ENCLOSURE),
        ("tilted", FaultCode.TILT),
        ("trouble", FaultCode.BOARD_LOST),
    ],
)
def test_a_fault_is_a_steady_pilot_and_the_open_command_in_the_same_step(what: str, code: FaultCode) -> None:
    rig = charging()
    setattr(rig, what, "its driver failed" if what == "trouble" else True)
    rig.tick()
    assert code in rig.faults
    assert (rig.pwm, rig.closed) == (False, False)


@pytest.mark.parametrize("temperature_c", [76.0, 81.0, None])
def test_row_23_heat(temperature_c: float | None) -> None:
    rig = charging()
    rig.temperature_c = temperature_c
    rig.tick()
    assert (rig.pwm, rig.closed, rig.faults) == (False, False, {FaultCode.TEMPERATURE})


@pytest.mark.parametrize("error", list(BoardError))
def test_what_the_controller_reports_is_a_fault_of_ours(error: BoardError) -> None:
    rig = charging()
    rig.board_errors = {error}
    rig.run(SEEN_S)
    assert rig.faults == {FLAGS[error]}
    assert FAULTS[FLAGS[error]].blocks
    assert (rig.pwm, rig.closed) == (False, False)
    rig.board_errors = set()
    rig.run(1.0)
    rig.vehicle = "A"
    rig.core.clear_fault(FLAGS[error])
    rig.until("no_faults", 40.0)


def test_every_board_error_has_its_fault() -> None:
    assert set(FLAGS) == set(BoardError)
    assert FLAGS[BoardError.GROUND] is FaultCode.PROTECTIVE_EARTH
    assert FLAGS[BoardError.CONTACTOR_WELDED] is FaultCode.CONTACTOR_WELDED
    assert FLAGS[BoardError.SUPPLY] is FaultCode.SUPPLY_VOLTAGE
    assert FLAGS[BoardError.INTERNAL] is FaultCode.BOARD_FAULT


def test_row_19_contacts_that_stay_closed_after_a_steady_pilot_are_welded() -> None:
    rig = charging()
    rig.welded = True
    rig.core.withdraw()
    rig.run(CONTROLLER_OPENS_S - 0.1)
    assert rig.no_faults
    rig.run(0.2)
    assert rig.faults == {FaultCode.CONTACTOR_WELDED}
    rig.run(0.1)
    assert rig.f
    rig.vehicle = "A"
    rig.run(20.0)
    assert rig.out.lock is not False, "behind welded contacts the plug is live"


def test_row_19_contacts_that_stay_closed_in_b_are_welded_though_we_offer() -> None:
    rig = charging(BARE)
    rig.welded = True
    rig.vehicle = "B"
    rig.run(CONTROLLER_OPENS_S + SEEN_S + 0.1)
    assert rig.faults == {FaultCode.CONTACTOR_WELDED}
    assert not rig.pwm


def test_the_controller_may_open_and_close_again_by_itself() -> None:
    rig = charging(BARE)
    assert rig.controller is not None
    rig.controller.refuses = True
    rig.until("opened", SEEN_S)
    rig.run(10.0)
    assert rig.pwm
    assert rig.holds == (Hold.CHECKS_PENDING,)
    assert rig.no_faults
    rig.controller.refuses = False
    rig.until("closed", 3.0)


def test_closed_behind_our_back_the_plug_stays_locked_until_the_contacts_read_open() -> None:
    """The permit ends in the moment in which the controller closes, before any poll has told."""
    rig = Rig(CONTROLLER)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 10.0)
    rig.vehicle = "C"
    while not contacts(rig):
        rig.tick()
    rig.core.withdraw()
    rig.core.hold_cable(False)
    while contacts(rig):
        rig.tick()
        assert rig.locked is True
        assert (rig.closed, rig.pwm) == (False, False)
    rig.until("lock_open", SEEN_S + 0.1)
    assert rig.no_faults


def test_row_27_silence() -> None:
    rig = charging()
    rig.board_silent = True
    rig.run(5.1)
    assert (rig.closed, rig.pwm, rig.faults) == (False, False, {FaultCode.BOARD_LOST})
    rig.run(4.0)
    assert not contacts(rig), "and the controller's own watchdog has opened"


def test_row_31_a_restart_finds_a_charge_running() -> None:
    rig = charging()
    fresh = Rig(CONTROLLER, vehicle="C")
    fresh.controller, fresh.now, fresh.locked = rig.controller, rig.now, True
    fresh.core = type(fresh.core)(fresh.settings, rig.now)
    fresh.permit()
    assert fresh.controller is not None
    while fresh.controller.contacts:
        fresh.tick()
        assert (fresh.pwm, fresh.closed, fresh.out.start_self_test) == (False, False, False)
        assert fresh.locked is True
    fresh.until("closed", 10.0)
    assert fresh.tests == 1


def test_there_is_no_wake_up_of_ours_and_no_toggle_guard() -> None:
    rig = Rig(BARE)
    rig.run(2.0)
    rig.vehicle = "B"
    rig.permit(lease_s=900.0)
    rig.until("pwm", 10.0)
    rig.run(120.0)
    assert rig.pwm
    assert not [at for at, out in rig.history if out.duty_pct == 0.0]
    rig.vehicle = "C"
    rig.run(0.9)
    assert rig.closed


def test_without_feedback_the_state_is_followed_and_openings_are_given_time() -> None:
    rig = Rig(BARE)
    seen_by = rig._seen_by

    def blind(controller, now):  # type: ignore[no-untyped-def]
        inputs = seen_by(controller, now)
        return replace(inputs, contactor=replace(inputs.contactor, closed=None))

    rig._seen_by = blind  # type: ignore[method-assign]
    rig.run(6.0)
    rig.vehicle = "B"
    rig.permit()
    rig.until("pwm", 10.0)
    rig.vehicle = "C"
    rig.until("closed", 3.0)
    rig.core.withdraw()
    rig.run(0.1)
    rig.permit()
    assert rig.until("pwm", 10.0) >= CONTROLLER_OPENS_S - 0.2


@pytest.mark.parametrize("tells", ["nothing", "open too early"])
def test_the_contacts_count_as_closed_until_the_controller_has_had_its_time(tells: str) -> None:
    """The register of a transaction is read when they are open; the vehicle still draws on its way down."""
    rig = Rig(BARE)
    seen_by = rig._seen_by

    def vague(controller, now):  # type: ignore[no-untyped-def]
        inputs = seen_by(controller, now)
        closed = None if tells == "nothing" else inputs.contactor.closed and rig.pwm
        return replace(inputs, contactor=replace(inputs.contactor, closed=closed))

    rig._seen_by = vague  # type: ignore[method-assign]
    rig.run(6.0)
    rig.charge()
    rig.core.withdraw()
    rig.tick()
    assert rig.out.observation is not None
    while contacts(rig):
        assert rig.out.observation.contactor_closed is not False
        rig.tick()
    rig.current_a = 0.0
    rig.vehicle = "B"
    rig.run(CONTROLLER_OPENS_S)
    assert rig.out.observation.contactor_closed is False
