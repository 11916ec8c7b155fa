"""ABL eMH1. Modbus ASCII, 38400 8E1.

Registers: public drivers and the forum post they quote (hardware sheet §C.3). The box sleeps: everything is said
twice. Its current is a duty cycle in 0.1 %; 1000 (100 %) is a steady pilot. It opens by itself when the bus falls
silent only if its own configuration says so.
"""

from __future__ import annotations

import math

from hal.drivers.modbus.pdu import READ_HOLDING, WRITE_REGISTERS, Read
from hal.drivers.modbus_controller.model import (
    Identity,
    Model,
    Order,
    Registers,
    Seen,
    Setting,
    UnreadableError,
    Wire,
    command,
    holding,
)
from hal.values import BoardError, PilotState

FIRMWARE, STATE, MODIFY, DUTY, LONG_STATUS = 0x01, 0x04, 0x05, 0x14, 0x2E
DUTY_SHOWN = 0x12
"""Fourth register of the block at 0x0F: the duty in its lower twelve bits."""
DUTY_MASK = 0x0FFF
STEADY = 1000
AMPS_PER_STEP = 0.06
DISABLE, WAIT, RESET = 0xE0E0, 0xA1A1, 0x5A5A
CHARGING = (0xC2, 0xC3, 0xC4)
DISABLED = 0xE0
FLOWING = 10
"""Tenths of an ampere that no meter's noise reaches; 1 and 1000 stand for none in its currents."""

STATES = {
    0xA1: PilotState.A,
    0xB1: PilotState.B,
    0xB2: PilotState.B,
    0xC2: PilotState.C,
    0xC3: PilotState.C,
    0xC4: PilotState.C,
    DISABLED: PilotState.F,
    0xE1: PilotState.F,
    0xE2: PilotState.F,
    0xE3: PilotState.F,
}
REMARKS = {
    0xE1: "it is in its production test; restart it",
    0xE2: "it is in its set-up mode; end that",
    0xE3: "it sees no traffic on its bus; check the line",
}
ERRORS = {
    0xF1: BoardError.CONTACTOR_WELDED,
    0xF2: BoardError.INTERNAL,
    0xF3: BoardError.RESIDUAL_CURRENT,
    0xF4: BoardError.INTERNAL,
    0xF5: BoardError.LOCK,
    0xF6: BoardError.CABLE,
    0xF7: BoardError.VENTILATION,
    0xF8: BoardError.PILOT,
    0xF9: BoardError.OVER_CURRENT,
    0xFA: BoardError.TEMPERATURE,
    0xFB: BoardError.CONTACTOR_STUCK_OPEN,
}


def _code(registers: Registers) -> int:
    return registers.word(READ_HOLDING, STATE) & 0xFF


def _state(registers: Registers) -> int:
    code = _code(registers)
    if code not in STATES and code not in ERRORS:
        raise UnreadableError(f"register 4 holds {code:#04x}, which is no state of an eMH1; check 'model'")
    return code


def recognise(registers: Registers) -> Identity:
    _state(registers)
    firmware = f"{registers.word(READ_HOLDING, FIRMWARE):04x}{registers.word(READ_HOLDING, FIRMWARE + 1):04x}"
    return Identity("ABL eMH1", firmware)


def look(registers: Registers) -> Seen:
    code = _state(registers)
    tenths = [registers.word(READ_HOLDING, LONG_STATUS + 2 + phase) for phase in range(3)]
    flowing = any(value >= FLOWING and value != STEADY for value in tenths)
    return Seen(
        state=STATES.get(code, PilotState.F),
        closed=code in CHARGING or code == 0xF1 or flowing,
        errors=frozenset({ERRORS[code]} if code in ERRORS else ()),
        remark=REMARKS.get(code, ""),
    )


def order(what: Order, _: Identity, registers: Registers) -> tuple[Setting, ...]:
    """E0 (outlet disabled) stands for F; only from there is it sent back to waiting."""
    wish = what.wish
    disabled = (READ_HOLDING, STATE) in registers and _code(registers) == DISABLED
    if wish.enabled:
        # IEC 61851-1 Table A.8: up to 51 A the duty is current ÷ 0.6; its steps are tenths of a percent.
        steps = math.floor(wish.current_a / AMPS_PER_STEP + 1e-6)
        duty = holding(DUTY, steps, write=WRITE_REGISTERS, limit=True, mask=DUTY_MASK)
    else:
        duty = holding(DUTY, STEADY, write=WRITE_REGISTERS, mask=DUTY_MASK)
    if not wish.available:
        return (duty,) if disabled else (duty, command(MODIFY, DISABLE, write=WRITE_REGISTERS))
    return (command(MODIFY, WAIT, write=WRITE_REGISTERS), duty) if disabled else (duty,)


MODEL = Model(
    name="abl-emh1",
    summary="ABL eMH1 (Modbus ASCII)",
    wire=Wire.ASCII,
    default_unit=1,
    baud=38_400,
    parity="E",
    gap_s=0.02,
    response_timeout_s=0.2,
    says_twice=True,
    step_a=AMPS_PER_STEP,
    max_current_a=32.0,
    identity=(Read(READ_HOLDING, FIRMWARE, 2), Read(READ_HOLDING, STATE, 1)),
    recognise=recognise,
    polls=(Read(READ_HOLDING, STATE, 1), Read(READ_HOLDING, 0x0F, 5), Read(READ_HOLDING, LONG_STATUS, 5)),
    look=look,
    command=order,
    reset=(command(MODIFY, RESET, write=WRITE_REGISTERS),),
    readback={(READ_HOLDING, DUTY): (READ_HOLDING, DUTY_SHOWN)},
)
