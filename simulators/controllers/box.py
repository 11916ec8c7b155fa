"""The controller's own logic, the same in all makes here: pilot, contacts, errors. Pure: no wire, time comes in.

The host only says what may be offered. The box shows it on the pilot, closes by itself when the vehicle asks, and
opens by itself when it no longer does, when the offer is gone, or when something is wrong.
"""

from __future__ import annotations

from hal.drivers.mcu_board.messages import CpState
from simulators.boards.classifier import PilotClassifier
from simulators.boards.contactor import Contactor
from simulators.lab.kinds import Surroundings
from simulators.oracle import EventLog

CLOSE_DELAY_S = 0.1
STOP_GRACE_S = 3.0
"""After the end of an offer the vehicle has this long to stop drawing; then the contacts open under load."""
F_GRACE_S = 0.0
DIODE_LOW_V = -11.0
MIN_OFFER_A = 6.0
PWM_CURRENTS = (CpState.B, CpState.C, CpState.D)


def duty_of(current_a: float) -> float:
    """Duty cycle in percent for an offer (IEC 61851-1 Table A.7)."""
    return current_a / 0.6 if current_a <= 51.0 else current_a / 2.5 + 64.0


class Box:
    """``offer_a``: what may be offered (0: nothing). ``errors``: what it found by itself."""

    def __init__(self, log: EventLog, *, phases: int, max_current_a: float, ventilation: bool) -> None:
        self.log = log
        self.phases = phases
        self.max_current_a = max_current_a
        self.ventilation = ventilation
        self.contactor = Contactor()
        self.contactor.select(phases == 3)
        self.pilot = PilotClassifier()
        self.offer_a = 0.0
        self.available = True
        self.open_now = False
        """The host wants the contacts open without any grace."""
        self.running = True
        self.residual_current = False
        self.over_current = False
        self.errors: set[str] = set()
        self.temperature_c = 28.0
        self.around = Surroundings(12.0, 12.0)
        self.reason = ""
        self.resets = 0
        self._diode_fault = False
        self._residual_latched = False
        self._ready_since: float | None = None
        self._offer_ended_at: float | None = None

    @property
    def offering(self) -> bool:
        return self.running and self.available and self.offer_a >= MIN_OFFER_A and not self.errors

    @property
    def offered_a(self) -> float:
        return min(self.offer_a, self.max_current_a) if self.offering else 0.0

    @property
    def duty_pct(self) -> float:
        if not self.running or not self.available or self.errors:
            return 0.0
        return duty_of(self.offered_a) if self.offering else 100.0

    @property
    def state(self) -> CpState | None:
        return self.pilot.state

    @property
    def asks(self) -> bool:
        """The vehicle wants energy."""
        return self.pilot.state is CpState.C or (self.pilot.state is CpState.D and self.ventilation)

    @property
    def poles(self) -> tuple[bool, bool, bool]:
        poles = self.contactor.poles
        return (poles[0], poles[1] and self.phases > 1, poles[2] and self.phases > 2)

    def clear_residual_current(self) -> None:
        self._residual_latched = False

    def restart(self, now: float) -> None:
        """The coil drops, what was commanded is forgotten; whoever calls says what holds after it."""
        self.running = False
        self.resets += 1
        self.offer_a = 0.0
        self.available, self.open_now = True, False
        self._diode_fault = self._residual_latched = False
        self.contactor.energise(False, now)
        self.reason = "reset"
        self.log.add("reset", reason="WATCHDOG")

    def boot(self) -> None:
        self.running = True
        self.pilot = PilotClassifier()

    def step(self, now: float, around: Surroundings) -> bool:
        """Look and act. True while something moves."""
        self.around = around
        if self.running:
            self.pilot.sample(around.high_v, now)
            self._judge(around)
            self._move(now)
        moving = self.contactor.step(now)
        waiting = self._ready_since is not None or self._offer_ended_at is not None
        return moving or waiting or not self.pilot.settled

    def _judge(self, around: Surroundings) -> None:
        if self.pilot.state is CpState.A:
            self._diode_fault = False
        elif self.offering and self.pilot.state in PWM_CURRENTS and around.low_v > DIODE_LOW_V:
            self._diode_fault = True
        if self.residual_current:
            self._residual_latched = True
        elif self.pilot.state is CpState.A and self._residual_latched and self.duty_pct == 0.0:
            self._residual_latched = False  # the latch falls with the plug
        found = {
            "diode": self._diode_fault,
            "residual_current": self._residual_latched,
            "over_current": self.over_current,
            "ventilation": self.pilot.state is CpState.D and not self.ventilation,
            "welded": self.contactor.closed and not self.contactor.coil and self.contactor.welded,
        }
        self.errors = {name for name, there in found.items() if there}

    def _obstacle(self) -> str:
        if self.errors:
            return "error " + ", ".join(sorted(self.errors))
        if self.open_now:
            return "told to open"
        if not self.asks and self.available:
            return f"state {self.pilot.state.name if self.pilot.state is not None else 'unknown'}"
        return ""

    def _move(self, now: float) -> None:
        if not self.contactor.coil:
            self._offer_ended_at = None
            if self._obstacle() or not self.offering:
                self._ready_since = None
                return
            if self._ready_since is None:
                self._ready_since = now
            if now - self._ready_since >= CLOSE_DELAY_S:
                self._ready_since = None
                self.log.add("coil_on", offer_a=self.offered_a)
                self.contactor.energise(True, now)
            return
        if self.offering:
            self._offer_ended_at = None
        elif self._offer_ended_at is None:
            self._offer_ended_at = now
        reason = self._obstacle()
        if not reason and self._offer_ended_at is not None:
            grace_s = STOP_GRACE_S if self.available else F_GRACE_S
            reason = "nothing offered" if now - self._offer_ended_at >= grace_s else ""
        if reason:
            self.reason = reason
            self._offer_ended_at = None
            self.log.add("coil_off", reason=reason)
            self.contactor.energise(False, now)
