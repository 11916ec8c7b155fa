"""Heidelberg Energy Control (and the Amperfied and Walther wallboxes built alike). Modbus RTU, 19200 8E1.

Registers: maker's table as public drivers read it (hardware sheet §C.4). Its own watchdog (257) makes it fall to the
failsafe current (262) when no sound request comes any more.
"""

from __future__ import annotations

import math

from hal.drivers.modbus.pdu import READ_HOLDING, READ_INPUT, WRITE_REGISTER, Read
from hal.drivers.modbus_controller.model import (
    Identity,
    Measured,
    Model,
    Order,
    Preparation,
    Registers,
    Seen,
    Setting,
    UnreadableError,
    Wire,
    holding,
)
from hal.ports import PortKind
from hal.values import BoardError, PilotState

VERSION, STATE, CURRENT, TEMPERATURE, VOLTAGE, LOCKED = 4, 5, 6, 9, 10, 13
POWER_VA, SINCE_ON, SINCE_INSTALLED = 14, 15, 17
HARDWARE_MAX, HARDWARE_MIN = 100, 101
WATCHDOG_MS, STANDBY, REMOTE_LOCK, MAX_CURRENT, FAILSAFE = 257, 258, 259, 261, 262
STANDBY_OFF = 4
REMOTE_LOCKED, REMOTE_UNLOCKED = 0, 1
TENTH = 0.1
LOWEST_VERSION, HIGHEST_VERSION = 0x0100, 0x01FF
DERATING, CHARGING, FAULT = 8, 7, 11
STATES = {
    2: PilotState.A,
    3: PilotState.A,
    4: PilotState.B,
    5: PilotState.B,
    6: PilotState.C,
    CHARGING: PilotState.C,
    DERATING: PilotState.C,
    9: PilotState.E,
    10: PilotState.F,
    FAULT: PilotState.F,
}


def recognise(registers: Registers) -> Identity:
    version = registers.word(READ_INPUT, VERSION)
    most_a, least_a = registers.word(READ_INPUT, HARDWARE_MAX), registers.word(READ_INPUT, HARDWARE_MIN)
    if not LOWEST_VERSION <= version <= HIGHEST_VERSION or not 6 <= most_a <= 32 or not 1 <= least_a <= most_a:
        raise UnreadableError(
            f"register layout {version:#06x} with {least_a} to {most_a} A is no Energy Control; check 'model' and"
            " 'address'"
        )
    digits = ".".join(f"{version:03x}")
    return Identity("Energy Control", f"layout {digits}", max(6.0, float(least_a)), float(most_a))


def look(registers: Registers) -> Seen:
    word = registers.word(READ_INPUT, STATE)
    if word not in STATES:
        raise UnreadableError(f"input register 5 holds {word}, which is no state; check 'model'")
    flowing = any(registers.word(READ_INPUT, CURRENT + phase) > 5 for phase in range(3))
    locked = registers.word(READ_INPUT, LOCKED) == 0
    errors = {9: BoardError.PILOT, 10: BoardError.INTERNAL, FAULT: BoardError.INTERNAL}
    return Seen(
        state=STATES[word],
        closed=word in (CHARGING, DERATING) or flowing,
        errors=frozenset({errors[word]} if word in errors else ()),
        temperatures_c=(registers.signed(READ_INPUT, TEMPERATURE) * TENTH,),
        remark="its external lock input is locked; open it" if locked else "",
        uptime_counter=registers.high_first(READ_INPUT, SINCE_ON),
    )


def measure(registers: Registers) -> Measured:
    """Energy is volt-ampere-hours: good for display, not for billing."""
    return Measured(
        energy_import_wh=float(registers.high_first(READ_INPUT, SINCE_INSTALLED)),
        current_a=tuple(registers.word(READ_INPUT, CURRENT + phase) * TENTH for phase in range(3)),
        voltage_v=tuple(float(registers.word(READ_INPUT, VOLTAGE + phase)) for phase in range(3)),
        power_w=float(registers.word(READ_INPUT, POWER_VA)),
    )


def prepare(what: Preparation) -> tuple[Setting, ...]:
    """The net first: what happens without us. The failsafe current is 0 or 6 to 16 A."""
    failsafe = math.floor(what.failsafe_current_a / TENTH + 1e-6)
    return (
        holding(FAILSAFE, failsafe, write=WRITE_REGISTER),
        holding(WATCHDOG_MS, round(what.watchdog_s * 1000), write=WRITE_REGISTER),
        holding(STANDBY, STANDBY_OFF, write=WRITE_REGISTER),
    )


def order(what: Order, _: Identity, __: Registers) -> tuple[Setting, ...]:
    wish = what.wish
    lock = holding(REMOTE_LOCK, REMOTE_UNLOCKED if wish.available else REMOTE_LOCKED, write=WRITE_REGISTER)
    if not wish.enabled:
        return (holding(MAX_CURRENT, 0, write=WRITE_REGISTER), lock)
    tenths = math.floor(wish.current_a / TENTH + 1e-6)
    return (lock, holding(MAX_CURRENT, tenths, write=WRITE_REGISTER, limit=True))


MODEL = Model(
    name="heidelberg",
    summary="Heidelberg Energy Control and its kin (Modbus RTU)",
    wire=Wire.RTU,
    default_unit=1,
    baud=19_200,
    parity="E",
    gap_s=0.02,
    step_a=0.1,
    max_current_a=16.0,
    identity=(Read(READ_INPUT, VERSION, 1), Read(READ_INPUT, HARDWARE_MAX, 2)),
    recognise=recognise,
    polls=(
        Read(READ_INPUT, STATE, 14),
        Read(READ_HOLDING, WATCHDOG_MS, 3),
        Read(READ_HOLDING, MAX_CURRENT, 2),
    ),
    look=look,
    measure=measure,
    prepare=prepare,
    command=order,
    own_watchdog=True,
    ports=frozenset({PortKind.TEMPERATURE_SENSOR}),
)
