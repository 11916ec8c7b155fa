"""The board as control sees it: pilot, contactor, lock and the rest in one unit.

How readings keep their time. The board tells states when they change, not all the time. A state it told is valid as
long as the board is alive, so each valid frame of the board, and nothing else, gives the states their new time.
No clock does. When the board is silent the readings age, and control calls them stale. What this cannot see: a single
report that the line damaged. The board acts on the change by itself all the same; we learn of it with the next one.

What is forgotten. A board that was reset, lost or reopened may be anywhere: its states are forgotten until it tells
them anew, the safe commands go out (pilot F, no power), and whatever control commanded before must be commanded
afresh. Nothing that could energise leaves before the board has told a protocol version that this driver knows.
"""

# ruff: noqa: ARG002 (every port method takes the time; this board needs it in few)
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hal.drivers.mcu_board import messages as m
from hal.drivers.mcu_board.self_test import RcdSelfTest
from hal.drivers.metering import EnergyCheck, energy_wh
from hal.values import (
    BoardError,
    BoardReading,
    Cable,
    Capabilities,
    ContactorReading,
    LockReading,
    MeterReading,
    PilotReading,
    PilotState,
    ProximityReading,
    ResidualCurrentReading,
    SelfTest,
    TemperatureReading,
)

TELEMETRY_HOLD_S = 2.0
"""Pilot volts are handed out beside the state so long after the telemetry that brought them."""
MIN_TEMPERATURE_C, MAX_TEMPERATURE_C = -50.0, 200.0
"""Outside, a sensor is broken or missing."""

_CABLES = {
    m.PpState.NC: Cable.NONE,
    m.PpState.A13: Cable.A13,
    m.PpState.A20: Cable.A20,
    m.PpState.A32: Cable.A32,
    m.PpState.A70: Cable.A63,
    m.PpState.FAULT: Cable.FAULT,
}
_LOCKED = {m.LockState.LOCKED: True, m.LockState.UNLOCKED: False}
_ERRORS = {
    "diode_fault": BoardError.DIODE,
    "rcd_selftest_failed": BoardError.RESIDUAL_SELF_TEST,
    "rcd_triggered": BoardError.RESIDUAL_CURRENT,
    "ventilation_not_available": BoardError.VENTILATION,
    "connector_lock_failed": BoardError.LOCK,
    "cp_signal_fault": BoardError.PILOT,
    "over_current": BoardError.OVER_CURRENT,
}

Send = Callable[[m.ToBoard], None]


@dataclass(slots=True)
class _Told:
    """What the board has told since it was last begun with."""

    pilot: PilotReading | None = None
    volts_at: float | None = None
    contactor: ContactorReading | None = None
    proximity: ProximityReading | None = None
    lock: LockReading | None = None
    residual: ResidualCurrentReading | None = None
    meter: MeterReading | None = None
    temperatures: tuple[TemperatureReading, ...] = ()
    flags: m.ErrorFlags = field(default_factory=m.ErrorFlags)
    capabilities: Capabilities | None = None


@dataclass(slots=True)
class _Held:
    """What control commands at present; None where it has not commanded anything."""

    duty_steps: int = m.DUTY_F
    power: bool = False
    locked: bool | None = None
    three_phases: bool | None = None


