"""An independent judge of control: looks at hardware and commands only, and knows the rules in its own words."""

from __future__ import annotations

from collections import deque

from control_rig import Rig

from agent.link.messages import FaultCode, Hold, Permit
from hal.values import BoardError, Cable, SelfTest

TICK_ALLOWANCE_S = 0.02
STOP_S = 6.0
NEVER_OPENS = {FaultCode.METER, FaultCode.READER, FaultCode.CONTROL_OVERRUN}

OPEN_WITHIN_S = {
    "residual": 0.04,
    "emergency": 0.05,
    "trouble": 0.05,
    "board reset": 0.05,
    "board flag": 0.05,
    "board over-current flag": STOP_S,
    "board silent": 5.0,
    "lock lost": 3.0,
    "cable": 1.0,
    "hot T3": 0.05,
    "hot T2": STOP_S,
    "no permit": STOP_S,
    "limit below 6 A": STOP_S,
    "out of service": STOP_S,
    "voltage": 10.0,
    "open PEN": 5.6,
    "feedback open": 0.52,
    "diode": 3.0,
    "pilot silent": 3.0,
}
"""The times of iec61851.md §14 (own ones where it says so)."""


STEADY_WITHIN_S = {
    **dict.fromkeys(("residual", "emergency", "trouble", "hot T3", "hot T2", "no permit", "limit below 6 A"), 0.0),
    **dict.fromkeys(("out of service", "board flag", "board over-current flag", "enclosure"), 0.0),
    "board silent": 5.0,
    "lock lost": 0.5,
    "cable": 1.0,
    "voltage": 10.0,
    "open PEN": 5.6,
}
"""A charge controller: from the cause, as the controller or the sensor has told it, to the end of our offer."""
CONTROLLER_SLOW_S = 5.0 + 0.5
"""What a controller may take to open after a steady pilot, and the poll that tells it."""


