"""Arbitrary vehicles, faults, permits and time against the core; the judge looks at every single step.

In the normal run this is short. For a long one: ``EVSE_STEPS=1000000 pytest tests/control/test_control_machine.py -s``
goes on until that many steps have been judged, and says how many contactor closings were among them.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from control_oracle import FollowJudge, Judge
from control_rig import CONTROLLER, MEASURED, SOCKET, Rig
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from agent.control.evse import EvseControl
from agent.control.settings import EvseSettings
from agent.link.messages import FaultCode, Permit
from hal.values import BoardError, Cable, SelfTest

SHORT_EXAMPLES = 8
TOTAL = {"steps": 0, "closings": 0}

SETTINGS = (
    SOCKET,
    MEASURED,
    replace(SOCKET, ventilation=True),
    replace(MEASURED, ventilation=True, monitor_open_pen=True),
    replace(SOCKET, us_residual_current=True, stop_on_meter_loss=True, fail_safe_s=8.0),
    replace(MEASURED, fail_safe_current_a=0.0, has_lock=False),
    replace(SOCKET, daily_self_test=True),
)
FOLLOWING = (CONTROLLER, replace(CONTROLLER, has_lock=False, fail_safe_s=8.0, daily_self_test=True))


class ControlMachine(RuleBasedStateMachine):
    rig: Rig
    judge: Judge
    settings: tuple[EvseSettings, ...] = SETTINGS
    judges: type[Judge] = Judge

    @initialize(index=st.integers(0, 99), vehicle=st.sampled_from("AABC"))
    def begin(self, index: int, vehicle: str) -> None:
        self.rig = Rig(self.settings[index % len(self.settings)], vehicle=vehicle, keep_history=False)
        self.judge = self.judges(self.rig)
        self.tick(100)

    def tick(self, count: int) -> None:
        for _ in range(count):
            self.judge.before()
            self.rig.tick()
            self.judge.look()

    # ---- time -------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 40))
    def a_moment(self, count: int) -> None:
        self.tick(count)

    @rule(count=st.integers(40, 400))
    def a_while(self, count: int) -> None:
        self.tick(count)

    @rule(count=st.integers(400, 1500))
    def a_long_while(self, count: int) -> None:
        self.tick(count)

    # ---- vehicle ----------------------------------------------------------------------------------------------

    @rule(letter=st.sampled_from("ABBCCCD"), ticks=st.integers(0, 30))
    def the_vehicle_says(self, letter: str, ticks: int) -> None:
        self.rig.vehicle = letter
        self.rig.high_v = None
        self.tick(ticks)

    @rule(volts=st.sampled_from((-12.0, -5.0, -1.0, 0.0, 1.9, 4.5, 7.5, 10.5, 13.5, float("nan"))) | st.floats(-15, 15))
    def the_pilot_reads(self, volts: float) -> None:
        if not self.rig.settings.has_board:
            self.rig.high_v = volts
        elif not volts > 2.0:
            self.rig.vehicle = "E"
        self.tick(2)

    @rule(drawn=st.floats(0.0, 80.0))
    def it_draws(self, drawn: float) -> None:
        self.rig.current_a = drawn

    @rule(current_a=st.sampled_from((6.0, 10.0, 16.0, 32.0)), mended=st.sampled_from((True, True, True, False)))
    def a_charge_begins(self, current_a: float, mended: bool) -> None:
        rig = self.rig
        rig.high_v = None
        if mended:
            self.everything_is_mended()
        for letter in "ABC":
            rig.vehicle = letter
            if letter == "B":
                self.grant(current_a, 3, 60.0)
            self.tick({"A": 60, "B": 420, "C": 80}[letter])
        rig.current_a = current_a

    @rule(how=st.sampled_from(("withdraw", "limit", "service", "hot", "lease", "meter")), ticks=st.integers(550, 1300))
    def a_running_charge_is_stopped(self, how: str, ticks: int) -> None:
        """And the vehicle ignores it, unless another rule says otherwise later."""
        rig = self.rig
        if not rig.closed:
            self.a_charge_begins(16.0, True)
        if how == "withdraw":
            self.the_agent_withdraws()
        elif how == "limit":
            self.grant(5.0, 3, 60.0)
        elif how == "service":
            self.the_agent_sets_operative(False)
        elif how == "hot":
            rig.temperature_c = 76.0
        elif how == "lease":
            self.grant(10.0, 3, 0.5)
        else:
            rig.meter_silent = True
        self.tick(ticks)
        rig.meter_silent = False

    @rule(end=st.sampled_from("ABDE"), ticks=st.integers(1, 20))
    def the_vehicle_ends_a_running_charge(self, end: str, ticks: int) -> None:
        if not self.rig.closed:
            self.a_charge_begins(16.0, True)
        self.rig.vehicle = end
        self.tick(ticks)

    # ---- agent ------------------------------------------------------------------------------------------------

    @rule(
        current_a=st.sampled_from((0.0, 5.99, 6.0, 7.0, 16.0, 16.3, 32.0, 63.0, 80.0)) | st.floats(0, 90),
        phases=st.sampled_from((1, 3)),
        lease_s=st.sampled_from((0.5, 3.0, 30.0, 300.0)),
    )
    def the_agent_permits(self, current_a: float, phases: int, lease_s: float) -> None:
        self.grant(current_a, phases, lease_s)
        self.tick(1)

    def grant(self, current_a: float, phases: int, lease_s: float) -> None:
        permit = Permit(1, 1, current_a, phases, lease_s)
        if not self.rig.core.grant(permit, self.rig.now):
            self.judge.granted(permit)

    @rule()
    def the_agent_withdraws(self) -> None:
        self.rig.core.withdraw()
        self.judge.withdrawn()
        self.tick(1)

    @rule(operative=st.booleans())
    def the_agent_sets_operative(self, operative: bool) -> None:
        self.rig.core.set_operative(operative)
        if not operative:
            self.judge.withdrawn()
        self.tick(1)

    @rule(hold=st.booleans())
    def the_agent_holds_the_cable(self, hold: bool) -> None:
        self.rig.core.hold_cable(hold)

    @rule(code=st.sampled_from(sorted(FaultCode, key=str)))
    def a_person_clears(self, code: FaultCode) -> None:
        self.rig.core.clear_fault(code)
        self.tick(2)

    @rule(what=st.sampled_from(("test", "reset")))
    def a_person_asks(self, what: str) -> None:
        if what == "test":
            self.rig.core.run_self_test()
        else:
            self.rig.core.reset_board()
        self.tick(1)

    @rule()
    def control_restarts(self) -> None:
        rig = self.rig
        rig.core = EvseControl(rig.settings, rig.now)
        if rig.controller is None:
            rig.contactor_closed = rig.welded
        rig.out = replace(rig.out, contactor=False, duty_pct=100.0)
        self.judge = self.judge.successor()
        self.tick(1)

    # ---- hardware ---------------------------------------------------------------------------------------------

    @rule(cable=st.sampled_from((Cable.A13, Cable.A20, Cable.A32, Cable.A32, Cable.NONE, Cable.FAULT)))
    def the_cable_reads(self, cable: Cable) -> None:
        self.rig.cable = cable
        self.tick(1)

    @rule(celsius=st.none() | st.sampled_from((20.0, 66.0, 70.0, 74.9, 75.0, 79.0, 80.0, 95.0)))
    def the_temperature_is(self, celsius: float | None) -> None:
        self.rig.temperature_c = celsius
        self.tick(1)

    @rule(volts=st.sampled_from((0.0, 180.0, 200.0, 230.0, 230.0, 252.0, 260.0)))
    def the_supply_is(self, volts: float) -> None:
        self.rig.voltage_v = (230.0, volts, 230.0) if volts > 0.0 else (0.0, 0.0, 0.0)
        self.tick(1)

    @rule(
        name=st.sampled_from(
            (
                "tripped",
                "emergency",
                "board_silent",
                "meter_silent",
                "welded",
                "stuck_open",
                "pilot_stale",
                "pilot_missing",
            )
        ),
        ticks=st.integers(1, 60),
    )
    def something_breaks_for_a_while(self, name: str, ticks: int) -> None:
        setattr(self.rig, name, True)
        self.tick(ticks * 12 if name == "board_silent" else ticks)
        setattr(self.rig, name, False)
        if name == "welded" and self.rig.controller is None:
            self.rig.contactor_closed = self.rig.out.contactor

    @rule(name=st.sampled_from(("diode", "lock_works", "test_passes")), broken_ticks=st.integers(1, 300))
    def something_does_not_work_for_a_while(self, name: str, broken_ticks: int) -> None:
        setattr(self.rig, name, False)
        if name == "lock_works":
            self.rig.locked = None
        self.tick(broken_ticks)
        setattr(self.rig, name, True)

    @rule()
    def a_driver_fails(self) -> None:
        self.rig.trouble = "its driver failed"
        self.tick(3)
        self.rig.trouble = ""

    @rule(error=st.none() | st.sampled_from(sorted(BoardError, key=str)))
    def the_board_says(self, error: BoardError | None) -> None:
        self.rig.board_errors = set() if error is None else {error}
        self.tick(2)

    @rule()
    def the_board_resets(self) -> None:
        self.rig.board_resets += 1
        self.rig.self_test = SelfTest.NOT_RUN
        self.tick(2)
        assert self.rig.opened or not self.rig.settings.has_board or self.rig.controller is not None

    @rule()
    def everything_is_mended(self) -> None:
        rig = self.rig
        rig.cover_open = rig.tilted = False
        rig.cable, rig.temperature_c, rig.voltage_v, rig.board_errors = Cable.A32, 30.0, (230.0,) * 3, set()
        rig.current_a, rig.high_v = 0.0, None
        rig.core.set_operative(True)
        rig.vehicle = "A"
        for code in FaultCode:
            rig.core.clear_fault(code)
        self.tick(200)

    def teardown(self) -> None:
        if hasattr(self, "judge"):
            TOTAL["steps"] += self.judge.steps
            TOTAL["closings"] += self.judge.closings


class FollowingMachine(ControlMachine):
    """The same world around a charge controller that closes by itself."""

    settings = FOLLOWING
    judges = FollowJudge

    @rule(name=st.sampled_from(("cover_open", "tilted")), ticks=st.integers(1, 60))
    def the_enclosure_tells(self, name: str, ticks: int) -> None:
        setattr(self.rig, name, True)
        self.tick(ticks)
        setattr(self.rig, name, False)

    @rule(refuses=st.booleans(), ticks=st.integers(1, 300))
    def the_controller_has_its_own_reasons(self, refuses: bool, ticks: int) -> None:
        assert self.rig.controller is not None
        self.rig.controller.refuses = refuses
        self.tick(ticks)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("machine", [ControlMachine, FollowingMachine])
def test_control_holds_its_promises_against_everything(machine: type[ControlMachine]) -> None:
    TOTAL.update(steps=0, closings=0)
    wanted = int(os.environ.get("EVSE_STEPS", "0"))
    examples = settings(
        max_examples=SHORT_EXAMPLES if not wanted else 200,
        stateful_step_count=40,
        deadline=None,
        derandomize=not wanted,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    while True:
        run_state_machine_as_test(machine, settings=examples)
        if wanted:
            print(f"{TOTAL['steps']} steps judged, {TOTAL['closings']} closings")  # noqa: T201
        if TOTAL["steps"] >= wanted:
            break
    assert TOTAL["closings"] > 10, "it never got as far as charging"
