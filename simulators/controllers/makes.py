"""The makes: which registers show what the box does, and what writing to them changes.

Built from the register tables of hardware.md §C by themselves, not from the driver's descriptions.
"""

# ruff: noqa: ARG002 (every make is told the time; few need it)
from __future__ import annotations

from hal.drivers.mcu_board.messages import CpState
from simulators.controllers.box import Box
from simulators.controllers.registers import (
    COILS,
    HOLDING,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    INPUT,
    RefusalError,
    Table,
    high_first,
    low_first,
    text,
)


def _letter(box: Box) -> str:
    """State letter as boxes tell it: F where they themselves forbid charging."""
    if box.errors or not box.available:
        return "F"
    return box.state.name if box.state is not None else "A"


class SimpleEvse:
    """EVSE-WB, firmware 17 with whole amperes (or hundredths: ``fine``). No watchdog."""

    def __init__(self, box: Box, *, fine: bool = False) -> None:
        self.box = box
        self.after_boot = 16
        self._config = 0x80 if fine else 0
        self._scale = 100 if fine else 1
        self._amps = 0
        self._orders = 0
        self.boot(0.0)

    def table(self, function: int) -> Table:
        if function != HOLDING:
            return {}
        box = self.box
        vehicle = 5 if box.errors else {CpState.B: 2, CpState.C: 3, CpState.D: 4}.get(box.state or CpState.A, 1)
        status = int(box.contactor.feedback)
        status |= ("diode" in box.errors) << 1 | ("ventilation" in box.errors) << 2
        status |= ("residual_current" in box.errors) << 5
        return {
            1000: self._amps,
            1001: round(box.offered_a),
            1002: vehicle,
            1003: max(box.around.cable_a, 0),
            1004: self._orders,
            1005: 17,
            1006: 2 if box.offering else 1,
            1007: status,
            2000: self.after_boot,
            2001: 1,
            2002: 6,
            2003: 0,
            2004: 0,
            2005: self._config,
            2006: 0,
            2007: 0,
        }

    def write(self, function: int, address: int, value: int, now: float) -> None:
        if function != HOLDING or address not in self.table(HOLDING):
            raise RefusalError(ILLEGAL_ADDRESS)
        if address == 1000:
            if 0 < value < 6 * self._scale or value > 80 * self._scale:
                raise RefusalError(ILLEGAL_VALUE)
            self._amps = value
            self.box.log.add("frame_in", kind="amps", value=value)
        elif address == 1004:
            if value & 4:
                self.box.clear_residual_current()
            self._orders = value & 1
        elif address == 2000:
            self.after_boot = value
        self.apply()

    def apply(self) -> None:
        self.box.offer_a = self._amps / self._scale
        self.box.open_now = bool(self._orders & 1)

    def heard(self, now: float) -> None:
        """It does not listen for silence."""

    def boot(self, now: float) -> None:
        self._amps, self._orders = self.after_boot * self._scale, 0
        self.apply()

    def step(self, now: float) -> None:
        """It has no time-outs."""


