"""A permit belongs to the vehicle it was given for: it does not outlive the plug."""

from __future__ import annotations

from control_rig import Rig

from agent.link.messages import Hold


def test_another_vehicle_does_not_charge_under_the_last_ones_permit() -> None:
    """The agent may be dead for as long as the lease lives; a change of vehicles in that time must not go unseen."""
    rig = Rig()
    rig.charge()
    rig.vehicle = "A"
    rig.run(5.0)
    rig.vehicle = "B"
    rig.run(5.0)
    rig.vehicle = "C"
    rig.run(30.0)
    assert not rig.out.contactor
    assert rig.out.observation is not None
    assert Hold.NO_PERMIT in rig.out.observation.holds
    assert rig.out.observation.permit_serial == 0


def test_the_same_vehicle_charges_again_once_the_agent_has_said_so() -> None:
    rig = Rig()
    rig.charge()
    rig.vehicle = "A"
    rig.run(5.0)
    rig.vehicle = "C"
    rig.run(5.0)
    assert not rig.out.contactor
    rig.permit()
    rig.run(20.0)
    assert rig.out.contactor


def test_a_permit_given_before_the_plug_holds_for_the_vehicle_that_comes() -> None:
    rig = Rig()
    rig.run(3.0)
    rig.permit()
    rig.run(3.0)
    rig.vehicle = "C"
    rig.run(20.0)
    assert rig.out.contactor


def test_an_observation_tells_when_the_vehicle_was_plugged_in() -> None:
    rig = Rig(vehicle="B")
    rig.run(2.0)
    assert rig.out.observation is not None
    assert rig.out.observation.plugged_at is None  # it was there before control
    assert rig.out.observation.left_at is None
    before = rig.now
    rig.vehicle = "A"
    rig.run(2.0)
    left_at = rig.out.observation.left_at
    assert left_at is not None
    assert before < left_at < before + 1.0
    before = rig.now
    rig.vehicle = "B"
    rig.run(2.0)
    plugged_at = rig.out.observation.plugged_at
    assert plugged_at is not None
    assert before < plugged_at < before + 1.0
    assert rig.out.observation.left_at == left_at
    rig.vehicle = "A"
    rig.run(2.0)
    assert rig.out.observation.plugged_at is None
