"""A Yeti or TIDA-010939 board on its serial line: firmware, frames, and a diary of what it hears and decides.

Wire: COBS + CRC-32/JAMCRC + protobuf, both id sets (EVerest's public drivers; see ``hal.drivers.mcu_board``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from hal.drivers.mcu_board.messages import (
    AllowPowerOn,
    ConnectorLock,
    CpState,
    CpStateReport,
    ErrorFlags,
    FromBoard,
    KeepAlive,
    KeepAliveLo,
    LockState,
    LockStateReport,
    PowerMeter,
    PpState,
    PpStateReport,
    PwmDutyCycle,
    RcdCommand,
    RelaisState,
    Reset,
    ResetReason,
    ResetReport,
    SetNumberOfPhases,
    TelemetryTida,
    TelemetryYeti,
    Variant,
)
from hal.drivers.mcu_board.wire import FrameReader, PayloadError, decode_to_board, encode_from_board, frame
from simulators.boards.firmware import Ailments, Firmware
from simulators.lab.kinds import Surroundings
from simulators.oracle import EventLog

BOOT_S = 0.25
KEEP_ALIVE_S = 1.0
TELEMETRY_S = 1.0
GARBAGE_S = 0.05
QUIET_S = 1.5
"""Host bytes after so long a silence are noted, whole frames or not."""
AMBIENT_C = 28.0
CABLES = {0: PpState.NC, 13: PpState.A13, 20: PpState.A20, 32: PpState.A32, 63: PpState.A70, -1: PpState.FAULT}
"""Proximity coding by the cable's rating in ampere; −1 is a short."""


@dataclass(slots=True)
class WireFaults:
    """How the line to the host misbehaves."""

    garbage: bool = False
    half_frames: bool = False
    mute: bool = False
    """The board hears, but nothing it says arrives."""
    deaf: bool = False
    """The board speaks, but hears nothing."""
    foreign_protocol: bool = False
    echo: bool = False
    """What the host sends comes back to it."""


