"""Bender CC612 and CC613 (and chargers built on them: Mennekes, Webasto, …). Modbus TCP, unit 255, all holding.

Registers: public drivers (hardware sheet §C.5). The controller decides by itself, with its own authorisation; what we
have is its HEMS limit, 0 of which makes it pause. What it does when we fall silent is its own setting.
"""

from __future__ import annotations

import math

from hal.drivers.modbus.pdu import READ_HOLDING, WRITE_REGISTERS, Read
from hal.drivers.modbus_controller.model import (
    Identity,
    Measured,
    Model,
    Order,
    Registers,
    Seen,
    Setting,
    UnreadableError,
    Wire,
    holding,
)
from hal.values import BoardError, PilotState

FIRMWARE, OCPP_STATUS, PROTOCOL, PILOT, RELAY, MODEL_NAME = 100, 104, 120, 122, 140, 142
CURRENTS_MA, ENERGY, POWER, VOLTS = 212, 218, 220, 222
LIMIT_A = 1000
OCPP_FAULTED = 4
STATES = {1: PilotState.A, 2: PilotState.B, 3: PilotState.C, 4: PilotState.D, 5: PilotState.E}
"""Control pilot state (REC: public drivers read 1 A, 2 B, 3 and 4 charging)."""
RELAYS = {0: (False, None), 1: (True, 3), 5: (True, 1)}
_ABSENT = 0xFFFF_FFFF


def recognise(registers: Registers) -> Identity:
    firmware = registers.text(READ_HOLDING, FIRMWARE, 2)
    if not firmware or "?" in firmware:
        raise UnreadableError("register 100 holds no version text, so this is no CC612; check 'model' and 'host'")
    return Identity(registers.text(READ_HOLDING, MODEL_NAME, 10) or "CC612", firmware)


def look(registers: Registers) -> Seen:
    pilot, relay = registers.word(READ_HOLDING, PILOT), registers.word(READ_HOLDING, RELAY)
    if pilot not in STATES or relay not in RELAYS:
        raise UnreadableError(f"registers 122 and 140 hold {pilot} and {relay}, which mean nothing; check 'model'")
    closed, phases = RELAYS[relay]
    errors = set()
    if registers.word(READ_HOLDING, OCPP_STATUS) == OCPP_FAULTED:
        errors.add(BoardError.INTERNAL)
    if STATES[pilot] is PilotState.E:
        errors.add(BoardError.PILOT)
    return Seen(STATES[pilot], closed, phases, frozenset(errors))


def measure(registers: Registers) -> Measured:
    """Of its primary meter, which may be missing: then the energy reads as absent and there is no reading."""
    energy = registers.high_first(READ_HOLDING, ENERGY)
    if energy == _ABSENT:
        raise UnreadableError("its primary meter gives no energy; connect one, or take 'meter' out")
    return Measured(
        energy_import_wh=float(energy),
        current_a=tuple(_or_none(registers, CURRENTS_MA + 2 * phase) / 1000 for phase in range(3)),
        voltage_v=tuple(float(_or_none(registers, VOLTS + 2 * phase)) for phase in range(3)),
        power_w=float(_or_none(registers, POWER)),
    )


def _or_none(registers: Registers, address: int) -> int:
    value = registers.high_first(READ_HOLDING, address)
    return 0 if value == _ABSENT else value


def order(what: Order, _: Identity, __: Registers) -> tuple[Setting, ...]:
    amperes = math.floor(what.wish.current_a + 1e-6) if what.wish.enabled else 0
    return (holding(LIMIT_A, amperes, write=WRITE_REGISTERS, limit=what.wish.enabled),)


MODEL = Model(
    name="bender-cc612",
    summary="Bender CC612, CC613 and chargers built on them (Modbus TCP)",
    wire=Wire.TCP,
    default_unit=255,
    response_timeout_s=1.0,
    settle_s=3.0,
    identity=(Read(READ_HOLDING, FIRMWARE, 2), Read(READ_HOLDING, MODEL_NAME, 10)),
    recognise=recognise,
    polls=(
        Read(READ_HOLDING, PILOT, 1),
        Read(READ_HOLDING, RELAY, 1),
        Read(READ_HOLDING, OCPP_STATUS, 1),
        Read(READ_HOLDING, LIMIT_A, 1),
    ),
    look=look,
    measures=(Read(READ_HOLDING, CURRENTS_MA, 16),),
    measure=measure,
    command=order,
)
