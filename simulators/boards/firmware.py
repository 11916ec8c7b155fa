"""The board's own safety logic, as its microcontroller has it. Pure: no wire, time comes in.

The host permits; the board decides. It closes only on permission, PWM and state C, and opens by itself, within
a few milliseconds, on anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hal.drivers.mcu_board.messages import DUTY_F, DUTY_STEPS_PER_PCT, DUTY_X1, CpState, ErrorFlags, Variant
from simulators.boards.classifier import PilotClassifier
from simulators.boards.contactor import Contactor
from simulators.boards.lock import LockMotor

HOST_SILENCE_S = 5.0
"""Without a keep-alive for so long: pilot to F, contactor open, permission forgotten."""
RCD_TEST_TRIP_S = 0.15
RCD_TEST_FAIL_S = 1.0
RCD_RELEASE_S = 0.1
CHECK_BEFORE_CLOSE_S = 0.05
PWM_FROM = 3 * DUTY_STEPS_PER_PCT
PWM_TO = 97 * DUTY_STEPS_PER_PCT


@dataclass(slots=True)
class Ailments:
    """What is broken on or around the board."""

    residual_current: bool = False
    self_test_broken: bool = False
    over_current: bool = False


class Firmware:
    """``duty_steps`` is what the pilot generator does, in 0.01 %; ``reason`` why the coil was last released."""

    def __init__(self, variant: Variant, ventilation: bool = False) -> None:
        self.variant = variant
        self.ventilation = ventilation
        self.ailments = Ailments()
        self.contactor = Contactor()
        self.lock = LockMotor()
        self.pilot = PilotClassifier()
        self.errors = ErrorFlags()
        self.allowed = False
        self.requested_steps = DUTY_F
        self.host_heard_at: float | None = None
        self.host_alive = False
        self.reason = ""
        self._diode_fault = False
        self._rcd_latched = False
        self._self_test_failed = False
        self._test_since: float | None = None
        self._test_ended_at: float | None = None
        self._ready_since: float | None = None

    # What the host says

    def keep_alive(self, now: float) -> None:
        self.host_heard_at = now
        self.host_alive = True

    def request_pwm(self, steps: int) -> None:
        self.requested_steps = min(max(steps, DUTY_F), DUTY_X1)

    def allow_power_on(self, allowed: bool) -> None:
        self.allowed = allowed

    def rcd_command(self, test: bool, reset: bool, now: float) -> None:
        if test and self._test_since is None:
            self._test_since = now
            self._self_test_failed = False
        elif not test and self._test_since is not None:
            self._test_since = None
            self._test_ended_at = now
        if reset:
            self._rcd_latched = False
            self._self_test_failed = False
            self._test_ended_at = None

    # What it does about it

    @property
    def duty_steps(self) -> int:
        return self.requested_steps if self.host_alive else DUTY_F

    @property
    def duty_pct(self) -> float:
        return self.duty_steps / DUTY_STEPS_PER_PCT

    @property
    def pwm_on(self) -> bool:
        return PWM_FROM <= self.duty_steps <= PWM_TO

    @property
    def cp_state(self) -> CpState | None:
        return self.pilot.state

    def step(self, now: float, high_v: float, low_v: float) -> bool:
        """Look at the pilot and act. True while something is in motion and wants to be looked at again soon."""
        if self.host_alive and self.host_heard_at is not None and now - self.host_heard_at > HOST_SILENCE_S:
            self.host_alive = False
            self.allowed = False
            self.requested_steps = DUTY_F
        self.pilot.sample(high_v, now)
        self._check_diode(low_v)
        self._watch_residual_current(now)
        state = self.pilot.state
        self.errors = ErrorFlags(
            diode_fault=self._diode_fault,
            rcd_selftest_failed=self._self_test_failed or self._yeti_self_test_failed(),
            rcd_triggered=self._rcd_latched or self._test_trips(now),
            ventilation_not_available=state is CpState.D and not self.ventilation,
            connector_lock_failed=self.lock.failed,
            cp_signal_fault=not self.pilot.valid,
            over_current=self.ailments.over_current,
        )
        self._move_contactor(now)
        moving = self.contactor.step(now)
        locking = self.lock.step(now)
        self.errors = replace(self.errors, connector_lock_failed=self.lock.failed)
        testing = self._test_since is not None or self._test_ended_at is not None
        restless = not self.pilot.settled or self._ready_since is not None or self.contactor.coil
        return moving or locking or testing or restless

    def _check_diode(self, low_v: float) -> None:
        if self.pilot.state is CpState.A:
            self._diode_fault = False  # cleared only by passing through A
        elif self.pwm_on and self.pilot.state in (CpState.B, CpState.C, CpState.D) and low_v > -11.0:
            self._diode_fault = True

    def _watch_residual_current(self, now: float) -> None:
        if self.ailments.residual_current:
            self._rcd_latched = True
        elif self.variant is Variant.YETI and self.pilot.state is CpState.A and not self.allowed:
            self._rcd_latched = False  # it has no reset command: the latch falls with the plug
        if (
            self._test_since is not None
            and now - self._test_since >= RCD_TEST_FAIL_S
            and self.ailments.self_test_broken
        ):
            self._self_test_failed = True
        if self._test_ended_at is not None and now - self._test_ended_at >= RCD_RELEASE_S:
            self._test_ended_at = None

    def _test_trips(self, now: float) -> bool:
        if self.ailments.self_test_broken:
            return False
        if self._test_ended_at is not None:
            return True
        return self._test_since is not None and now - self._test_since >= RCD_TEST_TRIP_S

    def _yeti_self_test_failed(self) -> bool:
        # A Yeti tests its monitor by itself and only reports.
        return self.variant is Variant.YETI and self.ailments.self_test_broken

    def _obstacle(self, closing: bool) -> str:
        """Why the coil must not be energised; empty when it may."""
        if not self.host_alive:
            return "host silent"
        if not self.allowed:
            return "not allowed"
        if self.errors != ErrorFlags():
            names = [name for name in ErrorFlags.__dataclass_fields__ if getattr(self.errors, name)]
            return "error " + ", ".join(names)
        state = self.pilot.state
        if state is not CpState.C and not (state is CpState.D and self.ventilation):
            return f"state {state.name if state is not None else 'unknown'}"
        if self.duty_steps == DUTY_F:
            return "pilot at F"
        # An energised coil survives x1: the host gives the vehicle time to stop before it forbids.
        if closing and not self.pwm_on:
            return "no PWM"
        return ""

    def _move_contactor(self, now: float) -> None:
        closing = not self.contactor.coil
        obstacle = self._obstacle(closing)
        if not closing:
            if obstacle:
                self.reason = obstacle
                self.contactor.energise(False, now)
            self._ready_since = None
            return
        if obstacle:
            self._ready_since = None
            return
        if self._ready_since is None:
            self._ready_since = now
        if now - self._ready_since >= CHECK_BEFORE_CLOSE_S:
            self.contactor.energise(True, now)
            self._ready_since = None