class PhoenixEthernet:
    """EM-CP-PP-ETH (``amps`` at 300) and EV-CC-…-ETH (528, energy at 904). Low word first, hundredths."""

    def __init__(self, box: Box, amps: int) -> None:
        self.box = box
        self._amps_at = amps
        self._amps = 16
        self._enabled = False

    def table(self, function: int) -> Table:
        box = self.box
        if function == COILS:
            return {400: int(self._enabled)}
        if function == HOLDING:
            return {self._amps_at: self._amps}
        if function != INPUT:
            return {}
        around = box.around
        codes = {"over_current": 9, "ventilation": 11, "welded": 12, "diode": 13, "residual_current": 14}
        error = next((code for name, code in codes.items() if name in box.errors), 0)
        shown = dict.fromkeys(range(100, 140), 0)
        shown |= {100: ord(_letter(box)), 101: max(around.cable_a, 0), 107: error}
        for phase in range(3):
            shown |= low_first(108 + 2 * phase, around.voltage_v[phase] * 100)
            shown |= low_first(114 + 2 * phase, around.current_a[phase] * 100)
        power_w = sum(v * i for v, i in zip(around.voltage_v, around.current_a, strict=True))
        shown |= low_first(120, power_w / 10)
        shown |= low_first(128, around.energy_wh // 10)
        if self._amps_at == 528:
            shown |= low_first(904, around.energy_wh)
        return shown

    def write(self, function: int, address: int, value: int, now: float) -> None:
        if function == COILS and address == 400:
            self._enabled = bool(value)
            self.box.log.add("frame_in", kind="enable", value=value)
        elif function == HOLDING and address == self._amps_at:
            if not 6 <= value <= 80:
                raise RefusalError(ILLEGAL_VALUE)
            self._amps = value
        else:
            raise RefusalError(ILLEGAL_ADDRESS)
        self.box.offer_a = float(self._amps) if self._enabled else 0.0

    def heard(self, now: float) -> None:
        """It does not listen for silence."""

    def boot(self, now: float) -> None:
        self._enabled = False
        self.box.offer_a = 0.0

    def step(self, now: float) -> None:
        """It has no time-outs."""


class PhoenixSerial:
    """EV-CC-AC1-M: coil 20000, holding 22000, input 24000 with the letter in the high byte."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._amps = 16
        self._enabled = False

    def table(self, function: int) -> Table:
        if function == COILS:
            return {20000: int(self._enabled)}
        if function == HOLDING:
            return {22000: self._amps}
        return {24000: ord(_letter(self.box)) << 8} if function == INPUT else {}

    def write(self, function: int, address: int, value: int, now: float) -> None:
        if function == COILS and address == 20000:
            self._enabled = bool(value)
            self.box.log.add("frame_in", kind="enable", value=value)
        elif function == HOLDING and address == 22000:
            if not 6 <= value <= 80:
                raise RefusalError(ILLEGAL_VALUE)
            self._amps = value
        else:
            raise RefusalError(ILLEGAL_ADDRESS)
        self.box.offer_a = float(self._amps) if self._enabled else 0.0

    def heard(self, now: float) -> None:
        """It does not listen for silence."""

    def boot(self, now: float) -> None:
        self._enabled = False
        self.box.offer_a = 0.0

    def step(self, now: float) -> None:
        """It has no time-outs."""


class Heidelberg:
    """Energy Control: input registers, a watchdog of its own, a remote lock."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.lock_input_open = True
        self._on_since_wh = box.around.energy_wh
        self._heard_at = 0.0
        self.silent = False
        self._holding: dict[int, int] = {}
        self.boot(0.0)

    def table(self, function: int) -> Table:
        box, around = self.box, self.box.around
        if function == HOLDING:
            return self._holding
        if function != INPUT:
            return {}
        state = {CpState.B: 4, CpState.C: 6, CpState.D: 6}.get(box.state or CpState.A, 2) + int(box.offering)
        if box.errors:
            state = 11
        shown: dict[int, int] = {4: 0x0107, 5: state, 9: round(box.temperature_c * 10), 13: int(self.lock_input_open)}
        for phase in range(3):
            shown[6 + phase] = round(around.current_a[phase] * 10)
            shown[10 + phase] = round(around.voltage_v[phase])
        shown[14] = round(sum(v * i for v, i in zip(around.voltage_v, around.current_a, strict=True)))
        shown |= high_first(15, max(0.0, around.energy_wh - self._on_since_wh)) | high_first(17, around.energy_wh)
        return shown | {100: 16, 101: 6}

    def write(self, function: int, address: int, value: int, now: float) -> None:
        if function != HOLDING or address not in self._holding:
            raise RefusalError(ILLEGAL_ADDRESS)
        if address in (261, 262) and value and not 60 <= value <= 160:
            raise RefusalError(ILLEGAL_VALUE)
        self._holding[address] = value
        if address == 261:
            self.box.log.add("frame_in", kind="amps", value=value)
        self.apply()

    def apply(self) -> None:
        limit = self._holding[262] if self.silent else self._holding[261]
        locked = self._holding[259] == 0 or not self.lock_input_open
        self.box.offer_a = 0.0 if locked else limit / 10

    def heard(self, now: float) -> None:
        self._heard_at = now
        if self.silent:
            self.silent = False
            self.apply()

    def boot(self, now: float) -> None:
        self._holding = {257: 15000, 258: 0, 259: 1, 261: 0, 262: 0}
        self._on_since_wh = self.box.around.energy_wh
        self._heard_at = now
        self.silent = False
        self.apply()

    def step(self, now: float) -> None:
        watchdog_s = self._holding[257] / 1000
        if watchdog_s and not self.silent and now - self._heard_at > watchdog_s:
            self.silent = True
            self.box.log.add("watchdog")
            self.apply()


class AblEmh1:
    """eMH1: everything in holding registers; a duty in tenths of a percent; 1000 is steady."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._duty = 1000
        self._disabled = False

    def _code(self) -> int:
        box = self.box
        codes = {"welded": 0xF1, "residual_current": 0xF3, "ventilation": 0xF7, "diode": 0xF8, "over_current": 0xF9}
        for name, code in codes.items():
            if name in box.errors:
                return code
        if self._disabled:
            return 0xE0
        if box.state in (CpState.C, CpState.D):
            return 0xC2 if box.contactor.coil else 0xB1
        if box.state is CpState.B:
            return 0xB2 if box.offering else 0xB1
        return 0xA1

    def table(self, function: int) -> Table:
        if function != HOLDING:
            return {}
        amps = [round(value * 10) or 1 for value in self.box.around.current_a]
        shown = {1: 0x0001, 2: 0x2020, 4: self._code(), 5: 0, 0x14: self._duty}
        shown |= {0x0F: 0x8000, 0x10: 0, 0x11: 0, 0x12: 0x1000 | self._duty, 0x13: 0}
        return shown | {0x2E: self._code(), 0x2F: 0, 0x30: amps[2], 0x31: amps[1], 0x32: amps[0]}

    def write(self, function: int, address: int, value: int, now: float) -> None:
        if function == HOLDING and address == 5 and value in (0xE0E0, 0xA1A1):
            self._disabled = value == 0xE0E0
        elif function == HOLDING and address == 5 and value == 0x5A5A:
            self.box.clear_residual_current()
            self.boot(now)
        elif function == HOLDING and address == 0x14:
            if value != 1000 and not 80 <= value <= 970:
                raise RefusalError(ILLEGAL_VALUE)
            self._duty = value
            self.box.log.add("frame_in", kind="duty", value=value)
        else:
            raise RefusalError(ILLEGAL_ADDRESS)
        self.apply()

    def apply(self) -> None:
        self.box.available = not self._disabled
        self.box.offer_a = 0.0 if self._duty == 1000 else self._duty * 0.06

    def heard(self, now: float) -> None:
        """Its bus supervision is off, as it comes from the factory."""

    def boot(self, now: float) -> None:
        self._duty, self._disabled = 1000, False
        self.apply()

    def step(self, now: float) -> None:
        """It has no time-outs."""


class BenderCc612:
    """CC612: holding registers only. Decides by itself; the host has a limit."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._limit = 0

    def table(self, function: int) -> Table:
        if function != HOLDING:
            return {}
        box, around = self.box, self.box.around
        pilot = {CpState.B: 2, CpState.C: 3, CpState.D: 4, CpState.E: 5}.get(box.state or CpState.A, 1)
        relay = {0: 0, 1: 5, 2: 1, 3: 1}[sum(box.poles) if box.contactor.feedback else 0]
        status = 4 if box.errors else 1 if box.state is not CpState.A else 0
        shown = {104: status, 122: pilot, 140: relay, 1000: self._limit}
        shown |= text(100, "5.22", 2) | text(120, "0.6", 2) | text(142, "CC612_2S0R", 10)
        for phase in range(3):
            shown |= high_first(212 + 2 * phase, around.current_a[phase] * 1000)
            shown |= high_first(222 + 2 * phase, around.voltage_v[phase])
        shown |= high_first(218, around.energy_wh)
        power_w = sum(v * i for v, i in zip(around.voltage_v, around.current_a, strict=True))
        return shown | high_first(220, power_w)

    def write(self, function: int, address: int, value: int, now: float) -> None:
        if function != HOLDING or address != 1000:
            raise RefusalError(ILLEGAL_ADDRESS)
        self._limit = value
        self.box.offer_a = float(value)
        self.box.log.add("frame_in", kind="limit", value=value)

    def heard(self, now: float) -> None:
        """Its time-out is switched off, as it comes from the factory."""

    def boot(self, now: float) -> None:
        self._limit = 0
        self.box.offer_a = 0.0

    def step(self, now: float) -> None:
        """It has no time-outs."""