class Board:
    """``send`` puts bytes on the line; ``receive`` and ``step`` are called by the lab."""

    def __init__(
        self,
        variant: Variant,
        send: Callable[[bytes], None],
        log: EventLog,
        now: float,
        *,
        ventilation: bool = False,
        seed: int = 1,
    ) -> None:
        self.variant = variant
        self.wire_faults = WireFaults()
        self.temperature_c: tuple[float, float] = (AMBIENT_C, AMBIENT_C)
        self.hardware_max_a = 32.0
        self.phases = 3
        self.ventilation = ventilation
        self.log = log
        self.frames_in = 0
        self.resets = 0
        self.firmware = Firmware(variant, ventilation)
        self._send_bytes = send
        self._random = random.Random(seed)
        self._reader = FrameReader()
        self._boots_at: float | None = None
        self._reset_reason = ResetReason.WATCHDOG
        self._next_keep_alive = now
        self._next_telemetry = now
        self._next_garbage = now
        self._told: dict[type, FromBoard] = {}
        self._logged: dict[str, object] = {}
        self._heard: dict[str, object] = {}
        self._bytes_at = -math.inf
        self.power_up(now)

    @property
    def running(self) -> bool:
        return self._boots_at is None

    def power_up(self, now: float) -> None:
        """Supply returns: boot from nothing."""
        self.restart(ResetReason.WATCHDOG, now)

    def power_down(self, now: float) -> None:
        """Supply is lost: the coil drops, nothing is said any more."""
        self._forget(now)
        self._boots_at = math.inf
        self.log.add("power_down")

    def restart(self, reason: ResetReason, now: float) -> None:
        """Restart the microcontroller; the coil drops at once."""
        self._forget(now)
        self._boots_at = now + BOOT_S
        self._reset_reason = reason
        self.resets += 1
        self.log.add("reset", reason=reason.name)

    def _forget(self, now: float) -> None:
        old = self.firmware
        fresh = Firmware(self.variant, self.ventilation)
        fresh.ailments = old.ailments
        fresh.contactor = old.contactor
        fresh.lock = old.lock
        fresh.contactor.energise(False, now)
        fresh.reason = "reset"
        self.firmware = fresh
        self._reader = FrameReader()
        self._told.clear()
        self._heard.clear()

    @property
    def duty_pct(self) -> float:
        """What the pilot generator gives; its pin rests at F while the board boots."""
        return self.firmware.duty_pct if self.running else 0.0

    @property
    def ailments(self) -> Ailments:
        return self.firmware.ailments

    # The line

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the host."""
        if now - self._bytes_at > QUIET_S:
            self.log.add("host_bytes", count=len(data))
        self._bytes_at = now
        if self.wire_faults.echo:
            self._send_bytes(data)
        if not self.running or self.wire_faults.deaf:
            return
        for payload in self._reader.feed(data):
            try:
                message = decode_to_board(self.variant, payload)
            except PayloadError as error:
                self.log.add("bad_frame", error=str(error))
                continue
            self.frames_in += 1
            self._obey(message, now)
            if isinstance(message, Reset):
                return

    def _obey(self, message: object, now: float) -> None:
        firmware = self.firmware
        if isinstance(message, KeepAlive):
            if not firmware.host_alive:
                self.log.add("host_alive")
            firmware.keep_alive(now)
            return
        if isinstance(message, PwmDutyCycle):
            self._note_frame("pwm", steps=message.steps)
            firmware.request_pwm(message.steps)
        elif isinstance(message, AllowPowerOn):
            self._note_frame("allow_power_on", allowed=message.allowed)
            firmware.allow_power_on(message.allowed)
        elif isinstance(message, ConnectorLock):
            self._note_frame("lock", locked=message.locked)
            firmware.lock.drive(message.locked, now)
        elif isinstance(message, SetNumberOfPhases):
            self._note_frame("phases", three=message.three)
            firmware.contactor.select(message.three)
        elif isinstance(message, RcdCommand):
            self.log.add("frame_in", kind="rcd", test=message.test, reset=message.reset)
            firmware.rcd_command(message.test, message.reset, now)
        elif isinstance(message, Reset):
            self.log.add("frame_in", kind="reset")
            self.restart(ResetReason.USER, now)

    def _note_frame(self, kind: str, **fields: object) -> None:
        """Write down a command, unless it only repeats the last of its kind."""
        if self._heard.get(kind) != fields:
            self._heard[kind] = fields
            self.log.add("frame_in", kind=kind, **fields)

    def _say(self, message: FromBoard) -> None:
        if self.wire_faults.mute or self.wire_faults.garbage:
            return
        data = frame(encode_from_board(self.variant, message))
        if self.wire_faults.half_frames and self._random.random() < 0.5:
            data = data[: len(data) // 2]
        self._send_bytes(data)

    # Time

    def step(self, now: float, around: Surroundings) -> bool:
        """Sense, act, report. True while the board wants to be called again within some 10 ms."""
        if self._boots_at is not None:
            self.firmware.contactor.step(now)
            self._note_decisions()
            if now < self._boots_at:
                return self._boots_at < math.inf
            self._boots_at = None
            self._next_keep_alive = self._next_telemetry = now
            self._say(ResetReport(self._reset_reason))
        busy = self.firmware.step(now, around.high_v, around.low_v)
        self._note_decisions()
        self._report_changes(around)
        if now >= self._next_keep_alive:
            self._next_keep_alive = now + KEEP_ALIVE_S
            self._say(self._identity(now))
        if now >= self._next_telemetry:
            self._next_telemetry = now + TELEMETRY_S
            self._say_telemetry(now, around)
        if self.wire_faults.garbage and now >= self._next_garbage:
            self._next_garbage = now + GARBAGE_S
            self._send_bytes(self._random.randbytes(24))
        return busy

    def _note_decisions(self) -> None:
        """Write down each change of the coil and of what decides on it."""
        firmware = self.firmware
        coil = firmware.contactor.coil
        if self._logged.get("coil", False) != coil:
            self.log.add("coil_on" if coil else "coil_off", reason="" if coil else firmware.reason)
        alive = firmware.host_alive
        if self._logged.get("alive", False) and not alive and self.running:
            self.log.add("host_silent")
        self._logged.update(coil=coil, alive=alive)

    def _report_changes(self, around: Surroundings) -> None:
        firmware = self.firmware
        lock_state = {None: LockState.UNDEFINED, False: LockState.UNLOCKED, True: LockState.LOCKED}
        reports: list[FromBoard] = [
            RelaisState(firmware.contactor.feedback),
            firmware.errors,
            PpStateReport(CABLES.get(around.cable_a, PpState.FAULT)),
            LockStateReport(lock_state[firmware.lock.locked]),
        ]
        state = CpState.F if firmware.duty_steps == 0 else firmware.cp_state
        if state is not None:
            reports.insert(0, CpStateReport(state))
        for report in reports:
            if self._told.get(type(report)) == report:
                continue
            self._told[type(report)] = report
            self._say(report)
            if isinstance(report, CpStateReport) and report.state is not None:
                self.log.add("frame_out", kind="cp_state", state=report.state.name)
            elif isinstance(report, RelaisState):
                self.log.add("frame_out", kind="relais", on=report.on)
            elif isinstance(report, ErrorFlags):
                names = [name for name in ErrorFlags.__dataclass_fields__ if getattr(report, name)]
                self.log.add("frame_out", kind="errors", errors=names)
            elif isinstance(report, LockStateReport) and report.state is not None:
                self.log.add("frame_out", kind="lock", state=report.state.name)
            elif isinstance(report, PpStateReport) and report.state is not None:
                self.log.add("frame_out", kind="pp", state=report.state.name)

    def _identity(self, now: float) -> KeepAliveLo:
        return KeepAliveLo(
            time_stamp=int(now * 1000) & 0xFFFFFFFF,
            hw_type=1,
            hw_revision=2,
            protocol_version_major=99 if self.wire_faults.foreign_protocol else 0,
            protocol_version_minor=1,
            sw_version_string=f"sim-{self.variant.value}-1.0",
            hwcap_max_current=self.hardware_max_a,
            hwcap_min_current=6.0,
            hwcap_max_phase_count=self.phases,
            hwcap_min_phase_count=1,
            supports_changing_phases_during_charging=False,
        )

    def _say_telemetry(self, now: float, around: Surroundings) -> None:
        if self.variant is Variant.TIDA:
            self._say(TelemetryTida(around.high_v, around.low_v, *self.temperature_c))
            return
        # Unsigned on this wire: magnitudes, in millivolts.
        self._say(TelemetryYeti(round(abs(around.high_v) * 1000), round(abs(around.low_v) * 1000)))
        volts, amps = around.voltage_v, around.current_a
        watts = [volt * amp for volt, amp in zip(volts, amps, strict=True)]
        self._say(
            PowerMeter(
                time_stamp=int(now * 1000) & 0xFFFFFFFF,
                vrms_l1=volts[0],
                vrms_l2=volts[1],
                vrms_l3=volts[2],
                irms_l1=amps[0],
                irms_l2=amps[1],
                irms_l3=amps[2],
                total_watt_hr=around.energy_wh,
                watt_l1=watts[0],
                watt_l2=watts[1],
                watt_l3=watts[2],
                freq_l1=50.0,
                freq_l2=50.0,
                freq_l3=50.0,
                temp_l1=self.temperature_c[0],
                temp_l2=self.temperature_c[0],
                temp_l3=self.temperature_c[0],
                temp_n=self.temperature_c[1],
            )
        )
