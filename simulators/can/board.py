"""A pilot board on CAN as ``hal/drivers/can_board/example.dbc`` describes it, its bits laid by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hal.drivers.mcu_board.messages import DUTY_F, CpState, Variant
from simulators.boards.board import AMBIENT_C
from simulators.boards.contactor import Contactor
from simulators.boards.firmware import Firmware
from simulators.lab.kinds import Surroundings
from simulators.oracle import EventLog

STATUS, PILOT, INFO, METER, COMMAND = 0x200, 0x201, 0x202, 0x203, 0x210
STATUS_ID, PILOT_ID, COMMAND_ID = 0x10, 0x11, 0x20
"""What each message's checksum counts in beside its bytes."""
CYCLE_S, SLOW_S, PAGE_S = 0.1, 1.0, 0.33
BOOT_S = 0.25
HOST_SILENCE_S = 0.5
"""Without a good command for so long: pilot to F, contactor open."""
TEST_LIMIT_S = 1.0
PILOT_STATES = {CpState.A: 0, CpState.B: 1, CpState.C: 2, CpState.D: 3, CpState.E: 4, CpState.F: 5, None: 15}
CABLES = {0: 0, 13: 1, 20: 2, 32: 3, 63: 4, -1: 6}
NOT_RUN, RUNNING, PASSED, FAILED = range(4)


