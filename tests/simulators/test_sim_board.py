"""The simulated board: its own safety logic and its frames, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.drivers.mcu_board import messages as m
from hal.drivers.mcu_board.wire import FrameReader, decode_from_board, encode_to_board, frame
from simulators.boards.board import Board
from simulators.boards.classifier import band
from simulators.lab.kinds import Surroundings
from simulators.oracle import EventLog
from simulators.vehicle.circuit import NOTHING, Load, peaks_v

LOADS = {
    "A": NOTHING,
    "B": Load(2740.0),
    "C": Load(882.0),
    "D": Load(246.0),
    "E": Load(882.0, shunt_ohm=80.0),
    "no diode": Load(882.0, diode=False),
}
TICK_S = 0.01


class Bench:
    """A board in virtual time with a host that keeps it alive unless told otherwise."""

    def __init__(self, variant: m.Variant = m.Variant.YETI, ventilation: bool = False) -> None:
        self.variant = variant
        self.now = 100.0
        self.load = "A"
        self.cable_a = 0
        self.host_alive = True
        self.heard: list[Any] = []
        self._reader = FrameReader()
        self._next_keep_alive = 0.0
        self.board = Board(variant, self._receive, EventLog(), self.now, ventilation=ventilation)
        self.run(1.5)  # the keep-alive during its boot is lost

    def _receive(self, data: bytes) -> None:
        self.heard += [decode_from_board(self.variant, payload) for payload in self._reader.feed(data)]

    def say(self, *messages: m.ToBoard) -> None:
        for message in messages:
            self.board.receive(frame(encode_to_board(self.variant, message)), self.now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            if self.host_alive and self.now >= self._next_keep_alive:
                self._next_keep_alive = self.now + 1.0
                self.say(m.KeepAlive())
            high_v, low_v = peaks_v(self.board.duty_pct, LOADS[self.load])
            self.board.step(self.now, Surroundings(high_v, low_v, self.cable_a))

    def charge(self) -> None:
        """Bring it to C2, closed."""
        self.load = "B"
        self.say(m.PwmDutyCycle(2667), m.AllowPowerOn(True))
        self.run(0.2)
        self.load = "C"
        self.run(0.3)
        assert self.closed

    @property
    def closed(self) -> bool:
        return self.board.firmware.contactor.closed

    def last(self, kind: type) -> Any:
        return next(message for message in reversed(self.heard) if isinstance(message, kind))


@pytest.mark.parametrize("variant", list(m.Variant))
def test_boot_tells_reset_and_every_state(variant: m.Variant) -> None:
    bench = Bench(variant)
    kinds = [type(message) for message in bench.heard]
    assert kinds[0] is m.ResetReport
    states = {m.CpStateReport, m.RelaisState, m.ErrorFlags, m.PpStateReport, m.LockStateReport, m.KeepAliveLo}
    assert states <= set(kinds)
    assert (m.TelemetryTida in kinds) == (variant is m.Variant.TIDA)


def test_life_sign_comes_once_a_second() -> None:
    bench = Bench()
    bench.heard.clear()
    bench.run(10.0)
    assert 9 <= sum(isinstance(message, m.KeepAliveLo) for message in bench.heard) <= 11


def test_closes_on_permission_pwm_and_c_and_reports() -> None:
    bench = Bench()
    bench.charge()
    assert bench.last(m.RelaisState).on
    assert bench.last(m.CpStateReport).state is m.CpState.C
    assert "coil_on" in [entry["event"] for entry in bench.board.log.recent]
    assert bench.board.firmware.contactor.closed


@pytest.mark.parametrize(
    ("load", "duty", "allowed"),
    [
        ("A", 2667, True),
        ("B", 2667, True),
        ("D", 2667, True),
        ("E", 2667, True),
        ("no diode", 2667, True),
        ("C", m.DUTY_X1, True),
        ("C", m.DUTY_F, True),
        ("C", 2667, False),
    ],
)
def test_does_not_close_without_each_condition(load: str, duty: int, allowed: bool) -> None:
    bench = Bench()
    bench.load = load
    bench.say(m.PwmDutyCycle(duty), m.AllowPowerOn(allowed))
    bench.run(3.0)
    assert not bench.closed


@pytest.mark.parametrize("load", ["A", "B", "D", "E", "no diode"])
def test_opens_by_itself_within_50_ms(load: str) -> None:
    bench = Bench()
    bench.charge()
    bench.load = load
    bench.run(0.05)
    assert not bench.closed


@pytest.mark.parametrize("ventilation", [False, True])
def test_state_d_charges_only_with_ventilation(ventilation: bool) -> None:
    bench = Bench(ventilation=ventilation)
    bench.load = "D"
    bench.say(m.PwmDutyCycle(2667), m.AllowPowerOn(True))
    bench.run(1.0)
    assert bench.closed is ventilation
    assert bench.last(m.ErrorFlags).ventilation_not_available is not ventilation
    bench.say(m.Reset())
    bench.run(2.0)
    bench.say(m.PwmDutyCycle(2667), m.AllowPowerOn(True))
    bench.run(1.0)
    assert bench.closed is ventilation


def test_asks_to_be_stepped_soon_until_a_change_is_dealt_with() -> None:
    bench = Bench()
    bench.charge()
    bench.load = "A"
    around = Surroundings(*peaks_v(bench.board.duty_pct, LOADS["A"]))
    while bench.closed:
        assert bench.board.step(bench.now, around)  # also right after another step
        bench.run(TICK_S)
    bench.run(0.1)
    assert not bench.board.step(bench.now + TICK_S, around)


def test_opens_on_withdrawn_permission_and_on_f_but_not_on_x1() -> None:
    bench = Bench()
    bench.charge()
    bench.say(m.PwmDutyCycle(m.DUTY_X1))
    bench.run(5.9)
    assert bench.closed  # the vehicle has its 6 s to stop (sequence 10.2)
    bench.say(m.AllowPowerOn(False))
    bench.run(0.05)
    assert not bench.closed
    bench = Bench()
    bench.charge()
    bench.say(m.PwmDutyCycle(m.DUTY_F))
    bench.run(0.05)
    assert not bench.closed
    assert bench.last(m.CpStateReport).state is m.CpState.F


def test_host_silence_of_5_s_opens_signals_f_and_forgets_the_permission() -> None:
    bench = Bench()
    bench.charge()
    bench.host_alive = False
    bench.run(3.9)
    assert bench.closed
    bench.run(1.5)
    assert not bench.closed
    assert bench.board.duty_pct == 0.0
    bench.host_alive = True
    bench.run(3.0)
    assert not bench.closed
    assert bench.board.duty_pct == 0.0
    assert "host_silent" in [entry["event"] for entry in bench.board.log.recent]


def test_diode_fault_latches_until_a() -> None:
    bench = Bench()
    bench.charge()
    bench.load = "no diode"
    bench.run(0.1)
    bench.load = "C"
    bench.run(1.0)
    assert bench.last(m.ErrorFlags).diode_fault
    assert not bench.closed
    bench.load = "A"
    bench.run(0.1)
    assert not bench.last(m.ErrorFlags).diode_fault


def test_residual_current_opens_at_once_and_latches() -> None:
    bench = Bench(m.Variant.TIDA)
    bench.charge()
    bench.board.ailments.residual_current = True
    bench.run(0.03)
    assert not bench.closed
    bench.board.ailments.residual_current = False
    bench.run(2.0)
    assert bench.last(m.ErrorFlags).rcd_triggered
    assert not bench.closed
    bench.say(m.RcdCommand(reset=True))
    bench.run(0.1)
    assert not bench.last(m.ErrorFlags).rcd_triggered


@pytest.mark.parametrize("broken", [False, True])
def test_self_test_trips_and_clears_or_reports_failure(broken: bool) -> None:
    bench = Bench(m.Variant.TIDA)
    bench.board.ailments.self_test_broken = broken
    bench.say(m.RcdCommand(test=True))
    bench.run(1.5)
    flags = bench.last(m.ErrorFlags)
    assert (flags.rcd_triggered, flags.rcd_selftest_failed) == (not broken, broken)
    bench.say(m.RcdCommand(reset=True))
    bench.run(0.2)
    assert bench.last(m.ErrorFlags) == m.ErrorFlags()


@pytest.mark.parametrize(
    ("cable_a", "state"), [(0, "NC"), (13, "A13"), (20, "A20"), (32, "A32"), (63, "A70"), (-1, "FAULT")]
)
def test_proximity_is_told_when_it_changes(cable_a: int, state: str) -> None:
    bench = Bench()
    bench.cable_a = cable_a
    bench.run(0.05)
    assert bench.last(m.PpStateReport).state is m.PpState[state]


def test_lock_moves_in_its_time_and_reports_a_stuck_bolt() -> None:
    bench = Bench()
    bench.say(m.ConnectorLock(True))
    bench.run(0.1)
    assert bench.last(m.LockStateReport).state is m.LockState.UNDEFINED
    bench.run(0.5)
    assert bench.last(m.LockStateReport).state is m.LockState.LOCKED
    bench.board.firmware.lock.stuck = True
    bench.say(m.ConnectorLock(False))
    bench.run(1.0)
    assert bench.last(m.LockStateReport).state is m.LockState.LOCKED
    assert bench.last(m.ErrorFlags).connector_lock_failed


def test_lost_lock_feedback_is_undefined() -> None:
    bench = Bench()
    bench.say(m.ConnectorLock(True))
    bench.run(0.6)
    bench.board.firmware.lock.feedback_lost = True
    bench.run(0.1)
    assert bench.last(m.LockStateReport).state is m.LockState.UNDEFINED
    bench.board.firmware.lock.feedback_lost = False
    bench.run(0.1)
    assert bench.last(m.LockStateReport).state is m.LockState.LOCKED


def test_welded_contacts_stay_closed_and_say_so() -> None:
    bench = Bench()
    bench.charge()
    bench.board.firmware.contactor.welded = True
    bench.say(m.AllowPowerOn(False))
    bench.run(2.0)
    assert bench.closed
    assert bench.last(m.RelaisState).on
    bench.board.firmware.contactor.welded = False
    bench.run(0.1)
    assert not bench.closed


def test_stuck_open_contacts_never_close() -> None:
    bench = Bench()
    bench.board.firmware.contactor.stuck_open = True
    bench.load = "C"
    bench.say(m.PwmDutyCycle(2667), m.AllowPowerOn(True))
    bench.run(2.0)
    assert bench.board.firmware.contactor.coil
    assert not bench.closed
    assert not bench.last(m.RelaisState).on


def test_late_feedback_is_late() -> None:
    bench = Bench()
    bench.board.firmware.contactor.late_feedback = True
    bench.charge()
    assert not bench.last(m.RelaisState).on
    bench.run(1.6)
    assert bench.last(m.RelaisState).on


def test_reset_drops_the_coil_and_tells_the_reason() -> None:
    bench = Bench()
    bench.charge()
    bench.heard.clear()
    bench.say(m.Reset())
    bench.run(0.05)
    assert not bench.closed
    assert bench.heard == []
    bench.run(0.5)
    assert bench.heard[0] == m.ResetReport(m.ResetReason.USER)
    bench.run(3.0)
    assert not bench.closed  # nothing is remembered


def test_phases_are_chosen_for_the_next_close() -> None:
    bench = Bench()
    bench.say(m.SetNumberOfPhases(False))
    bench.charge()
    assert bench.board.firmware.contactor.poles == (True, False, False)
    bench.say(m.SetNumberOfPhases(True))
    bench.run(0.5)
    assert bench.board.firmware.contactor.poles == (True, False, False)


@pytest.mark.parametrize(
    ("fault", "frames"), [("mute", False), ("deaf", True), ("garbage", False), ("half_frames", True)]
)
def test_wire_faults(fault: str, frames: bool) -> None:
    bench = Bench()
    bench.heard.clear()
    setattr(bench.board.wire_faults, fault, True)
    bench.run(10.0)
    assert bool(bench.heard) is frames
    assert bench.board.firmware.host_alive is (fault != "deaf")


def test_only_new_commands_are_written_down() -> None:
    bench = Bench()
    for _ in range(5):
        bench.say(m.PwmDutyCycle(1000), m.AllowPowerOn(False))
    bench.say(m.PwmDutyCycle(2000))
    noted = [entry for entry in bench.board.log.recent if entry.get("kind") == "pwm"]
    assert [entry["steps"] for entry in noted] == [1000, 2000]
    assert bench.board.frames_in >= 11


@pytest.mark.parametrize(
    ("high_v", "current", "state"),
    [
        (12.0, None, m.CpState.A),
        (10.5, m.CpState.A, m.CpState.A),
        (10.5, m.CpState.B, m.CpState.B),
        (7.5, m.CpState.B, m.CpState.B),
        (7.5, m.CpState.C, m.CpState.C),
        (4.5, m.CpState.C, m.CpState.C),
        (4.5, m.CpState.D, m.CpState.D),
        (3.0, None, m.CpState.D),
        (0.9, None, m.CpState.E),
        (-12.0, None, m.CpState.F),
        (14.0, None, None),
        (-6.0, None, None),
    ],
)
def test_bands_with_hysteresis(high_v: float, current: m.CpState | None, state: m.CpState | None) -> None:
    assert band(high_v, current) is state


actions = st.lists(
    st.one_of(
        st.sampled_from(sorted(LOADS)),
        st.builds(m.PwmDutyCycle, st.sampled_from([0, 500, 1000, 2667, 9700, 10000])),
        st.builds(m.AllowPowerOn, st.booleans()),
        st.builds(m.Reset),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(actions, st.data())
def test_coil_is_never_on_where_the_board_must_not(story: list[Any], data: st.DataObject) -> None:
    bench = Bench()
    for action in story:
        if isinstance(action, str):
            bench.load = action
        elif isinstance(action, bool):
            bench.host_alive = action
        else:
            bench.say(action)
        bench.run(data.draw(st.sampled_from([0.02, 0.05, 0.3, 2.0, 6.0])))
        if bench.board.firmware.contactor.coil:
            firmware = bench.board.firmware
            assert firmware.allowed
            assert firmware.host_alive
            assert firmware.cp_state is m.CpState.C
            assert firmware.errors == m.ErrorFlags()
            assert firmware.duty_steps > 0
