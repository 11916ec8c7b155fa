"""What an OpenEVSE controller does: its pilot, relay, checks and memory. Pure.

Behaviour as OpenEVSE/open_evse has it (firmware/open_evse, J1772EvseController.cpp and rapi_proc.cpp): it boots awake,
ready to charge at the current kept in its EEPROM; asleep and disabled it sees no pilot state; a fault is left only
when the plug is pulled; a missed heartbeat lowers the current until it is acknowledged, and the acknowledgement raises
it to the maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulators.boards.contactor import Contactor
from simulators.oracle import EventLog

BOOT_S = 1.2
"""Boot loader and power-on self-test."""
DEBOUNCE_S, DEBOUNCE_A_S = 0.25, 0.5
SLEEP_PATIENCE_S = 3.0
SELF_TEST_S = 0.1
CLOSURE_CHECK_S = 1.0
STUCK_CHECK_S = 1.0
OVER_CURRENT_A, OVER_CURRENT_S = 5.0, 5.0
LOWEST_A = 6
MILLIVOLT = 240_000
PANIC_C = 65.0
AMBIENT_C = 28.0

UNKNOWN, A, B, C, D = range(5)
DIODE, GFCI, NO_GROUND, STUCK_RELAY, GFI_TEST, OVER_TEMPERATURE, OVER_CURRENT, RELAY_CLOSURE = (*range(5, 12), 0x0E)
SLEEPING, DISABLED = 0xFE, 0xFF
FAULTS = range(D, SLEEPING)
HARD = (D, DIODE, GFI_TEST, OVER_TEMPERATURE, OVER_CURRENT)
"""Left only by pulling the plug."""

HARD_FAULT, RELAY_ON, EV_CONNECTED, BOOT_LOCK = 0x0002, 0x0040, 0x0100, 0x4000
SETTINGS = {"D": 0x0002, "V": 0x0004, "G": 0x0008, "R": 0x0010, "F": 0x0200, "T": 0x0400, "B": 0x8000}


@dataclass(slots=True)
class Eeprom:
    """What survives a reset."""

    capacity_a: int = 32
    settings: int = 0x0021  # level 2, found by hand
    heartbeat_s: int = 0
    fallback_a: int = 0
    writes: int = 0
    total_wh: float = 0.0


@dataclass(slots=True)
class Ailments:
    residual_current: bool = False
    self_test_broken: bool = False
    no_ground: bool = False
    temperature_c: float = AMBIENT_C
    sensor_broken: bool = False


@dataclass(slots=True)
class Around:
    """What it senses."""

    high_v: float = 12.0
    low_v: float = 12.0
    current_a: float = 0.0
    energy_wh: float = 0.0


class Firmware:
    """``tell(text)`` is what it says by itself (boot, change of state, button)."""

    def __init__(
        self,
        tell: Callable[[str], None],
        log: EventLog,
        now: float,
        *,
        max_current_a: int = 32,
        boot_lock: bool = False,
        ammeter: bool = True,
        heartbeat: bool = True,
        firmware: str = "8.2.1",
    ) -> None:
        self.eeprom = Eeprom(capacity_a=max_current_a)
        self.ailments = Ailments()
        self.contactor = Contactor()
        self.log = log
        self.resets = 0
        self.reason = ""
        """Why the relay was last opened."""
        self._say = tell
        self._boot_lock_fitted, self._ammeter, self._heartbeat = boot_lock, ammeter, heartbeat
        self._firmware = firmware
        self._around = Around()
        self._begin(now)

    def _begin(self, now: float) -> None:
        self.state = UNKNOWN
        self.pilot_state = UNKNOWN
        self.pilot = "x1"
        """x1, pwm or F."""
        self.capacity_a = max(self.eeprom.capacity_a, LOWEST_A)
        self.flags = BOOT_LOCK if self._boot_lock_fitted else 0
        self.missed = 0
        self._boots_at: float | None = now + BOOT_S
        self._pulse_at = now
        self._candidate: tuple[int, float] = (UNKNOWN, now)
        self._pilot_candidate: tuple[int, float] = (UNKNOWN, now)
        self._relay_since = now
        self._slept_at = now
        self._testing_until: float | None = None
        self._over_current_since: float | None = None
        self._failed_at_boot = False
        self._told: tuple[int, int, int, int] | None = None
        self._session_from_wh = self._around.energy_wh
        self.contactor.energise(False, now)

    # Life

    @property
    def running(self) -> bool:
        return self._boots_at is None

    @property
    def duty_pct(self) -> float:
        if self.pilot == "F":
            return 0.0
        if self.pilot == "x1" or not self.running:
            return 100.0
        amps = self.capacity_a
        return amps / 0.6 if amps <= 51 else amps / 2.5 + 64.0

    def power_up(self, now: float) -> None:
        self.restart(now)

    def power_down(self, now: float) -> None:
        self._relay(False, now, "no supply")
        self._begin(now)
        self._boots_at = float("inf")

    def restart(self, now: float) -> None:
        self.resets += 1
        self.log.add("reset")
        self._relay(False, now, "reset")
        self._begin(now)

    def press(self, now: float, *, long: bool = False) -> None:
        """The button on its front."""
        if self.eeprom.settings & SETTINGS["B"]:
            self._say(f"AN {int(long)}")
        elif self.state in (SLEEPING, DISABLED):
            self._enable()
        else:
            self._sleep(now)

    # Time

    def step(self, now: float, around: Around) -> bool:
        """Sense, act, report. True while something moves: step again within 10 ms."""
        self.eeprom.total_wh += max(around.energy_wh - self._around.energy_wh, 0.0)
        self._around = around
        if self._boots_at is not None:
            self.contactor.step(now)
            if now < self._boots_at:
                return self._boots_at < float("inf")
            self._boot(now)
        self._update(now)
        moving = self.contactor.step(now)
        self.report()
        unsettled = self._candidate[0] != self.state or self._pilot_candidate[0] != self.pilot_state
        return moving or self._testing_until is not None or unsettled

    def _boot(self, now: float) -> None:
        self._boots_at = None
        self._pulse_at = now
        code = 0
        if self.contactor.closed and not self._off("R"):
            code = STUCK_RELAY
        elif self.ailments.self_test_broken and not self._off("F"):
            code = GFI_TEST
        elif self.ailments.no_ground and not self._off("G"):
            code = NO_GROUND
        self._failed_at_boot = bool(code)
        if code:
            self._fault(code, now)
        self._say(f"AB {code:02x} {self._firmware}")

    def _update(self, now: float) -> None:
        self._watch_heartbeat(now)
        if self.state == DISABLED or (self._failed_at_boot and self.state in FAULTS):
            return
        high_v = self._around.high_v
        if self.pilot != "F":
            connected = high_v < 10.5
            if connected and not self.flags & EV_CONNECTED:
                self._session_from_wh = self._around.energy_wh
            self.flags = self.flags | EV_CONNECTED if connected else self.flags & ~EV_CONNECTED
        if self.state == SLEEPING:
            if self.flags & RELAY_ON and (
                high_v >= 7.5 or self._around.current_a <= 1.0 or now - self._slept_at >= SLEEP_PATIENCE_S
            ):
                self._relay(False, now, "asleep")
            return
        fault = self._sense_fault(now)
        if fault is not None:
            if fault != self.state:
                self._fault(fault, now)
            return
        if self.state in FAULTS:
            if self.state in HARD and self.flags & EV_CONNECTED:
                return
            self.state, self.pilot = UNKNOWN, "x1"
            self.flags &= ~HARD_FAULT
        self._classify(high_v, now)

    def _sense_fault(self, now: float) -> int | None:
        ailments, relay_s = self.ailments, now - self._relay_since
        if ailments.no_ground and not self._off("G"):
            return NO_GROUND
        if self.flags & RELAY_ON:
            if relay_s > CLOSURE_CHECK_S and not self.contactor.closed and not self._off("R"):
                return RELAY_CLOSURE
        elif self.contactor.closed and relay_s > STUCK_CHECK_S and not self._off("R"):
            return STUCK_RELAY
        if self.state == RELAY_CLOSURE and self.flags & EV_CONNECTED:
            return RELAY_CLOSURE
        if ailments.residual_current or (self.state == GFCI and self.flags & EV_CONNECTED):
            return GFCI
        if ailments.temperature_c >= PANIC_C and not self._off("T"):
            return OVER_TEMPERATURE
        if self.state == C and self._around.current_a >= self.capacity_a + OVER_CURRENT_A:
            self._over_current_since = self._over_current_since if self._over_current_since is not None else now
            if now - self._over_current_since >= OVER_CURRENT_S:
                return OVER_CURRENT
        else:
            self._over_current_since = None
        if self.pilot == "pwm" and self._around.low_v > -10.0 and self._around.high_v < 10.5 and not self._off("D"):
            return DIODE
        return None

    def _classify(self, high_v: float, now: float) -> None:
        seen = A if high_v >= 10.5 else B if high_v >= 7.5 else C if high_v >= 4.5 else D if high_v >= 1.5 else UNKNOWN
        target = seen
        if seen == C and self.pilot != "pwm":
            target = B  # without PWM there is no charging
        if seen == D and self._off("V"):
            target = C
        if seen != self._pilot_candidate[0]:
            self._pilot_candidate = (seen, now)
        elif now - self._pilot_candidate[1] >= DEBOUNCE_S:
            self.pilot_state = seen
        if target != self._candidate[0]:
            self._candidate = (target, now)
        elif target != self.state and now - self._candidate[1] >= (DEBOUNCE_A_S if target == A else DEBOUNCE_S):
            self._enter(target, now)

    def _enter(self, state: int, now: float) -> None:
        if state == C and self.flags & BOOT_LOCK:
            state = B
        if state == self.state:
            return
        if state == C and not self._off("F"):
            if self._testing_until is None:
                self._testing_until = now + SELF_TEST_S
            if now < self._testing_until:
                return
            self._testing_until = None
            if self.ailments.self_test_broken:
                self._fault(GFI_TEST, now)
                return
        self.state = state
        self.pilot_state = self._pilot_candidate[0]
        if state == D:
            self._fault(D, now)
        elif state == C:
            self.pilot = "pwm"
            self._relay(True, now)
        elif state == B:
            self._relay(False, now, "state B")
            self.pilot = "x1" if self.flags & BOOT_LOCK else "pwm"
        else:
            self._relay(False, now, "no vehicle")
            self.pilot = "x1"

    def _fault(self, state: int, now: float) -> None:
        self.state = state
        self.pilot = "x1"
        if state in HARD:
            self.flags |= HARD_FAULT
        self.pilot_state = D if state == D else UNKNOWN
        self._testing_until = None
        self._relay(False, now, f"fault {state:02x}")
        self.log.add("fault", state=f"{state:02x}")

    def _watch_heartbeat(self, now: float) -> None:
        interval_s = self.eeprom.heartbeat_s
        if interval_s and now - self._pulse_at > interval_s:
            self._pulse_at = now
            self.missed = 2
            self.capacity_a = max(min(self.capacity_a, self.eeprom.fallback_a), LOWEST_A)
            self.log.add("heartbeat_missed", capacity_a=self.capacity_a)

    def _relay(self, on: bool, now: float, reason: str = "") -> None:
        if on == bool(self.flags & RELAY_ON):
            return
        self.flags = self.flags | RELAY_ON if on else self.flags & ~RELAY_ON
        self._relay_since = now
        self.contactor.energise(on, now)
        if not on:
            self.reason = reason
        self.log.add("coil_on" if on else "coil_off", reason=reason)

    def _off(self, feature: str) -> bool:
        return bool(self.eeprom.settings & SETTINGS[feature])

    # What the host says

    def obey(self, name: str, args: list[str], now: float) -> tuple[bool, str]:
        match name:
            case "FE":
                self._enable()
            case "FD":
                if self.state != DISABLED:
                    self.state, self.pilot = DISABLED, "F"
                    self._relay(False, now, "disabled")
            case "FS":
                self._sleep(now)
            case "FR":
                self.restart(now)
            case "FF" if len(args) == 2 and args[0] in SETTINGS:
                on = args[1] == "1"
                bit = SETTINGS[args[0]]
                self.eeprom.settings = self.eeprom.settings & ~bit if on else self.eeprom.settings | bit
                self.eeprom.writes += 1
            case "SB" if self._boot_lock_fitted:
                if self.state in FAULTS:
                    return True, "1"
                self.flags &= ~BOOT_LOCK
                return True, "0"
            case "SC" if args:
                return self._set_capacity(int(args[0]), volatile=len(args) == 2)
            case "SY" if self._heartbeat:
                return self._supervise(args, now)
            case "GY" if self._heartbeat:
                return True, f"{self.eeprom.heartbeat_s} {self.eeprom.fallback_a} {self.missed}"
            case _:
                told = self._tell(name)
                return told is not None, told or ""
        return True, ""

    def _tell(self, name: str) -> str | None:
        settings, ailments = self.eeprom, self.ailments
        match name:
            case "GS":
                return f"{self.state:02x} 0 {self.pilot_state:02x} {self.flags:04x}"
            case "GV":
                return f"{self._firmware} 5.2.1"
            case "GE":
                return f"{self.capacity_a} {settings.settings:04x}"
            case "GC":
                return f"{LOWEST_A} 80 {self.capacity_a} {settings.capacity_a}"
            case "GP":
                tenths = 9999 if ailments.sensor_broken else round(ailments.temperature_c * 10)
                return f"{tenths} -2560 -2560"
            case "GG":
                return f"{round(self._around.current_a * 1000) if self._ammeter else -1} {MILLIVOLT}"
            case "GU":
                session_ws = (self._around.energy_wh - self._session_from_wh) * 3600
                return f"{round(session_ws)} {round(settings.total_wh)}"
            case "GF":
                return "0 0 0"
            case "G0":
                return "2" if self.pilot == "F" else "1" if self.flags & EV_CONNECTED else "0"
        return None

    def _set_capacity(self, amps: int, *, volatile: bool) -> tuple[bool, str]:
        most_a = self.eeprom.capacity_a if volatile else 80
        self.capacity_a = min(max(amps, LOWEST_A), most_a)
        if not volatile:
            self.eeprom.capacity_a = self.capacity_a
            self.eeprom.writes += 1
        return self.capacity_a == amps, str(self.capacity_a)

    def _supervise(self, args: list[str], now: float) -> tuple[bool, str]:
        ok = True
        if not args:
            self._pulse_at = now
            ok = self.missed != 2
        elif len(args) == 1:
            ok = args[0] == "165"
            if ok and self.missed == 2:
                self.capacity_a = self.eeprom.capacity_a
                self.missed = 1
        else:
            interval_s, fallback_a = int(args[0]), int(args[1])
            if (interval_s, fallback_a) != (self.eeprom.heartbeat_s, self.eeprom.fallback_a):
                self.eeprom.heartbeat_s, self.eeprom.fallback_a = interval_s, fallback_a
                self.eeprom.writes += 1
            self.missed = 0
            self._pulse_at = now
        return ok, f"{self.eeprom.heartbeat_s} {self.eeprom.fallback_a} {self.missed}"

    def _enable(self) -> None:
        if self.state in (SLEEPING, DISABLED):
            self.state, self.pilot = UNKNOWN, "x1"

    def _sleep(self, now: float) -> None:
        if self.state != SLEEPING:
            self.state, self.pilot = SLEEPING, "x1"
            self._slept_at = now

    def report(self) -> None:
        """Tell of a change by itself."""
        if not self.running or self.state == UNKNOWN:
            return
        now_told = (self.state, self.pilot_state, self.capacity_a, self.flags & (EV_CONNECTED | HARD_FAULT))
        if self._told is not None and self._told != now_told:
            self._say(f"AT {self.state:02x} {self.pilot_state:02x} {self.capacity_a} {self.flags:04x}")
        self._told = now_told
