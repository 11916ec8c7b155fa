"""What control knows of one EVSE at one moment, and what it decides. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from agent.link.messages import FaultReport, Observation
from hal.values import (
    PILOT_X1_PCT,
    BoardReading,
    ContactorReading,
    EmergencyStopReading,
    Indication,
    LockReading,
    MeterReading,
    PilotReading,
    ProximityReading,
    ResidualCurrentReading,
    TemperatureReading,
)


@dataclass(frozen=True, slots=True)
class EvseInputs:
    """One look at all the readings of an EVSE. None where there is no such port, or nothing was received yet."""

    pilot: PilotReading | None = None
    contactor: ContactorReading | None = None
    proximity: ProximityReading | None = None
    lock: LockReading | None = None
    residual_current: ResidualCurrentReading | None = None
    meter: MeterReading | None = None
    temperatures: tuple[TemperatureReading, ...] = ()
    emergency_stop: EmergencyStopReading | None = None
    board: BoardReading | None = None
    trouble: str = ""
    """Not empty: the driver of the board has failed; the text says how."""
    unhealthy: str = ""
    """Not empty: the board's device is not well; its own words."""
    reader_trouble: str = ""
    """The same for the EVSE's own card reader."""


@dataclass(frozen=True, slots=True)
class EvseOutputs:
    """What the hardware is to do now. The defaults are the safe ones."""

    duty_pct: float = PILOT_X1_PCT
    contactor: bool = False
    lock: bool | None = None
    """None: leave it as it is."""
    phases: int | None = None
    """Phases for the next close; None while it must not be touched."""
    start_self_test: bool = False
    reset_residual_current: bool = False
    reset_board: bool = False
    indication: Indication = Indication.UNAVAILABLE
    observation: Observation | None = None
    reports: tuple[FaultReport, ...] = ()
    opened_because: str = ""
    """Not empty on the step that opens the contactor: why."""
    active: bool = False
    """True: times below 100 ms matter now, so the next step is due in one tick."""
