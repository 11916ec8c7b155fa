"""Phoenix Contact: EM-CP-PP-ETH and EV-CC-…-ETH over Modbus TCP, EV-CC-AC1-M over Modbus RTU.

Registers: hardware sheet §C.2 and public drivers. The EV status is the letter of IEC 61851-1; whether the contactor
is closed is not told, so it is concluded: vehicle in C (or D) and charging enabled, or current flowing.
"""

from __future__ import annotations

import math

from hal.drivers.modbus.pdu import READ_COILS, READ_HOLDING, READ_INPUT, WRITE_REGISTER, Read
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
    coil,
    holding,
)
from hal.drivers.modbus_controller.models.cable import cable_of
from hal.values import BoardError, PilotState

STATUS, PROXIMITY, ERROR = 100, 101, 107
VOLTS, AMPS, POWER, ENERGY, ENERGY_WH = 108, 114, 120, 128, 904
ENABLE = 400
MAX_AMPS_EM, MAX_AMPS_EV = 300, 528
SERIAL_STATUS, SERIAL_ENABLE, SERIAL_AMPS = 24000, 20000, 22000
HUNDREDTH = 0.01
"""Scale of all measured values. One public driver reads the currents of one variant in 0.001 A: check on hardware."""

_IN_C = (PilotState.C, PilotState.D)
_ERRORS = {
    1: BoardError.CABLE,
    2: BoardError.CABLE,
    3: BoardError.CABLE,
    4: BoardError.PILOT,
    5: BoardError.INTERNAL,
    6: BoardError.LOCK,
    7: BoardError.LOCK,
    9: BoardError.OVER_CURRENT,
    11: BoardError.VENTILATION,
    12: BoardError.CONTACTOR_WELDED,
    13: BoardError.DIODE,
    14: BoardError.RESIDUAL_CURRENT,
}
"""Register 107 as public software names its codes (REC): 1, 2 cable refused, 3 proximity value, 4 pilot value, 5 status
F, 6 and 7 lock, 8 lock unavailable, 9 over-current, 10 meter, 11 ventilation wanted, 12 contactor, 13 no diode, 14
residual current. 8 and 10 do not forbid charging; any other is an internal error."""
_HARMLESS = frozenset({0, 8, 10})


def _letter(word: int, shift: int) -> PilotState:
    """The state letter: in the low byte (``shift`` 0) of Ethernet models, in the high byte (8) of serial ones.

    The other byte holds nothing: NUL or space."""
    letter, other = chr(word >> shift & 0xFF), word >> (8 - shift) & 0xFF
    if letter in "ABCDEF" and other in (0x00, 0x20):
        return PilotState(letter)
    raise UnreadableError(f"the EV status holds {word:#06x}, which is no letter A to F; check 'model' and 'address'")


def _error(code: int) -> frozenset[BoardError]:
    return frozenset() if code in _HARMLESS else frozenset({_ERRORS.get(code, BoardError.INTERNAL)})


def _recognise_tcp(registers: Registers) -> Identity:
    _letter(registers.word(READ_INPUT, STATUS), 0)
    return Identity(hardware="Phoenix Contact")


def _look_tcp(registers: Registers) -> Seen:
    state = _letter(registers.word(READ_INPUT, STATUS), 0)
    return Seen(
        state=state,
        closed=state in _IN_C and registers.bit(READ_COILS, ENABLE),
        errors=_error(registers.word(READ_INPUT, ERROR)),
        cable=cable_of(registers.word(READ_INPUT, PROXIMITY)),
    )


def _recognise_serial(registers: Registers) -> Identity:
    _letter(registers.word(READ_INPUT, SERIAL_STATUS), 8)
    return Identity(hardware="Phoenix Contact EV-CC-AC1-M")


def _look_serial(registers: Registers) -> Seen:
    state = _letter(registers.word(READ_INPUT, SERIAL_STATUS), 8)
    # It is never told to show E or F: when it does, something is wrong, and it does not say what.
    errors = frozenset({BoardError.INTERNAL} if state in (PilotState.E, PilotState.F) else ())
    return Seen(state=state, closed=state in _IN_C and registers.bit(READ_COILS, SERIAL_ENABLE), errors=errors)


