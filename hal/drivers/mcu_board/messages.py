"""What host and board tell each other. Names follow the boards' public proto files (EVerest: Yeti, TIDA-010939)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from hal.drivers.mcu_board.proto3 import Field, Kind

DUTY_STEPS_PER_PCT = 100
"""The board counts the duty cycle in 0.01 %."""
DUTY_F = 0
DUTY_X1 = 10_000
"""By the boards' proto files. EVerest's own driver sends 10001; unverified on hardware whether any board minds."""


class Variant(Enum):
    """The two sets of message ids in the field."""

    YETI = "yeti"
    TIDA = "tida"


class CpState(IntEnum):
    A = 0
    B = 1
    C = 2
    D = 3
    E = 4
    F = 5


class PpState(IntEnum):
    NC = 0
    A13 = 1
    A20 = 2
    A32 = 3
    A70 = 4
    FAULT = 5


class LockState(IntEnum):
    UNDEFINED = 0
    UNLOCKED = 1
    LOCKED = 2


class ResetReason(IntEnum):
    USER = 0
    WATCHDOG = 1


# Host to board


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Life sign of the host. Also ours to send once a second."""

    time_stamp: int = 0
    hw_type: int = 0
    hw_revision: int = 0
    sw_version_string: str = ""


@dataclass(frozen=True, slots=True)
class ConnectorLock:
    locked: bool


@dataclass(frozen=True, slots=True)
class PwmDutyCycle:
    """``steps`` of 0.01 %: 0 is state F, 10000 is x1."""

    steps: int


@dataclass(frozen=True, slots=True)
class AllowPowerOn:
    allowed: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """Ask the board to restart itself."""


@dataclass(frozen=True, slots=True)
class SetNumberOfPhases:
    """Yeti only."""

    three: bool


@dataclass(frozen=True, slots=True)
class RcdCommand:
    """TIDA only. ``test`` is the level of the monitor's TEST pin; ``reset`` clears its latch."""

    test: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True)
class FirmwareUpdate:
    """Known so that it is never mistaken for something else; the driver does not send it."""

    invoke_rom_bootloader: bool = False


ToBoard = (
    KeepAlive | ConnectorLock | PwmDutyCycle | AllowPowerOn | Reset | SetNumberOfPhases | RcdCommand | FirmwareUpdate
)


# Board to host


@dataclass(frozen=True, slots=True)
class KeepAliveLo:
    """Life sign of the board, with what it is and can do. ``hwcap_*_current`` in ampere."""

    time_stamp: int = 0
    hw_type: int = 0
    hw_revision: int = 0
    protocol_version_major: int = 0
    protocol_version_minor: int = 0
    sw_version_string: str = ""
    hwcap_max_current: float = 0.0
    hwcap_min_current: float = 0.0
    hwcap_max_phase_count: int = 0
    hwcap_min_phase_count: int = 0
    supports_changing_phases_during_charging: bool = False


@dataclass(frozen=True, slots=True)
class ResetReport:
    """The board has just restarted. None: a reason that the protocol does not name."""

    reason: ResetReason | None


@dataclass(frozen=True, slots=True)
class CpStateReport:
    """The pilot changed its state. None: a state that the protocol does not name."""

    state: CpState | None


@dataclass(frozen=True, slots=True)
class RelaisState:
    """Feedback of the power relays."""

    on: bool


@dataclass(frozen=True, slots=True)
class ErrorFlags:
    diode_fault: bool = False
    rcd_selftest_failed: bool = False
    rcd_triggered: bool = False
    ventilation_not_available: bool = False
    connector_lock_failed: bool = False
    cp_signal_fault: bool = False
    over_current: bool = False


@dataclass(frozen=True, slots=True)
class TelemetryYeti:
    """Peaks of the pilot as unsigned numbers, in a unit that the protocol does not state."""

    cp_voltage_hi: int = 0
    cp_voltage_lo: int = 0


@dataclass(frozen=True, slots=True)
class TelemetryTida:
    """Peaks of the pilot in volts and two temperatures in °C."""

    cp_voltage_hi: float = 0.0
    cp_voltage_lo: float = 0.0
    temp0: float = 0.0
    temp1: float = 0.0


@dataclass(frozen=True, slots=True)
class PpStateReport:
    """None: a state that the protocol does not name."""

    state: PpState | None


@dataclass(frozen=True, slots=True)
class LockStateReport:
    """None: a state that the protocol does not name."""

    state: LockState | None


@dataclass(frozen=True, slots=True)
class PowerMeter:
    """Yeti's own meter: volts, amperes, watts, watt-hours, °C, hertz."""

    time_stamp: int = 0
    vrms_l1: float = 0.0
    vrms_l2: float = 0.0
    vrms_l3: float = 0.0
    irms_l1: float = 0.0
    irms_l2: float = 0.0
    irms_l3: float = 0.0
    irms_n: float = 0.0
    watt_hr_l1: float = 0.0
    watt_hr_l2: float = 0.0
    watt_hr_l3: float = 0.0
    total_watt_hr: float = 0.0
    temp_l1: float = 0.0
    temp_l2: float = 0.0
    temp_l3: float = 0.0
    temp_n: float = 0.0
    watt_l1: float = 0.0
    watt_l2: float = 0.0
    watt_l3: float = 0.0
    freq_l1: float = 0.0
    freq_l2: float = 0.0
    freq_l3: float = 0.0
    phase_seq_error: bool = False


FromBoard = (
    KeepAliveLo
    | ResetReport
    | CpStateReport
    | RelaisState
    | ErrorFlags
    | TelemetryYeti
    | TelemetryTida
    | PpStateReport
    | LockStateReport
    | PowerMeter
)


def _fields(kinds: str, *attributes: str, first: int = 1) -> tuple[Field, ...]:
    """Number attributes from ``first`` on; ``kinds`` has a letter each: u(int32), b(ool), f(loat), s(tring)."""
    kind_of = {"u": Kind.UINT32, "b": Kind.BOOL, "f": Kind.FLOAT, "s": Kind.STRING}
    return tuple(
        Field(number, kind_of[kind], attribute)
        for number, (kind, attribute) in enumerate(zip(kinds, attributes, strict=True), first)
    )


_IDENTITY = _fields("uuu", "time_stamp", "hw_type", "hw_revision")

FIELDS: dict[type, tuple[Field, ...]] = {
    # Numbers 4 and 5, the protocol version, are the board's to give; the host leaves them out.
    KeepAlive: (*_IDENTITY, Field(6, Kind.STRING, "sw_version_string")),
    FirmwareUpdate: _fields("b", "invoke_rom_bootloader"),
    RcdCommand: _fields("bb", "test", "reset"),
    KeepAliveLo: (
        *_IDENTITY,
        *_fields("uus", "protocol_version_major", "protocol_version_minor", "sw_version_string", first=4),
        *_fields(
            "ffuu", "hwcap_max_current", "hwcap_min_current", "hwcap_max_phase_count", "hwcap_min_phase_count", first=7
        ),
        Field(11, Kind.BOOL, "supports_changing_phases_during_charging"),
    ),
    ErrorFlags: _fields("b" * 7, *ErrorFlags.__dataclass_fields__),
    TelemetryYeti: _fields("uu", *TelemetryYeti.__dataclass_fields__),
    TelemetryTida: _fields("ffff", *TelemetryTida.__dataclass_fields__),
    PowerMeter: _fields("u" + "f" * 21 + "b", *PowerMeter.__dataclass_fields__),
}
"""Field numbers of the messages that have fields of their own."""
