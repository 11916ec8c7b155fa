"""What a technician tries at an EVSE: it is refused with a vehicle there, ends by itself, and closes nothing."""

from __future__ import annotations

import pytest
from control_rig import SOCKET, Rig
from hypothesis import given
from hypothesis import strategies as st

from agent.control.timing import STOP_S
from agent.control.tries import LONGEST_F_S, begin
from agent.link import messages as m
from hal.values import Cable, Indication


def idle(**changes) -> Rig:
    rig = Rig(SOCKET, **changes)
    rig.cable = Cable.NONE
    rig.run(2.0)
    return rig


def charging() -> Rig:
    rig = Rig(SOCKET, "C")
    rig.run(1.0)
    rig.permit()
    rig.run(10.0)
    assert rig.out.contactor
    return rig


def test_the_lock_closes_and_opens_again_by_itself() -> None:
    rig = idle()
    assert begin(rig.core, m.TryLock(1, True, 2.0), rig.now) == ""
    rig.run(0.1)
    assert rig.out.lock is True
    rig.run(1.0)
    assert rig.out.observation is not None
    assert rig.out.observation.locked is True
    rig.run(1.5)
    assert (rig.out.lock, rig.out.observation.locked) == (False, False)
    assert not rig.core.faults.entries


def test_a_lock_that_does_not_move_is_no_fault_of_an_empty_outlet() -> None:
    rig = idle()
    rig.lock_works = False
    assert begin(rig.core, m.TryLock(1, True, 5.0), rig.now) == ""
    rig.run(6.0)
    assert not rig.core.faults.entries


def test_a_plug_that_comes_ends_every_try() -> None:
    rig = idle()
    for message in (m.TryLock(1, True, 8.0), m.TryIndication(1, "accepted", 8.0)):
        assert begin(rig.core, message, rig.now) == ""
    rig.run(0.1)
    assert (rig.out.lock, rig.out.indication) == (True, Indication.ACCEPTED)
    rig.vehicle, rig.cable = "B", Cable.A32
    rig.run(0.1)
    assert rig.out.lock is False
    assert rig.out.indication is not Indication.ACCEPTED


def test_state_f_is_shown_and_taken_back() -> None:
    rig = idle()
    assert begin(rig.core, m.TryPilot(1, 1.0), rig.now) == ""
    rig.run(0.5)
    assert rig.out.duty_pct == 0.0
    assert rig.out.observation is not None
    assert rig.out.observation.plugged is False
    rig.run(1.0)
    assert rig.out.duty_pct == 100.0
    assert not rig.core.faults.entries


def test_a_permit_ends_state_f() -> None:
    rig = idle()
    assert begin(rig.core, m.TryPilot(1, LONGEST_F_S), rig.now) == ""
    rig.run(0.2)
    rig.permit()
    rig.run(0.1)
    assert rig.out.duty_pct == 100.0


@pytest.mark.parametrize(
    "message", [m.TryLock(1, False, 1.0), m.TryPilot(1, 1.0), m.TryIndication(1, "accepted", 1.0)], ids=str
)
def test_nothing_is_tried_under_energy_or_with_a_vehicle(message) -> None:
    rig = charging()
    assert "contactor" in begin(rig.core, message, rig.now)
    rig.core.withdraw()
    rig.run(STOP_S + 1.0)
    rig.vehicle = "B"
    rig.run(1.0)
    assert "unplug it first" in begin(rig.core, message, rig.now)


@pytest.mark.parametrize("hold_s", [0.0, -1.0, 11.0, float("inf"), float("nan")])
def test_a_try_is_bounded(hold_s) -> None:
    rig = idle()
    assert "hold_s" in begin(rig.core, m.TryLock(1, True, hold_s), rig.now)
    assert "hold_s" in begin(rig.core, m.TryPilot(1, hold_s), rig.now)


def test_refusals_name_their_reason() -> None:
    rig = idle()
    rig.cable = Cable.A32
    rig.run(1.0)
    assert "take it out" in begin(rig.core, m.TryLock(1, True, 1.0), rig.now)
    assert "no indication" in begin(rig.core, m.TryIndication(1, "disco", 1.0), rig.now)
    rig.core.set_operative(False)
    rig.run(1.0)
    assert begin(rig.core, m.TryPilot(1, 1.0), rig.now) != ""
    assert "no lock" in begin(idle(has_lock=False).core, m.TryLock(1, True, 1.0), rig.now)
    welded = idle()
    welded.contactor_closed = welded.welded = True
    welded.run(3.0)
    assert "not open for sure" in begin(welded.core, m.TryLock(1, True, 1.0), welded.now)


def test_open_now_does_not_wait_for_the_vehicle() -> None:
    rig = charging()
    rig.core.open_now()
    rig.run(0.02)
    assert not rig.out.contactor
    rig.run(20.0)
    assert not rig.out.contactor, "its permit is gone"
    rig.permit()
    rig.run(20.0)
    assert rig.out.contactor, "a new permit is as good as ever"


def test_clearing_tells_what_still_stands() -> None:
    rig = idle()
    assert "has no fault" in rig.core.clear_fault(m.FaultCode.TILT)
    rig.emergency = True
    rig.run(0.1)
    assert "still stands (the emergency stop is pressed)" in rig.core.clear_fault(m.FaultCode.EMERGENCY_STOP)
    latched = charging()
    latched.tripped = True
    latched.run(0.5)
    latched.tripped = False
    latched.run(0.5)
    assert latched.core.clear_fault(m.FaultCode.RESIDUAL_CURRENT) == ""


MESSAGES = st.one_of(
    st.builds(m.TryLock, st.just(1), st.booleans(), st.floats(0.1, 10.0)),
    st.builds(m.TryPilot, st.just(1), st.floats(0.1, LONGEST_F_S)),
    st.builds(m.TryIndication, st.just(1), st.sampled_from([each.value for each in Indication]), st.floats(0.1, 10.0)),
)
STEPS = st.lists(st.one_of(MESSAGES, st.sampled_from(["A", "B", "C", "permit", "withdraw"])), max_size=12)


@given(steps=STEPS)
def test_a_try_never_closes_and_never_releases_a_live_plug(steps) -> None:
    """Whatever is plugged and permitted meanwhile: nothing closes without a permit, no live plug is let go."""
    rig = idle(keep_history=False)
    permitted = False
    for step in steps:
        if step == "permit":
            rig.permit()
            permitted = True
        elif step == "withdraw":
            rig.core.withdraw()
        elif isinstance(step, str):
            rig.vehicle = step
            rig.cable = Cable.NONE if step == "A" else Cable.A32
        else:
            begin(rig.core, step, rig.now)
        for _ in range(150):
            rig.tick()
            assert permitted or not rig.out.contactor
            assert not (rig.out.contactor and rig.out.lock is False)
            assert not (rig.out.contactor and rig.out.duty_pct == 0.0)
