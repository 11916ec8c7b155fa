"""Control of one EVSE: inputs and time in, outputs out. No clock, no I/O, no thread.

Default to open. The contactor is commanded in ``sequence`` only; this module gathers the reasons for and against.
"""

from __future__ import annotations

from agent.control import timing as t
from agent.control.fault_book import FaultBook, us_rules
from agent.control.faults import FAULTS, Condition, FaultPilot
from agent.control.guards import Guards
from agent.control.inputs import EvseInputs, EvseOutputs
from agent.control.limits import DutyGovernor, duty_of, lowest
from agent.control.lock import ZERO_CURRENT_A, LockControl
from agent.control.permit import Lease, PermitHolder
from agent.control.phases import PhaseSwitch
from agent.control.pilot import ToggleGuard
from agent.control.self_test import SelfTestControl
from agent.control.sequence import Pilot, Sequence, Situation
from agent.control.settings import EvseSettings
from agent.control.tries import Tries
from agent.control.view import indication_of, observe
from agent.control.wake import WakeUp
from agent.link.messages import FaultCode, FaultReport, Hold, Permit
from hal.duty import MIN_CURRENT_A, current_of
from hal.ports import PortKind
from hal.values import PILOT_F_PCT, PILOT_X1_PCT, Cable, Indication, PilotState