def crc8(data: bytes) -> int:
    """SAE J1850, bit by bit."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D if crc & 0x80 else crc << 1) & 0xFF
    return crc ^ 0xFF


def pack(*fields: tuple[int, int]) -> bytes:
    """Eight bytes, little-endian, of (first bit, value) pairs."""
    return sum(value << bit for bit, value in fields).to_bytes(8, "little")


@dataclass(slots=True)
class WireFaults:
    mute: bool = False
    deaf: bool = False
    foreign_protocol: bool = False
    bad_checksum: bool = False
    counter_frozen: bool = False
    unknown_values: bool = False
    """Everything it measures is told as "no value"."""


class CanBoard:
    """``send(id, data)`` puts a frame on the bus; ``receive`` and ``step`` are called by the lab."""

    def __init__(
        self, send: Callable[[int, bytes], None], log: EventLog, now: float, *, ventilation: bool = False
    ) -> None:
        self.wire_faults = WireFaults()
        self.temperature_c: tuple[float, float] = (AMBIENT_C, AMBIENT_C)
        self.max_a = 32.0
        self.emergency_stop = False
        self.enclosure_open = False
        self.resets = 0
        self.frames_in = 0
        self.log = log
        self._send = send
        self._ventilation = ventilation
        self.firmware = Firmware(Variant.TIDA, ventilation)
        self._boots_at = now + BOOT_S
        self._next = dict.fromkeys((STATUS, PILOT, INFO, METER), now)
        self._counter = {STATUS: 0, PILOT: 0}
        self._page = 0
        self._told: tuple[int, ...] = ()
        self._test = NOT_RUN
        self._test_since: float | None = None
        self._test_wish = self._reset_wish = False
        self._heard: tuple[object, ...] = ()
        self._coil = False

    @property
    def running(self) -> bool:
        return self._boots_at == -math.inf

    @property
    def duty_pct(self) -> float:
        return self.firmware.duty_pct if self.running else 0.0

    def restart(self, reason: str, now: float) -> None:
        old = self.firmware
        self.firmware = Firmware(Variant.TIDA, self._ventilation)
        self.firmware.ailments, self.firmware.contactor, self.firmware.lock = old.ailments, old.contactor, old.lock
        self.firmware.contactor.energise(False, now)
        self.firmware.reason = "reset"
        self.resets += 1
        self._boots_at = now + BOOT_S
        self._test, self._test_since, self._heard = NOT_RUN, None, ()
        self.log.add("reset", reason=reason)

    def power_down(self, now: float) -> None:
        self.firmware.contactor.energise(False, now)
        self._boots_at = math.inf
        self.log.add("power_down")

    # The bus

    def receive(self, number: int, data: bytes, now: float) -> None:
        if number != COMMAND or not self.running or self.wire_faults.deaf or len(data) != 8:
            return
        if crc8(bytes([COMMAND_ID]) + data[:7]) != data[7]:
            self.log.add("bad_frame", error="checksum")
            return
        self.frames_in += 1
        bits = int.from_bytes(data, "little")
        duty, permit, lock = bits & 0xFFFF, bits >> 16 & 3, bits >> 18 & 3
        firmware = self.firmware
        if not firmware.host_alive:
            self.log.add("host_alive")
        firmware.keep_alive(now)
        firmware.request_pwm(duty)
        firmware.allow_power_on(permit == 2)
        if lock:
            firmware.lock.drive(lock == 2, now)
        phases = bits >> 20 & 3
        if phases:
            firmware.contactor.select(phases == 3)
        heard = (duty, permit, lock, phases, bits >> 22 & 7)
        if heard != self._heard:
            self._heard = heard
            self.log.add(
                "frame_in",
                kind="command",
                duty=duty / 100,
                permit=permit,
                lock=lock,
                phases=phases,
                asks=bits >> 22 & 7,
            )
        self._residual(bool(bits >> 22 & 1), bool(bits >> 23 & 1), now)
        if bits >> 24 & 1:
            self.restart("host", now)

    def _residual(self, test: bool, reset: bool, now: float) -> None:
        if test and not self._test_wish and self._test != RUNNING and not self.firmware.contactor.coil:
            self._test, self._test_since = RUNNING, now
            self.firmware.rcd_command(True, False, now)
        if reset and not self._reset_wish and self._test != RUNNING:
            self.firmware.rcd_command(False, True, now)
        self._test_wish, self._reset_wish = test, reset

    # Time

    def step(self, now: float, around: Surroundings) -> bool:
        firmware = self.firmware
        if not self.running:
            firmware.contactor.step(now)
            self._note_coil()
            if now < self._boots_at:
                return self._boots_at < math.inf
            self._boots_at = -math.inf
            self._next = dict.fromkeys(self._next, now)
        heard_at = firmware.host_heard_at
        if firmware.host_alive and heard_at is not None and now - heard_at > HOST_SILENCE_S:
            firmware.host_alive = firmware.allowed = False
            firmware.requested_steps = DUTY_F
            self.log.add("host_silent")
        if self.emergency_stop:
            firmware.allowed = False
        busy = firmware.step(now, around.high_v, around.low_v)
        self._run_test(now)
        self._note_coil()
        self._tell(now, around)
        return busy or self._test == RUNNING

    def _run_test(self, now: float) -> None:
        if self._test_since is None:
            return
        if self.firmware.errors.rcd_triggered:
            self.firmware.rcd_command(False, True, now)
            self._test, self._test_since = PASSED, None
        elif now - self._test_since >= TEST_LIMIT_S:
            self.firmware.rcd_command(False, True, now)
            self._test, self._test_since = FAILED, None

    def _note_coil(self) -> None:
        coil = self.firmware.contactor.coil
        if coil != self._coil:
            self._coil = coil
            self.log.add("coil_on" if coil else "coil_off", reason="" if coil else self.firmware.reason)

    def _tell(self, now: float, around: Surroundings) -> None:
        if self.wire_faults.mute:
            return
        state = self._state(around)
        if state != self._told or now >= self._next[STATUS]:
            self._told, self._next[STATUS] = state, now + CYCLE_S
            self._send_guarded(STATUS, STATUS_ID, pack(*zip(_STATUS_BITS, state, strict=True)))
        if now >= self._next[PILOT]:
            self._next[PILOT] = now + CYCLE_S
            volts = [self._word(volt * 1000, 0x7FFF) for volt in (around.high_v, around.low_v)]
            celsius = [self._byte(value + 40) for value in self.temperature_c]
            head = b"".join(volt.to_bytes(2, "big") for volt in volts) + bytes(celsius)
            self._send_guarded(PILOT, PILOT_ID, head + bytes(2))
        if now >= self._next[INFO]:
            self._next[INFO] = now + SLOW_S
            protocol = 99 if self.wire_faults.foreign_protocol else 1
            self._send(INFO, pack((0, protocol), (8, self.resets & 0xFFFF), (24, round(self.max_a * 2))))
        if now >= self._next[METER]:
            self._next[METER] = now + PAGE_S
            self._send(METER, self._page_of(around))
            self._page = (self._page + 1) % 3

    def _state(self, around: Surroundings) -> tuple[int, ...]:
        firmware = self.firmware
        pilot = CpState.F if firmware.duty_steps == DUTY_F else firmware.cp_state
        contactor: Contactor = firmware.contactor
        errors = firmware.errors
        return (
            PILOT_STATES[pilot] if firmware.pilot.valid else 14,
            3 if self.wire_faults.unknown_values else int(contactor.feedback),
            {True: 1, False: 0, None: 2}[firmware.lock.locked],
            CABLES.get(around.cable_a, 7),
            int(errors.rcd_triggered),
            self._test,
            int(self.emergency_stop),
            int(self.enclosure_open),
            int(errors.diode_fault),
            int(errors.over_current),
            int(errors.connector_lock_failed),
            int(errors.cp_signal_fault),
        )

    def _page_of(self, around: Surroundings) -> bytes:
        if self._page == 0:
            energy = 0xFFFFFFFF if self.wire_faults.unknown_values else round(around.energy_wh) & 0xFFFFFFFF
            return pack((0, 0), (8, energy), (40, 5000))
        values, absent = (around.voltage_v, 0xFFFF) if self._page == 1 else (around.current_a, 0x8000)
        words = [self._word(value * 100, absent) for value in values]
        return pack((0, self._page), *((8 + 16 * place, word) for place, word in enumerate(words)))

    def _word(self, value: float, absent: int) -> int:
        return absent if self.wire_faults.unknown_values or not math.isfinite(value) else round(value) & 0xFFFF

    def _byte(self, value: float) -> int:
        return 0xFF if self.wire_faults.unknown_values or not math.isfinite(value) else round(value) & 0xFF

    def _send_guarded(self, number: int, data_id: int, data: bytes) -> None:
        if not self.wire_faults.counter_frozen:
            self._counter[number] = (self._counter[number] + 1) % 16
        body = data[:6] + bytes([self._counter[number]])
        crc = crc8(bytes([data_id]) + body) ^ (0x5A if self.wire_faults.bad_checksum else 0)
        self._send(number, body + bytes([crc]))


_STATUS_BITS = (0, 4, 6, 8, 11, 12, 14, 15, 16, 17, 18, 19)