def _scaled(registers: Registers, address: int) -> float:
    return registers.low_first(READ_INPUT, address) * HUNDREDTH


def _three(registers: Registers, address: int) -> tuple[float, ...]:
    return tuple(_scaled(registers, address + 2 * phase) for phase in range(3))


def _measure_em(registers: Registers) -> Measured:
    return Measured(
        energy_import_wh=_scaled(registers, ENERGY) * 1000,
        current_a=_three(registers, AMPS),
        voltage_v=_three(registers, VOLTS),
        power_w=_scaled(registers, POWER) * 1000,
    )


def _measure_ev(registers: Registers) -> Measured:
    return Measured(
        energy_import_wh=float(registers.low_first(READ_INPUT, ENERGY_WH)),
        current_a=_three(registers, AMPS),
        voltage_v=_three(registers, VOLTS),
        power_w=_scaled(registers, POWER) * 1000,
    )


def _order(what: Order, enable: int, amps: int) -> tuple[Setting, ...]:
    """The coil first when it is taken away, last when it is given. The register holds whole amperes."""
    if not what.wish.enabled:
        return (coil(enable, False),)
    units = math.floor(what.wish.current_a + 1e-6)
    return (holding(amps, units, write=WRITE_REGISTER, limit=True), coil(enable, True))


def _order_em(what: Order, _: Identity, __: Registers) -> tuple[Setting, ...]:
    return _order(what, ENABLE, MAX_AMPS_EM)


def _order_ev(what: Order, _: Identity, __: Registers) -> tuple[Setting, ...]:
    return _order(what, ENABLE, MAX_AMPS_EV)


def _order_serial(what: Order, _: Identity, __: Registers) -> tuple[Setting, ...]:
    return _order(what, SERIAL_ENABLE, SERIAL_AMPS)


_STATE_AND_ERROR = Read(READ_INPUT, STATUS, 8)
_ENABLED = Read(READ_COILS, ENABLE, 1)
_MEASURED = Read(READ_INPUT, VOLTS, 22)

EM_CP_PP_ETH = Model(
    name="phoenix-em-cp-pp-eth",
    summary="Phoenix Contact EM-CP-PP-ETH (Modbus TCP)",
    wire=Wire.TCP,
    default_unit=180,
    identity=(_STATE_AND_ERROR,),
    recognise=_recognise_tcp,
    polls=(_STATE_AND_ERROR, _ENABLED, Read(READ_HOLDING, MAX_AMPS_EM, 1)),
    look=_look_tcp,
    measures=(_MEASURED,),
    measure=_measure_em,
    command=_order_em,
    reads_proximity=True,
)
EV_CC_ETH = Model(
    name="phoenix-ev-cc-eth",
    summary="Phoenix Contact EV-CC-AC1-M3-…-ETH, Wallbe (Modbus TCP)",
    wire=Wire.TCP,
    default_unit=255,
    identity=(_STATE_AND_ERROR,),
    recognise=_recognise_tcp,
    polls=(_STATE_AND_ERROR, _ENABLED, Read(READ_HOLDING, MAX_AMPS_EV, 1)),
    look=_look_tcp,
    measures=(_MEASURED, Read(READ_INPUT, ENERGY_WH, 2)),
    measure=_measure_ev,
    command=_order_ev,
    reads_proximity=True,
)
EV_CC_AC1_M = Model(
    name="phoenix-ev-cc-ac1-m",
    summary="Phoenix Contact EV-CC-AC1-M (Modbus RTU)",
    wire=Wire.RTU,
    default_unit=1,
    identity=(Read(READ_INPUT, SERIAL_STATUS, 1),),
    recognise=_recognise_serial,
    polls=(
        Read(READ_INPUT, SERIAL_STATUS, 1),
        Read(READ_COILS, SERIAL_ENABLE, 1),
        Read(READ_HOLDING, SERIAL_AMPS, 1),
    ),
    look=_look_serial,
    command=_order_serial,
)