class Judge:
    """``look`` is called after each step of the rig and raises AssertionError for any broken rule."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.steps = 0
        self.closings = 0
        self._permit: Permit | None = None
        self._expires = self._fail_safe_ends = 0.0
        self._since: dict[str, float] = {}
        self._limits: deque[tuple[float, float]] = deque()
        self._was_closed = False
        self._was_feedback = False
        self._last_duty = 100.0
        self._duty_changed_at = -1e9
        self._steady_closed_since: float | None = None
        self._raised: set[FaultCode] = set()
        self._reports = 0
        self._tested_at: float | None = None
        self._tripped_at = -1e9
        self._last_closed_at = -1e9
        self._session_cable: Cable | None = None
        self._resets = rig.board_resets

    # ---- told by the test -------------------------------------------------------------------------------------

    def granted(self, permit: Permit) -> None:
        self._permit = permit
        self._expires = self.rig.now + permit.lease_s
        self._fail_safe_ends = self._expires + self.rig.settings.fail_safe_s

    def withdrawn(self) -> None:
        self._permit = None

    def successor(self) -> Judge:
        """A judge for a control process that has started anew: no permit, no test, no fault is known."""
        other = type(self)(self.rig)
        other.steps, other.closings, other._reports = self.steps, self.closings, len(self.rig.reports)
        other._last_closed_at = self.rig.now
        return other

    # ---- own view ---------------------------------------------------------------------------------------------

    def allowed_a(self) -> float:
        """What the permit allows now, in ampere; 0 for nothing."""
        now, permit = self.rig.now, self._permit
        if permit is None:
            return 0.0
        if now < self._expires:
            return permit.current_a
        if now < self._fail_safe_ends:
            return min(permit.current_a, self.rig.settings.fail_safe_current_a)
        return 0.0

    def limit_a(self) -> float:
        rig = self.rig
        limits = [self.allowed_a(), rig.settings.max_current_a, float(max(rig.cable.value, 0))]
        if rig.temperature_c is not None and rig.temperature_c > 65.0:
            limits.append(max(6.0, 32.0 - (rig.temperature_c - 65.0) / 10.0 * 26.0))
        return min(limits)

    def energy_state(self) -> bool:
        """The vehicle is in C, or in D where that is allowed. Between two bands the old state may stand."""
        rig = self.rig
        if rig.high_v is not None and not rig.settings.has_board:
            return (2.0 if rig.settings.ventilation else 4.0) <= rig.high_v < 8.0
        return rig.vehicle == "C" or (rig.vehicle == "D" and rig.settings.ventilation)

    def causes(self) -> set[str]:
        """Everything that now asks for an open contactor."""
        rig, board = self.rig, self.rig.settings.has_board
        here: set[str] = set()

        def add(name: str, condition: bool) -> None:
            if condition:
                here.add(name)

        flags = rig.board_errors if board else set()
        add("residual", rig.tripped)
        add("emergency", rig.emergency)
        add("trouble", bool(rig.trouble))
        add("board flag", bool(flags - {BoardError.OVER_CURRENT, BoardError.LOCK}))
        add("board over-current flag", BoardError.OVER_CURRENT in flags)
        add("board silent", board and rig.board_silent)
        add("lock lost", rig.settings.has_lock and rig.locked is not True)
        add("cable", self._session_cable is not None and rig.cable is not self._session_cable)
        add("hot T3", rig.temperature_c is not None and rig.temperature_c >= 80.0)
        add("hot T2", rig.temperature_c is None or rig.temperature_c >= 75.0)
        add("no permit", self.allowed_a() <= 0.0)
        add("limit below 6 A", self.limit_a() < 6.0)
        add("out of service", not rig.core.operative)
        bad_v = any(not 195.5 <= v <= 253.0 for v in rig.voltage_v)
        add("voltage", bad_v and not rig.meter_silent)
        if rig.settings.monitor_open_pen:
            add("open PEN", any(not 207.0 <= v <= 253.0 for v in rig.voltage_v) and not rig.meter_silent)
        add("feedback open", not rig.contactor_closed and self._was_closed)
        add("diode", not board and not rig.diode and rig.pwm)
        add("pilot silent", not board and (rig.pilot_stale or rig.pilot_missing))
        return here

    # ---- judgement --------------------------------------------------------------------------------------------

    def before(self) -> None:
        """Called before each step: what the hardware says at this moment is what control is judged by."""
        rig = self.rig
        here = self.causes()
        if rig.tripped:
            self._tripped_at = rig.now
        for name in list(self._since):
            if name not in here:
                del self._since[name]
        for name in here:
            self._since.setdefault(name, rig.now)
        self._was_feedback = rig.contactor_closed

    def look(self) -> None:
        rig, out = self.rig, self.rig.out
        self.steps += 1
        self._follow_reports()
        if rig.self_test is SelfTest.PASSED:
            self._tested_at = rig.self_test_at
        self._judge_pilot()
        if out.contactor:
            self._judge_closed()
            if not self._was_closed:
                self._judge_closing()
            self._last_closed_at = rig.now
        self._judge_the_rest()
        self._was_closed = out.contactor
        if out.contactor or rig.pwm:
            if self._session_cable is None and rig.cable.value > 0:
                self._session_cable = rig.cable
        elif rig.vehicle == "A":
            self._session_cable = None

    def _follow_reports(self) -> None:
        for report in self.rig.reports[self._reports :]:
            if report.active:
                assert report.remedy, "a fault without a remedy"
                assert report.detail, "a fault without a reason"
                self._raised.add(report.code)
            else:
                self._raised.discard(report.code)
        self._reports = len(self.rig.reports)

    def _judge_closed(self) -> None:
        rig = self.rig
        assert self.energy_state(), f"closed outside C: {rig.describe()} {rig.high_v} V"
        for name, since in self._since.items():
            held_s = rig.now - since
            assert held_s <= OPEN_WITHIN_S[name] + TICK_ALLOWANCE_S, f"closed {held_s:.2f} s after: {name}"
        if rig.x1:
            if self._steady_closed_since is None:
                self._steady_closed_since = rig.now
            assert rig.now - self._steady_closed_since <= STOP_S + TICK_ALLOWANCE_S, "PWM off, still closed"
        else:
            self._steady_closed_since = None
        assert not rig.f, "state F with a closed contactor"

    def _judge_closing(self) -> None:
        rig = self.rig
        self.closings += 1
        assert not (self._raised - NEVER_OPENS), f"closed on a fault: {self._raised}"
        assert rig.pwm, "closed without PWM"
        assert self.allowed_a() >= 6.0, "closed without a live permit"
        assert rig.core.operative
        assert not self._was_feedback, "closed onto contacts that read closed"
        instantly = {n for n, limit in OPEN_WITHIN_S.items() if limit <= 0.05 or n in ("lock lost", "no permit")}
        assert not (instantly & set(self._since)), f"closed with: {set(self._since)}"
        assert self._tested_at is not None, "closed without a self-test"
        self._judge_test(self._tested_at, "closed")
        assert rig.self_test is SelfTest.PASSED
        self._steady_closed_since = None

    def _judge_test(self, tested_at: float, what: str) -> None:
        if not self.rig.settings.daily_self_test:
            assert tested_at > self._last_closed_at, f"{what} without a new self-test"
        assert self.rig.now - tested_at <= 24 * 3600.0 + 1.0, f"{what} on an old self-test"
        assert tested_at > self._tripped_at, f"{what} without a self-test after a trip"

    def _judge_pilot(self) -> None:
        rig, duty = self.rig, self.rig.duty
        now = rig.now
        limit_a = self.limit_a()
        self._limits.append((now, limit_a))
        while self._limits[0][0] < now - 5.0 - TICK_ALLOWANCE_S:
            self._limits.popleft()
        assert duty in (0.0, 100.0) or 10.0 <= duty <= 96.0, f"no legal duty cycle: {duty}"
        if rig.pwm:
            offered_a = duty * 0.6 if duty <= 85.0 else (duty - 64.0) * 2.5
            assert limit_a >= 6.0, f"offer at a limit of {limit_a} A"
            highest_a = max(each for _, each in self._limits)
            assert offered_a <= highest_a + 0.01, f"{offered_a} A offered, limit {highest_a} A"
            assert self.allowed_a() >= 6.0, "offer without a live permit"
            if 0.0 < self._last_duty < 100.0 and duty != self._last_duty:
                assert now - self._duty_changed_at >= 5.0 - 1e-6, "duty cycle changed within 5 s"
        if duty != self._last_duty:
            self._duty_changed_at = now
            self._last_duty = duty

    def _judge_the_rest(self) -> None:
        rig, out = self.rig, self.rig.out
        if out.contactor or self._was_feedback:
            assert out.lock is not False or not rig.settings.has_lock or rig.locked is not True, "unlocked under load"
            assert out.phases is None, "phases touched with closed contacts"
        assert out.phases in (None, 1, 3)
        stopping = Hold.STOPPING in rig.holds
        assert (rig.holds == ()) == (out.contactor and not stopping), f"holds {rig.holds}"
        if out.start_self_test:
            assert not out.contactor
            assert not self._was_feedback


class FollowJudge(Judge):
    """The same for a charge controller, which may close whenever we offer: so it is the offer that is judged."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._was_pwm = False
        self._steady_since = rig.now
        self._closed_since_steady = True
        self._must_open_since: float | None = None
        self._seen: tuple[str, bool, float] = ("A", False, rig.now)
        """What the controller had told before this step."""

    def before(self) -> None:
        super().before()
        controller = self.rig.controller
        assert controller is not None
        self._seen = controller.seen_letter, controller.seen_contacts, controller.seen_at

    def causes(self) -> set[str]:
        rig = self.rig
        here = super().causes() - {"feedback open", "diode", "pilot silent"}
        if rig.cover_open or rig.tilted:
            here.add("enclosure")
        flagged = {"board flag", "board over-current flag"}
        if rig.board_silent or rig.controller is None or rig.controller.seen_at < rig.now - 0.015:
            here -= flagged - set(self._since)  # told with the next poll
        return here

    def look(self) -> None:
        rig, out = self.rig, self.rig.out
        self.steps += 1
        self._follow_reports()
        if rig.self_test is SelfTest.PASSED:
            self._tested_at = rig.self_test_at
        self._judge_pilot()
        if rig.pwm:
            self._judge_offer()
        else:
            assert not out.contactor, "close command beside a steady pilot"
            if self._was_pwm:
                self._steady_since = rig.now
        if out.contactor:
            letter, contacts, _ = self._seen
            assert letter == "C", f"follows a controller in {letter}"
            assert contacts, "follows contacts that read open"
            self.closings += not self._was_closed
            self._last_closed_at = rig.now
        self._judge_weld()
        if self._was_feedback:
            assert out.lock is not False or rig.locked is not True or rig.welded, "unlocked while contacts are closed"
            assert not out.start_self_test, "self-test under closed contacts"
            assert out.phases is None or rig.welded, "phases touched with closed contacts"
        assert (rig.holds == ()) == out.contactor
        self._was_closed, self._was_pwm = out.contactor, rig.pwm
        if rig.pwm and self._session_cable is None and rig.cable.value > 0:
            self._session_cable = rig.cable
        elif not rig.pwm and rig.vehicle == "A":
            self._session_cable = None

    def _judge_offer(self) -> None:
        rig, (_, seen_contacts, seen_at) = self.rig, self._seen
        for name, since in self._since.items():
            held_s = rig.now - since
            assert held_s <= STEADY_WITHIN_S[name] + TICK_ALLOWANCE_S, f"offers {held_s:.2f} s after: {name}"
        assert not rig.out.start_self_test, "self-test while the controller may close"
        if self._was_pwm:
            return
        assert not (self._raised - NEVER_OPENS), f"offers on a fault: {self._raised}"
        assert not seen_contacts, "offers onto contacts that read closed"
        assert seen_at > self._steady_since, "offers before the contacts were read open"
        assert rig.locked is True or not rig.settings.has_lock
        assert rig.self_test is SelfTest.PASSED
        assert self._tested_at is not None
        self._judge_test(self._tested_at, "offers")
        assert not set(self._since) - {"voltage", "open PEN", "board silent", "cable"}, f"offers with: {self._since}"

    def _judge_weld(self) -> None:
        """Contacts that are told closed for too long beside a steady pilot are a fault."""
        rig = self.rig
        told = self._seen[1] and not rig.board_silent and not rig.trouble
        if rig.pwm or not told or not rig.contactor_closed:
            self._must_open_since = None
            return
        if self._must_open_since is None:
            self._must_open_since = rig.now
        if rig.now - self._must_open_since > CONTROLLER_SLOW_S + TICK_ALLOWANCE_S:
            assert rig.faulted(FaultCode.CONTACTOR_WELDED), "closed contacts beside a steady pilot, and no fault"