class EvseControl:
    """The IEC 61851-1 control of one EVSE. ``now`` is monotonic seconds and never runs backwards."""

    def __init__(self, settings: EvseSettings, now: float) -> None:
        self.settings = settings
        us = settings.us_residual_current
        self.faults = FaultBook(settings.evse, us_rules(t.US_RETRIES, t.US_RETRY_S) if us else FAULTS)
        self.sequence = Sequence(now)
        self.guards = Guards(settings, now)
        self.permits = PermitHolder(settings.fail_safe_current_a, settings.fail_safe_s)
        self.operative = True
        self.lock = LockControl(settings)
        self.phase_switch = PhaseSwitch(settings.phases)
        self.self_test = SelfTestControl(settings.daily_self_test)
        self.wake_up = WakeUp()
        self.tries = Tries()
        self.limit_a, self.limited_by = 0.0, "permit"
        self.offered_a = 0.0
        self.duty_pct = PILOT_X1_PCT
        self.current_flows = False
        """A fresh meter reading shows current, whatever the contacts are said to do."""
        self.holds: tuple[Hold, ...] = (Hold.CHECKS_PENDING,)
        self.was_plugged: bool | None = None
        """Whether a vehicle was there when one could last be seen."""
        self.plugged_at: float | None = None
        """When the vehicle that is there came; None when there is none, or it was there before us."""
        self.left_at: float | None = None
        """When a vehicle was last seen to leave; None when none has since our start."""
        self._toggle = ToggleGuard()
        self._governor = DutyGovernor(t.DUTY_INTERVAL_S)
        self._settled_at: float | None = None
        self._simplified = False
        self._indication: Indication | None = None
        self._overrun = ""
        self._reset_board = False
        self._open_now = False
        self._residual_reset_at = float("-inf")
        self._asleep = False
        self._reasons: tuple[list[Hold], list[Hold], list[Hold]] = ([], [], [])

    # ---- what the agent or a person asks ------------------------------------------------------------------------

    def grant(self, permit: Permit, now: float) -> str:
        """Take a permit. Returns why it is refused, or an empty text."""
        if not self.operative:
            return f"EVSE {self.settings.evse} is out of service; put it into service first"
        return self.permits.grant(permit, now)

    def withdraw(self) -> None:
        """End the permit: pilot to x1, then open in B or after 6 s."""
        self.permits.withdraw()

    def set_operative(self, operative: bool) -> None:
        """Out of service (False): charging ends in good order, state F is shown, permits are refused."""
        self.operative = operative
        if not operative:
            self.permits.withdraw()

    def hold_cable(self, hold: bool) -> None:
        self.lock.hold = hold

    def indicate(self, indication: Indication) -> None:
        self._indication = indication

    def clear_fault(self, code: FaultCode) -> str:
        """A person asks to clear a fault; it goes when its condition is gone. Returns why it does not go now, or an
        empty text."""
        return self.faults.clear(code)

    def open_now(self) -> None:
        """Open in the next step, without the vehicle's time to end by itself, and forget the permit."""
        self.permits.withdraw()
        self._open_now = True

    def reset_board(self) -> str:
        """Reset the board at the next step. Returns why it is refused, or an empty text."""
        if self.sequence.closed:
            return "the contactor is closed; stop the charge first"
        self._reset_board = True
        return ""

    def run_self_test(self) -> str:
        """Run the residual-current self-test soon. Returns why it is refused, or an empty text."""
        if self.sequence.closed:
            return "energy flows; stop the charge first"
        self.self_test.ask()
        return ""

    def note_overrun(self, detail: str) -> None:
        """The loop was late: reported with the next step."""
        self._overrun = detail

    def all_fault_reports(self) -> tuple[FaultReport, ...]:
        return self.faults.all_reports()

    # ---- one step -----------------------------------------------------------------------------------------------

    def step(self, inputs: EvseInputs, now: float) -> EvseOutputs:
        """Look, judge, decide. Call at least every 10 ms while the last outputs were ``active``."""
        sequence = self.sequence
        start_test = self._look(inputs, now)
        self._set_limit(inputs, now)
        was_closed = sequence.closed
        situation = self._situation(inputs, now)
        sequence.step(situation, now)
        if sequence.closed and not was_closed:
            self.self_test.spent()
        self._drive_pilot(now)
        self._settle_holds(situation)
        open_for_sure = self.open_for_sure(now)
        reset_board, self._reset_board = self._reset_board, False
        self._open_now = False
        return EvseOutputs(
            duty_pct=self.duty_pct,
            contactor=sequence.closed,
            lock=self.lock.pulse(now),
            phases=self.phase_switch.phases if open_for_sure else None,
            start_self_test=start_test and not sequence.closed,
            reset_residual_current=self._residual_reset_due(now),
            reset_board=reset_board,
            indication=self.tries.indication(now) or indication_of(self, self._indication),
            observation=observe(self, inputs, now),
            reports=self.faults.take_reports(),
            opened_because=sequence.opened_because,
            active=sequence.closed or self.guards.state in (PilotState.C, PilotState.D),
        )

    def _look(self, inputs: EvseInputs, now: float) -> bool:
        """Update everything that is known. Returns whether to start the residual-current self-test."""
        guards, sequence = self.guards, self.sequence
        self.current_flows = guards.current_a(inputs, now) >= ZERO_CURRENT_A
        conditions = guards.update(inputs, sequence, self.offered_a, self.self_test.running_until, now)
        self._follow_plug(now)
        open_for_sure = self.open_for_sure(now)
        leased = self.permits.lease(now) in (Lease.LIVE, Lease.FAIL_SAFE)
        self.tries.update(open_for_sure and not leased, guards.plugged, now)
        self.lock.tried = self.tries.lock(now)
        rested = now - sequence.switched_at >= t.WELD_CHECK_S
        if self.faults.wants_release(FaultCode.RESIDUAL_SELF_TEST, now):
            self.self_test.ask()
        may_test = open_for_sure and rested and guards.board.alive and guards.state is not None
        start_test, failed = self.self_test.update(inputs.residual_current, may_test, now)
        if failed is not None:
            conditions[FaultCode.RESIDUAL_SELF_TEST] = failed
        lock_fault = self.lock.update(
            inputs.lock,
            plugged=guards.plugged is True,
            unplugged=guards.plugged is False,
            cable=guards.cable.cable,
            permitted=leased,
            contactor_open=open_for_sure,
            commanded_closed=sequence.closed,
            current_a=guards.current_a(inputs, now),
            fault=self.faults.lock(),
            now=now,
        )
        if lock_fault is not None:
            conditions[FaultCode.LOCK] = lock_fault
        if self._overrun:
            conditions[FaultCode.CONTROL_OVERRUN] = Condition(self._overrun)
            self._overrun = ""
        self.faults.update(conditions, self.was_plugged is not False, guards.plugged is False, now)
        if self._settled_at is None and guards.state is not None:
            # Row 31: a vehicle that is there when control starts sees x1 first, for T_STEP_X1.
            self._settled_at = now if guards.plugged is False else now + t.T_STEP_X1_S
        return start_test

    def open_for_sure(self, now: float) -> bool:
        """Commanded open, and as far as can be known the contacts are; a charge controller must have been kept from
        closing for long enough, too."""
        if self.sequence.closed:
            return False
        contactor = self.guards.contactor
        if self.settings.follows:
            return contactor.at_rest(self.sequence.steady_since, now) and not self.current_flows
        return contactor.open_for_sure

    def _follow_plug(self, now: float) -> None:
        plugged, state = self.guards.plugged, self.guards.state
        if plugged is None:
            return
        if plugged and self.was_plugged is False:
            self.plugged_at = now
        elif not plugged:
            self.plugged_at = None
        if not plugged:
            if self.was_plugged:
                self.left_at = now
                self.permits.withdraw()  # it was given for the vehicle that has gone
            self._simplified = False
            self.wake_up.reset()
            self.phase_switch.vehicle_left()
        elif state is PilotState.B:
            self._simplified = False
        elif self.was_plugged is False:
            self._simplified = True  # IEC 61851-1 A.2.3: A to C at once
        self.was_plugged = plugged

    def _set_limit(self, inputs: EvseInputs, now: float) -> None:
        settings = self.settings
        hardware_a = settings.max_current_a
        for board in inputs.boards:
            if board.capabilities.max_current_a > 0.0:
                hardware_a = min(hardware_a, board.capabilities.max_current_a)
        if self._simplified and settings.simplified_pilot_limit_a > 0.0:
            hardware_a = min(hardware_a, settings.simplified_pilot_limit_a)
        cable = self.guards.cable
        self.limit_a, self.limited_by = lowest(
            (
                self.permits.limit(now),
                ("cable", cable.limit_a()),
                ("hardware", hardware_a),
                ("temperature", self.guards.temperature.limit_a(hardware_a)),
            )
        )

    def _situation(self, inputs: EvseInputs, now: float) -> Situation:
        guards, sequence, faults = self.guards, self.sequence, self.faults
        state = guards.state
        ready = state is PilotState.C or (state is PilotState.D and self.settings.ventilation)
        stable = self._toggle.update(state, sequence.pwm_since, now)
        holds = self._offer_holds(inputs, now)
        start: list[Hold] = []
        offered = PortKind.RESIDUAL_CURRENT_MONITOR in self.settings.ports
        tested = self.self_test.passed(inputs.residual_current, offered, now) and not self.self_test.busy
        if not tested and not sequence.closed:
            start.append(Hold.SELF_TEST_PENDING)
        if not self.lock.ready and not sequence.closed:
            start.append(Hold.LOCK_PENDING)
        rested = now - sequence.opened_at >= t.RECLOSE_S
        if self.settings.follows:
            stable, checked = True, True
            if sequence.pilot is Pilot.PWM:
                holds += [each for each in start if each not in holds]  # it may close at any moment
            elif not (rested and self.open_for_sure(now)):
                start.append(Hold.CHECKS_PENDING)
        else:
            same_cable = guards.cable.session_cable is guards.cable.cable
            checked = guards.diode_ok and guards.contactor.open_for_sure and rested and same_cable
        close = [*start, *(() if checked else (Hold.CHECKS_PENDING,))]
        self._reasons = holds, start, close
        fault_pilot = faults.pilot(now)
        shows_f = self._shows_unavailable(fault_pilot) or self.tries.shows_f(now)
        steady = Pilot.F if fault_pilot is FaultPilot.F or shows_f else Pilot.X1
        if not self.settings.follows:  # which wakes by its own rules
            self.wake_up.update(sequence.pilot is Pilot.PWM and state is PilotState.B, now)
        if ready or sequence.closed:
            self.wake_up.served()
        self._asleep = self.wake_up.asleep(now)
        waking = self.wake_up.steady_pct(now)
        offer_hold = holds[0].value if holds else ""
        if holds and sequence.pilot is not Pilot.PWM and guards.plugged is not None:
            self.wake_up.reset()
        elif waking is not None and not holds:
            if waking == PILOT_F_PCT:
                steady, offer_hold = Pilot.F, "wake-up"
            elif sequence.pilot is Pilot.F:
                steady, offer_hold = Pilot.X1, "wake-up"
        return Situation(
            energy=ready and stable,
            keeps_energy=ready,
            vehicle_there=guards.plugged is True,
            offer_hold=offer_hold,
            start_hold=start[0].value if start else "",
            close_hold=close[0].value if close else "",
            open_by=now if self._open_now else faults.deadline(),
            steady=steady,
            follows=self.settings.follows,
            contacts=guards.contactor.closed,
        )

    def _shows_unavailable(self, fault_pilot: FaultPilot) -> bool:
        return not self.operative and fault_pilot is FaultPilot.KEEP

    def _offer_holds(self, inputs: EvseInputs, now: float) -> list[Hold]:
        """Return why nothing may be offered, most important first. Every reason here also opens a closed contactor."""
        guards, holds = self.guards, list[Hold]()
        waking = self.wake_up.running
        if self.faults.blocking():
            holds.append(Hold.EMERGENCY_STOP if FaultCode.EMERGENCY_STOP in self.faults.entries else Hold.FAULT)
        if not self.operative:
            holds.append(Hold.INOPERATIVE)
        if guards.plugged is False:
            holds.append(Hold.NOT_PLUGGED)
        lease = self.permits.lease(now)
        if lease is Lease.NONE:
            holds.append(Hold.NO_PERMIT)
        elif lease is Lease.EXPIRED:
            holds.append(Hold.LEASE_EXPIRED)
        elif not self.limit_a >= MIN_CURRENT_A:
            # A cable that is not known (yet) sets a limit of 0, and is a check that has not passed.
            holds.append(Hold.LIMIT_BELOW_MINIMUM if guards.cable.known else Hold.CHECKS_PENDING)
        sequence = self.sequence
        steady = self.open_for_sure(now) and sequence.pilot is not Pilot.PWM
        if sequence.pilot is Pilot.PWM:
            self.phase_switch.offered()
        permit = self.permits.permit
        fixed = any(board.capabilities.min_phases > 1 for board in inputs.boards)
        phases = permit.phases if permit is not None and lease in (Lease.LIVE, Lease.FAIL_SAFE) else None
        if self.phase_switch.update(phases, steady, fixed, now):
            holds.append(Hold.PHASE_SWITCH)
        unknown = guards.plugged is None and not waking
        unsettled = self._settled_at is None or now < self._settled_at
        if (unknown or unsettled) and Hold.CHECKS_PENDING not in holds:
            holds.append(Hold.CHECKS_PENDING)
        return holds

    def _drive_pilot(self, now: float) -> None:
        pilot = self.sequence.pilot
        if pilot is Pilot.PWM:
            self.duty_pct = duty_of(self._governor.offer(self.limit_a, now))
            self.offered_a = round(current_of(self.duty_pct), 3)
            return
        self._governor.steady()
        self.duty_pct = PILOT_F_PCT if pilot is Pilot.F else PILOT_X1_PCT
        self.offered_a = 0.0

    def _settle_holds(self, situation: Situation) -> None:
        """Say why no energy flows. Empty while it is offered and the contactor is closed."""
        holds, start, close = self._reasons
        if self.sequence.closed:
            self.holds = (Hold.STOPPING, *holds) if self.sequence.stop_since is not None else ()
            return
        reasons = [*holds]
        for each in (*start, *close):
            if each not in reasons and not (holds and each is Hold.CHECKS_PENDING):
                reasons.append(each)
        if not holds and not situation.energy:
            reasons.append(Hold.VEHICLE_ASLEEP if self._asleep else Hold.VEHICLE_NOT_READY)
        self.holds = tuple(reasons) or (Hold.CHECKS_PENDING,)

    def _residual_reset_due(self, now: float) -> bool:
        """A monitor that latches by itself is reset once the recovery rule no longer holds the fault."""
        if not self.faults.wants_release(FaultCode.RESIDUAL_CURRENT, now) or self.sequence.closed:
            return False
        if now - self._residual_reset_at < t.RESIDUAL_RESET_S:
            return False
        self._residual_reset_at = now
        return True

    def cable_a(self) -> int:
        """Rating of the plugged cable in ampere; 0 when none, unknown, or a fixed cable."""
        cable = self.guards.cable.cable
        return cable.value if cable is not None and cable is not Cable.FAULT else 0
