"""What control knows of one EVSE at one moment, and what it decides. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from agent.link.messages import FaultReport, Observation
from hal.values import (
    PILOT_X1_PCT,
    BoardReading,
    ContactorReading,
    EmergencyStopReading,
    EnclosureReading,
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
    enclosure: EnclosureReading | None = None
    board: BoardReading | None = None
    """Life sign of the board that drives the pilot, else of the first that drives anything."""
    further_boards: tuple[BoardReading | None, ...] = ()
    """The same of the other boards that serve this EVSE, always in one order."""
    trouble: str = ""
    """Not empty: the driver of a safety device has failed; the text says how."""
    unhealthy: str = ""
    """Not empty: a board's device is not well; its own words."""
    unhealthy_device: str = ""
    """The same for a safety device without a life sign of its own."""
    reader_trouble: str = ""
    """The same for the EVSE's own card reader."""

    @property
    def boards(self) -> tuple[BoardReading, ...]:
        """Every board that was heard at all."""
        return tuple(each for each in (self.board, *self.further_boards) if each is not None)


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
