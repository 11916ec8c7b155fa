"""EVSE-WB, EVSE DIN, SimpleEVSE (EV Racing). Modbus RTU, 9600 8N1.

Registers: maker's datasheet as public drivers read it (hardware sheet §C.1). It has no watchdog: without us it goes
on with the current last written. What it does after its own restart is register 2000, which we set to 0.
"""

from __future__ import annotations

import math

from hal.drivers.modbus.pdu import READ_HOLDING, WRITE_REGISTERS, Read
from hal.drivers.modbus_controller.model import (
    Identity,
    Model,
    Order,
    Preparation,
    Registers,
    Seen,
    Setting,
    UnreadableError,
    Wire,
    command,
    holding,
)
from hal.drivers.modbus_controller.models.cable import cable_of
from hal.values import BoardError, PilotState

AMPS, VEHICLE, CABLE, ORDERS, FIRMWARE, STATUS = 1000, 1002, 1003, 1004, 1005, 1007
AMPS_AFTER_BOOT, MIN_AMPS, CONFIG = 2000, 2002, 2005
TURN_OFF, CLEAR_RESIDUAL_CURRENT = 1 << 0, 1 << 2
HUNDREDTHS = 1 << 7
"""Configuration bit: amperes are given in 0.01 A, from firmware 17 on."""
HUNDREDTHS_FIRMWARE = 17

RELAY, DIODE, VENTILATION, TESTING, RESIDUAL = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5
"""Bits of register 1007. Sources differ: older ones have the residual-current error where newer ones have the running
test (bit 4). So bit 4 counts as the error only while the state is "failure"."""
FAILED = 5
STATES = {1: PilotState.A, 2: PilotState.B, 3: PilotState.C, 4: PilotState.D, FAILED: PilotState.F}


def recognise(registers: Registers) -> Identity:
    state = registers.word(READ_HOLDING, VEHICLE)
    firmware = registers.word(READ_HOLDING, FIRMWARE)
    if state not in STATES or not 1 <= firmware <= 999:
        raise UnreadableError(
            f"registers 1002 and 1005 hold {state} and {firmware}, which no EVSE-WB does; check 'model' and 'address'"
        )
    fine = firmware >= HUNDREDTHS_FIRMWARE and registers.word(READ_HOLDING, CONFIG) & HUNDREDTHS
    lowest_a = registers.word(READ_HOLDING, MIN_AMPS)
    return Identity(
        hardware="EVSE-WB",
        software=str(firmware),
        min_current_a=float(lowest_a) if 6 <= lowest_a <= 32 else 6.0,
        scale=0.01 if fine else 1.0,
    )


def look(registers: Registers) -> Seen:
    word = registers.word(READ_HOLDING, VEHICLE)
    status = registers.word(READ_HOLDING, STATUS)
    if word not in STATES:
        raise UnreadableError(f"register 1002 holds {word}, which is no state; check 'model'")
    failed = word == FAILED
    errors = set()
    if status & DIODE:
        errors.add(BoardError.DIODE)
    if status & VENTILATION:
        errors.add(BoardError.VENTILATION)
    if status & RESIDUAL or (failed and status & TESTING):
        errors.add(BoardError.RESIDUAL_CURRENT)
    if failed and not errors:
        errors.add(BoardError.INTERNAL)
    return Seen(
        state=STATES[word],
        closed=bool(status & RELAY),
        errors=frozenset(errors),
        cable=cable_of(registers.word(READ_HOLDING, CABLE)),
    )


def prepare(_: Preparation) -> tuple[Setting, ...]:
    return (holding(AMPS_AFTER_BOOT, 0, write=WRITE_REGISTERS),)


def order(what: Order, identity: Identity, _: Registers) -> tuple[Setting, ...]:
    if what.wish.enabled:
        units = math.floor(what.wish.current_a / identity.scale + 1e-6)
        return (
            holding(ORDERS, 0, write=WRITE_REGISTERS, mask=TURN_OFF),
            holding(AMPS, units, write=WRITE_REGISTERS, limit=True),
        )
    stop = holding(AMPS, 0, write=WRITE_REGISTERS)
    if not what.force_open:
        return (stop,)
    return (stop, holding(ORDERS, TURN_OFF, write=WRITE_REGISTERS, mask=TURN_OFF))


MODEL = Model(
    name="simple-evse",
    summary="EVSE-WB, EVSE DIN, SimpleEVSE (Modbus RTU)",
    wire=Wire.RTU,
    default_unit=1,
    gap_s=0.15,
    step_a=0.01,
    identity=(Read(READ_HOLDING, AMPS, 8), Read(READ_HOLDING, AMPS_AFTER_BOOT, 8)),
    recognise=recognise,
    polls=(Read(READ_HOLDING, AMPS, 8),),
    look=look,
    prepare=prepare,
    command=order,
    reset=(command(ORDERS, CLEAR_RESIDUAL_CURRENT, write=WRITE_REGISTERS),),
    reads_proximity=True,
)
