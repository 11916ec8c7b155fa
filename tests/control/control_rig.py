"""A charger in virtual time: the pure core with hardware that obeys, or does not, and a vehicle told what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller_standin import Controller

from agent.control.evse import EvseControl
from agent.control.inputs import EvseInputs, EvseOutputs
from agent.control.settings import EvseSettings
from agent.link.messages import FaultCode, FaultReport, Hold, Permit
from hal.ports import PortKind
from hal.values import (
    BoardError,
    BoardReading,
    Cable,
    Capabilities,
    ContactorReading,
    EmergencyStopReading,
    EnclosureReading,
    LockReading,
    MeterReading,
    PilotReading,
    PilotState,
    ProximityReading,
    ResidualCurrentReading,
    SelfTest,
    TemperatureReading,
)

TICK_S = 0.01
START_S = 1000.0
VOLTS = {"A": 12.0, "B": 9.0, "C": 6.0, "D": 3.0, "E": 0.0}

BOARD_PORTS = frozenset(
    {
        PortKind.CONTROL_PILOT,
        PortKind.CONTACTOR,
        PortKind.PROXIMITY_PILOT,
        PortKind.CABLE_LOCK,
        PortKind.RESIDUAL_CURRENT_MONITOR,
        PortKind.TEMPERATURE_SENSOR,
        PortKind.EMERGENCY_STOP,
        PortKind.POWER_METER,
        PortKind.BOARD,
    }
)
SOCKET = EvseSettings(1, 32.0, 3, socket=True, has_lock=True, ports=BOARD_PORTS)
CONTROLLER = replace(SOCKET, ports=BOARD_PORTS | {PortKind.CHARGE_CONTROLLER, PortKind.ENCLOSURE})
MEASURED = replace(SOCKET, ports=BOARD_PORTS - {PortKind.BOARD})


class Rig:
    """``vehicle`` is the letter that the vehicle puts on the pilot; everything else does what it should until told."""

    def __init__(
        self, settings: EvseSettings = SOCKET, vehicle: str = "A", *, keep_history: bool = True, **changes: Any
    ) -> None:
        self.settings = replace(settings, **changes)
        self.now = START_S
        self.core = EvseControl(self.settings, self.now)
        self.out = EvseOutputs()
        self.reports: list[FaultReport] = []
        self.serial = 0
        # vehicle and cable
        self.vehicle = vehicle
        self.cable = Cable.A32
        self.diode = True
        self.current_a = 0.0
        # hardware
        self.lock_works = True
        self.locked: bool | None = False
        self.welded = False
        self.stuck_open = False
        self.contactor_closed = False
        self.tripped = False
        self.test_passes = True
        self.self_test = SelfTest.NOT_RUN
        self._test_ends_at: float | None = None
        self.self_test_at: float | None = None
        self.tests = 0
        self.residual_resets = 0
        self.board_errors: set[BoardError] = set()
        self.board_silent = False
        self.board_heard_at = self.now
        self.board_resets = 0
        self.capabilities = Capabilities()
        self.meter_silent = False
        self.meter_at = self.now
        self.voltage_v: tuple[float, ...] = (230.0, 230.0, 230.0)
        self.temperature_c: float | None = 30.0
        self.emergency = False
        self.pilot_stale = False
        self.pilot_at = self.now
        self.pilot_missing = False
        self.trouble = ""
        self.high_v: float | None = None
        self.cover_open = self.tilted = False
        self.controller = Controller(self.now) if settings.follows else None
        self.closed_times: list[float] = []
        self.opened_times: list[float] = []
        self.stepped = False
        self._last_inputs: EvseInputs | None = None
        self.keep_history = keep_history
        self.history: list[tuple[float, EvseOutputs]] = []

    # ---- doing ------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> EvseOutputs:
        end = self.now + seconds
        while self.now < end - TICK_S / 2:
            self.tick()
        return self.out

    def until(self, what: str, within_s: float) -> float:
        """Step until the attribute ``what`` is true; return how long it took. Fails when it takes longer."""
        began = self.now
        while not getattr(self, what):
            assert self.now - began <= within_s + TICK_S / 2, f"{what} not within {within_s} s: {self.describe()}"
            self.tick()
        return self.now - began

    def tick(self, dt: float = TICK_S) -> EvseOutputs:
        self.now += dt
        was_closed = self.out.contactor
        self.out = self.core.step(self.inputs(), self.now)
        if self.out.contactor != was_closed:
            (self.closed_times if self.out.contactor else self.opened_times).append(self.now)
        self.reports += self.out.reports
        self.stepped = True
        if self.keep_history:
            self.history.append((self.now, self.out))
        self._obey(self.out)
        return self.out

    def permit(self, current_a: float = 16.0, phases: int = 3, lease_s: float = 600.0) -> str:
        self.serial += 1
        return self.core.grant(Permit(1, self.serial, current_a, phases, lease_s), self.now)

    def charge(self, current_a: float = 16.0, drawn_a: float | None = None) -> None:
        """From A to a running charge."""
        self.run(2.0)
        self.vehicle = "B"
        self.permit(current_a)
        self.until("pwm", 10.0)
        self.vehicle = "C"
        self.until("closed", 3.0)
        self.current_a = current_a if drawn_a is None else drawn_a
        self.run(2.0)
        assert self.closed, self.describe()

    # ---- looking ----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.out.contactor

    @property
    def opened(self) -> bool:
        return not self.out.contactor

    @property
    def duty(self) -> float:
        return self.out.duty_pct

    @property
    def pwm(self) -> bool:
        return 0.0 < self.out.duty_pct < 100.0

    @property
    def x1(self) -> bool:
        return self.out.duty_pct == 100.0

    @property
    def f(self) -> bool:
        return self.out.duty_pct == 0.0

    @property
    def faults(self) -> set[FaultCode]:
        return set(self.core.faults.codes())

    @property
    def holds(self) -> tuple[Hold, ...]:
        return self.core.holds

    @property
    def lock_open(self) -> bool:
        return self.locked is False

    @property
    def lock_closed(self) -> bool:
        return self.locked is True

    @property
    def no_faults(self) -> bool:
        return not self.faults

    def faulted(self, code: FaultCode) -> bool:
        return code in self.faults

    def describe(self) -> str:
        out = self.out
        return (
            f"t={self.now - START_S:.2f} vehicle={self.vehicle} duty={out.duty_pct} contactor={out.contactor} "
            f"lock={out.lock}/{self.locked} holds={[h.value for h in self.holds]} "
            f"faults={sorted(f.value for f in self.faults)} limit={self.core.limit_a} by {self.core.limited_by}"
        )

    # ---- hardware ---------------------------------------------------------------------------------------------

    def inputs(self) -> EvseInputs:
        now, board = self.now, PortKind.BOARD in self.settings.ports
        if not self.board_silent:
            self.board_heard_at = now
        if not self.meter_silent and now - self.meter_at >= 0.5:
            self.meter_at = now
        if not self.pilot_stale:
            self.pilot_at = now
        if board and self.board_silent and self._last_inputs is not None:
            return replace(self._last_inputs, trouble=self.trouble)
        self._last_inputs = self._inputs(now, board)
        return self._last_inputs

    def _inputs(self, now: float, board: bool) -> EvseInputs:
        at = self.board_heard_at if board else now
        if self.controller is not None:
            return self._seen_by(self.controller, now)
        return EvseInputs(
            pilot=None if self.pilot_missing else self._pilot(board),
            contactor=ContactorReading(at, self.contactor_closed),
            proximity=ProximityReading(at, self.cable),
            lock=LockReading(at, self.locked),
            residual_current=self._residual(at),
            meter=MeterReading(
                self.meter_at,
                0.0,
                voltage_v=self.voltage_v,
                current_a=(self.current_a if self.contactor_closed else 0.0,),
            ),
            temperatures=(TemperatureReading(now, self.temperature_c),),
            emergency_stop=EmergencyStopReading(now, self.emergency),
            board=BoardReading(
                self.board_heard_at,
                frozenset(self.board_errors),
                self.board_resets,
                "watchdog",
                self.capabilities,
            )
            if board
            else None,
            trouble=self.trouble,
        )

    def _seen_by(self, controller: Controller, now: float) -> EvseInputs:
        """Pilot, contacts and life sign as the charge controller last told; everything else at once."""
        return EvseInputs(
            pilot=PilotReading(controller.seen_at, PilotState(controller.seen_letter)),
            contactor=ContactorReading(controller.seen_at, controller.seen_contacts),
            proximity=ProximityReading(now, self.cable),
            lock=LockReading(now, self.locked),
            residual_current=self._residual(now) if PortKind.RESIDUAL_CURRENT_MONITOR in self.settings.ports else None,
            meter=MeterReading(
                self.meter_at, 0.0, voltage_v=self.voltage_v, current_a=(self.current_a if controller.contacts else 0,)
            ),
            temperatures=(TemperatureReading(now, self.temperature_c),),
            emergency_stop=EmergencyStopReading(now, self.emergency),
            enclosure=EnclosureReading(now, self.cover_open, self.tilted),
            board=BoardReading(
                controller.seen_at, frozenset(self.board_errors), self.board_resets, "", self.capabilities
            ),
            trouble=self.trouble,
        )

    def _pilot(self, board: bool) -> PilotReading:
        steady_f = self.f and self.stepped
        if board:
            letter = "F" if steady_f and self.vehicle != "E" else self.vehicle
            return PilotReading(self.board_heard_at, PilotState(letter))
        high = VOLTS[self.vehicle] if self.high_v is None else self.high_v
        if steady_f and self.high_v is None:
            high = 0.0 if self.vehicle == "E" else -12.0
        low = high
        if self.pwm:
            low = -12.0 if self.diode else -high
        return PilotReading(self.pilot_at, None, high, low)

    def _residual(self, at: float) -> ResidualCurrentReading:
        if self._test_ends_at is not None and self.now >= self._test_ends_at:
            self._test_ends_at = None
            self.self_test = SelfTest.PASSED if self.test_passes else SelfTest.FAILED
            self.self_test_at = self.now
        return ResidualCurrentReading(at, self.tripped, self.self_test, self.self_test_at)

    def _obey(self, out: EvseOutputs) -> None:
        controller = self.controller
        if controller is not None:
            controller.told(None if self.board_silent else out.duty_pct, self.now)
            controller.step(self.vehicle, self.welded, self.stuck_open, not self.board_silent, self.now)
            self.contactor_closed = controller.contacts
        elif self.board_silent and self.settings.has_board:
            if self.now - self.board_heard_at >= 5.0:
                self.contactor_closed = self.welded and self.contactor_closed  # the board opens by itself
            return
        elif out.contactor:
            self.contactor_closed = not self.stuck_open
        elif not self.welded:
            self.contactor_closed = False
        if self.lock_works and out.lock is not None:
            self.locked = out.lock
        if out.start_self_test:
            self.tests += 1
            self.self_test = SelfTest.RUNNING
            self._test_ends_at = self.now + 0.3
        if out.reset_residual_current:
            self.residual_resets += 1
            self.tripped = False