class BoardUnit:
    """Implements the ports; ``send`` puts a message on the line at once."""

    def __init__(self, variant: m.Variant, send: Send) -> None:
        self._variant = variant
        self._send = send
        self._test = RcdSelfTest()
        self._energy = EnergyCheck()
        self._resets = 0
        self._reset_reason = ""
        self._heard_at: float | None = None
        self._told = _Told()
        self._held = _Held()
        self.verified = False
        """The board has told a protocol version that we know; only then may anything be commanded."""

    # Readings

    def pilot(self) -> PilotReading | None:
        return self._told.pilot

    def contactor(self) -> ContactorReading | None:
        return self._told.contactor

    def proximity(self) -> ProximityReading | None:
        return self._told.proximity

    def lock(self) -> LockReading | None:
        return self._told.lock

    def residual_current(self) -> ResidualCurrentReading | None:
        return self._told.residual

    def meter(self) -> MeterReading | None:
        return self._told.meter

    def temperatures(self) -> tuple[TemperatureReading, ...]:
        return self._told.temperatures

    def board(self) -> BoardReading | None:
        if self._heard_at is None:
            return None
        errors = frozenset(error for name, error in _ERRORS.items() if getattr(self._told.flags, name))
        if self._test.running:
            errors -= {BoardError.RESIDUAL_CURRENT}  # the test trips it on purpose
        capabilities = self._told.capabilities or Capabilities()
        return BoardReading(self._heard_at, errors, self._resets, self._reset_reason, capabilities)

    # Commands

    def set_pilot(self, duty_pct: float, now: float) -> None:
        """Values outside 0 … 100 % are no duty cycle and become F."""
        steps = m.DUTY_F
        if 0 <= duty_pct <= 100:
            # A hair is added so that 28.31 %, which is 2830.9999… steps in binary, is not rounded down to 28.30 %.
            steps = math.floor(duty_pct * m.DUTY_STEPS_PER_PCT + 1e-6)
        if steps == self._held.duty_steps or (steps != m.DUTY_F and not self.verified):
            return
        self._held.duty_steps = steps
        self._send(m.PwmDutyCycle(steps))

    def set_contactor(self, closed: bool, now: float) -> None:
        """Not closed before the board is verified, nor while the self-test of the residual-current monitor runs."""
        if closed == self._held.power or (closed and (not self.verified or self._test.running)):
            return
        self._held.power = closed
        self._send(m.AllowPowerOn(closed))

    def set_phases(self, phases: int, now: float) -> None:
        """Only Yeti switches phases. That ``true`` means three is read from the message's name; no document says it."""
        three = phases > 1
        if self._variant is not m.Variant.YETI or three == self._held.three_phases or not self.verified:
            return
        self._held.three_phases = three
        self._send(m.SetNumberOfPhases(three))

    def set_lock(self, locked: bool, now: float) -> None:
        if locked == self._held.locked or not self.verified:
            return
        self._held.locked = locked
        self._send(m.ConnectorLock(locked))

    def start_self_test(self, now: float) -> None:
        """No effect while power is permitted or on, while the monitor is tripped, or where it is unsupported."""
        is_closed = self._told.contactor is not None and self._told.contactor.closed
        if not self._can_test or not self.verified or self._held.power or is_closed or self._told.flags.rcd_triggered:
            return
        self._command_monitor(self._test.start(now))
        self._refresh_residual(now=None)

    def reset_residual_current(self, now: float) -> None:
        """TIDA only; a Yeti clears its trip when it is reset."""
        if self._can_test and self.verified and not self._test.running:
            self._send(m.RcdCommand(reset=True))

    def reset_board(self, now: float) -> None:
        self.make_safe()
        self._send(m.Reset())

    # For the device

    def make_safe(self) -> None:
        """Forget every command and send the safe ones: first no power, then pilot F."""
        self.verified = False
        self._held = _Held()
        self._send(m.AllowPowerOn(False))
        self._send(m.PwmDutyCycle(m.DUTY_F))

    def begin(self) -> None:
        """The line is fresh, the board was lost or reset: know nothing, command only what is safe."""
        self._forget()
        self.make_safe()

    def repeat(self) -> None:
        """Say again what holds, so that a lost frame heals."""
        self._send(m.AllowPowerOn(self._held.power))
        self._send(m.PwmDutyCycle(self._held.duty_steps))
        if self._held.locked is not None:
            self._send(m.ConnectorLock(self._held.locked))
        if self._held.three_phases is not None:
            self._send(m.SetNumberOfPhases(self._held.three_phases))

    def on_timer(self, now: float) -> None:
        if self._test.running:
            self._command_monitor(self._test.on_timer(now))
            self._refresh_residual(now=None)

    def handle(self, message: m.FromBoard, now: float) -> None:
        """Take one valid message of the board."""
        self._heard_at = now
        match message:
            case m.ResetReport():
                self.begin()
                return
            case m.CpStateReport():
                state = PilotState.INVALID if message.state is None else PilotState[message.state.name]
                self._told.pilot = PilotReading(now, state)  # any volts were taken before the change
            case m.RelaisState():
                self._told.contactor = ContactorReading(now, message.on)
            case m.PpStateReport():
                cable = Cable.FAULT if message.state is None else _CABLES[message.state]
                self._told.proximity = ProximityReading(now, cable)
            case m.LockStateReport():
                self._told.lock = LockReading(now, _LOCKED.get(message.state or m.LockState.UNDEFINED))
            case m.ErrorFlags():
                self._told.flags = message
                if self._can_test:
                    failed, tripped = message.rcd_selftest_failed, message.rcd_triggered
                    self._command_monitor(self._test.on_flags(tripped, failed, now))
            case m.TelemetryTida():
                self._on_telemetry(message, now)
            case m.PowerMeter():
                self._on_meter(message, now)
            case m.KeepAliveLo():
                self._on_keep_alive(message)
        self._refresh(now)

    def count_reset(self, reason: m.ResetReason | None) -> None:
        self._resets += 1
        self._reset_reason = "unknown" if reason is None else reason.name.lower()

    def _on_keep_alive(self, message: m.KeepAliveLo) -> None:
        self._told.capabilities = Capabilities(
            hardware=f"type {message.hw_type} revision {message.hw_revision}",
            software=message.sw_version_string,
            protocol=f"{message.protocol_version_major}.{message.protocol_version_minor}",
            min_current_a=_ampere(message.hwcap_min_current),
            max_current_a=_ampere(message.hwcap_max_current),
            min_phases=message.hwcap_min_phase_count,
            max_phases=message.hwcap_max_phase_count,
            phase_switch_while_charging=message.supports_changing_phases_during_charging,
        )

    def _on_telemetry(self, message: m.TelemetryTida, now: float) -> None:
        high_v, low_v = message.cp_voltage_hi, message.cp_voltage_lo
        if math.isfinite(high_v) and math.isfinite(low_v):
            state = None if self._told.pilot is None else self._told.pilot.state
            self._told.pilot = PilotReading(now, state, high_v, low_v)
            self._told.volts_at = now
        self._told.temperatures = tuple(
            TemperatureReading(now, value if MIN_TEMPERATURE_C <= value <= MAX_TEMPERATURE_C else None)
            for value in (message.temp0, message.temp1)
        )

    def _on_meter(self, message: m.PowerMeter, now: float) -> None:
        voltage_v = (message.vrms_l1, message.vrms_l2, message.vrms_l3)
        current_a = (message.irms_l1, message.irms_l2, message.irms_l3)
        power_w = (message.watt_l1, message.watt_l2, message.watt_l3)
        numbers = (*voltage_v, *current_a, *power_w, message.total_watt_hr, message.freq_l1)
        if not all(math.isfinite(number) for number in numbers):
            return
        total_wh = energy_wh(message.total_watt_hr)
        self._told.meter = MeterReading(
            at=now,
            energy_import_wh=total_wh,
            power_w=sum(power_w),
            voltage_v=voltage_v,
            current_a=current_a,
            frequency_hz=message.freq_l1,
            quality=self._energy.judge(total_wh, now),
        )

    @property
    def _can_test(self) -> bool:
        return self._variant is m.Variant.TIDA

    def _command_monitor(self, command: m.RcdCommand | None) -> None:
        if command is not None:
            self._send(command)

    def _forget(self) -> None:
        self.verified = False
        self._told = _Told()
        self._held = _Held()
        self._test.abort()

    def _refresh(self, now: float) -> None:
        """A valid frame came: the states that the board told still hold."""
        # Volts without a state are a measurement and keep the time they were taken.
        if self._told.pilot is not None and self._told.pilot.state is not None:
            keep = self._told.volts_at is not None and now - self._told.volts_at <= TELEMETRY_HOLD_S
            self._told.pilot = replace(self._told.pilot, at=now) if keep else PilotReading(now, self._told.pilot.state)
        if self._told.contactor is not None:
            self._told.contactor = replace(self._told.contactor, at=now)
        if self._told.proximity is not None:
            self._told.proximity = replace(self._told.proximity, at=now)
        if self._told.lock is not None:
            self._told.lock = replace(self._told.lock, at=now)
        if self._told.capabilities is not None:
            # A board that has introduced itself without raising a flag since its reset has none to raise.
            self._refresh_residual(now)

    def _refresh_residual(self, now: float | None) -> None:
        """Build the reading anew; with ``now`` None it keeps its time (something changed on our side only)."""
        at = now if now is not None else (self._told.residual.at if self._told.residual else None)
        if at is None:
            return
        state = self._test.state if self._can_test else SelfTest.UNSUPPORTED
        if self._told.flags.rcd_selftest_failed:
            state = SelfTest.FAILED  # a Yeti tests by itself and only says when that failed
        tripped = self._told.flags.rcd_triggered and not self._test.running
        self._told.residual = ResidualCurrentReading(at, tripped, state, self._test.ended_at)


def _ampere(value: float) -> float:
    return value if math.isfinite(value) and value >= 0 else 0.0
