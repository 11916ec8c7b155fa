"""The table of faults: what each does to contactor, pilot and lock, how it ends, and what a technician should try.

Detectors live beside what they watch (``supply``, ``currents``, ``contacts``, …); each yields a ``Condition`` while
it sees its fault. ``fault_book`` applies this table to the conditions. Row numbers are those of iec61851.md §14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from agent.control import timing as t
from agent.link.messages import FaultCode


class FaultPilot(Enum):
    """What the pilot shows during a fault."""

    KEEP = "keep"
    X1 = "x1"
    F = "f"
    X1_THEN_F = "x1_then_f"


class FaultLock(Enum):
    """What the cable lock does during a fault."""

    KEEP = "keep"
    """As without the fault."""
    HOLD = "hold"
    """Stays closed whatever happens."""
    RELEASE = "release"
    """Opens once no current flows."""


class Latch(Enum):
    NONE = "none"
    """Ends by itself once its condition has been gone for ``recover_s``."""
    STATE_A = "state_a"
    """Ends once state A is seen, or a person clears it, and the condition is gone."""
    UNPLUG = "unplug"
    """The same, but a vehicle must have been there: raised without one, it takes a plug and an unplug."""
    PERSON = "person"
    """Ends only when a person clears it and the condition is gone."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One row. Times in seconds."""

    detector: str
    """Where the condition comes from, in words."""
    detect_s: float
    """Longest time from the physical cause to the fault, as far as control sees the cause."""
    open_after_s: float | None
    """Longest time from the fault to the open command: 0 at once, None: the fault does not open."""
    pilot: FaultPilot
    latch: Latch
    remedy: str
    recover_s: float = 1.0
    retries: int = 0
    """A latched fault ends by itself that often per plugged vehicle …"""
    retry_s: float = 0.0
    """… this long after it was raised."""
    lock: FaultLock = FaultLock.KEEP
    blocks: bool = True
    """False: only reported."""
    f_while_seen: bool = False
    """State F stays for as long as the condition does, even where the end of the fault is seen in state A."""
    row: str = ""


_UNPLUG_FIRST = "Unplug the vehicle and plug it in again."

FAULTS: Mapping[FaultCode, FaultRule] = MappingProxyType(
    {
        FaultCode.PILOT: FaultRule(
            "pilot level, age of the reading, or the board's flag",
            t.PILOT_FAULT_S,
            0.0,
            FaultPilot.F,
            Latch.STATE_A,
            f"{_UNPLUG_FIRST} If it returns with another vehicle, look for a short between CP and PE.",
            row="12",
        ),
        FaultCode.DIODE: FaultRule(
            "negative pilot peak while PWM runs, or the board's flag",
            t.PILOT_FAULT_S,
            0.0,
            FaultPilot.X1_THEN_F,
            Latch.UNPLUG,
            f"{_UNPLUG_FIRST} If only this vehicle shows it, its charging inlet needs service.",
            row="13",
        ),
        FaultCode.VENTILATION: FaultRule(
            "state D where the place is not ventilated, or the board's flag",
            t.VENTILATION_S,
            0.0,
            FaultPilot.X1,
            Latch.UNPLUG,
            "This vehicle needs a ventilated place. If this one is ventilated, set installation.ventilation.",
            row="11",
        ),
        FaultCode.RESIDUAL_CURRENT: FaultRule(
            "residual-current monitor or the board's flag",
            0.0,
            0.0,
            FaultPilot.F,
            Latch.UNPLUG,
            f"{_UNPLUG_FIRST} If it returns with another vehicle, have the insulation of outlet and cable measured.",
            row="14, 15, 16",
        ),
        FaultCode.RESIDUAL_SELF_TEST: FaultRule(
            "result of the residual-current self-test, or the board's flag",
            t.SELF_TEST_TIMEOUT_S,
            0.0,
            FaultPilot.F,
            Latch.PERSON,
            "Clear the fault to run the self-test again. If it fails again, replace the residual-current monitor.",
            row="17",
        ),
        FaultCode.OVER_CURRENT: FaultRule(
            "meter current against the offer, or the board's flag",
            t.OVER_CURRENT_S + t.METER_DELAY_S,
            t.STOP_S,
            FaultPilot.X1,
            Latch.UNPLUG,
            f"The vehicle draws more than offered. {_UNPLUG_FIRST} If it returns, lower its charging current.",
            retries=1,
            retry_s=t.OVER_CURRENT_RETRY_S,
            row="18",
        ),
        FaultCode.CONTACTOR_WELDED: FaultRule(
            "contactor feedback closed 1 s after the open command (a charge controller's: 5 s), or the board's flag",
            t.WELD_CHECK_S,
            0.0,
            FaultPilot.F,
            Latch.PERSON,
            "Switch off the supply and replace the contactor. Then clear the fault.",
            lock=FaultLock.HOLD,
            row="19",
        ),
        FaultCode.CONTACTOR_STUCK_OPEN: FaultRule(
            "contactor feedback open 0.5 s after the close command, or the board's flag",
            t.FEEDBACK_S,
            0.0,
            FaultPilot.X1,
            Latch.UNPLUG,
            "Check the coil's supply, its residual-current and emergency-stop loop, and the feedback wire.",
            row="20",
        ),
        FaultCode.PROTECTIVE_EARTH: FaultRule(
            "meter voltage outside 207…253 V for 5 s (UK open PEN), or the board's flag",
            t.OPEN_PEN_S + t.METER_DELAY_S,
            0.0,
            FaultPilot.F,
            Latch.UNPLUG,
            "Do not touch the vehicle. Have the supply's PEN conductor checked, then clear the fault.",
            recover_s=t.OPEN_PEN_RECOVER_S,
            retries=t.OPEN_PEN_RETRIES,
            f_while_seen=True,
            row="21",
        ),
        FaultCode.SUPPLY_VOLTAGE: FaultRule(
            "meter voltage outside 0.85…1.1 × nominal, or the board's flag",
            t.SUPPLY_S + t.METER_DELAY_S,
            0.0,
            FaultPilot.X1,
            Latch.NONE,
            "Wait: charging resumes when the supply has been steady for 30 s. If it lasts, have the supply checked.",
            recover_s=t.SUPPLY_RECOVER_S,
            row="22",
        ),
        FaultCode.TEMPERATURE: FaultRule(
            "temperature sensors; a broken or silent one counts as too hot; or the board's flag",
            t.TEMPERATURE_STALE_S,
            t.STOP_S,
            FaultPilot.X1,
            Latch.NONE,
            "Let it cool. Check terminals, plug contacts and ventilation; if the sensor is broken, replace it.",
            row="23",
        ),
        FaultCode.CABLE: FaultRule(
            "proximity coding against the one the session began with, or the board's flag",
            t.CABLE_FAULT_S,
            0.0,
            FaultPilot.X1,
            Latch.STATE_A,
            "Push the plug in fully. If it returns with this cable only, the cable is broken.",
            row="24",
        ),
        FaultCode.LOCK: FaultRule(
            "lock feedback, or the board's flag",
            t.LOCK_LOST_S,
            t.LOCK_LOST_OPEN_S,
            FaultPilot.X1,
            Latch.UNPLUG,
            "Push the plug in fully and plug in again. If it returns, clean or replace the lock.",
            row="25",
        ),
        FaultCode.EMERGENCY_STOP: FaultRule(
            "emergency-stop input",
            0.0,
            0.0,
            FaultPilot.F,
            Latch.STATE_A,
            "Remove the danger, release the button, then unplug the vehicle or clear the fault.",
            lock=FaultLock.RELEASE,
            f_while_seen=True,
            row="26",
        ),
        FaultCode.BOARD_LOST: FaultRule(
            "silence of the board for 5 s, of any other safety device for 2 s, or a failed driver",
            t.BOARD_SILENCE_S,
            0.0,
            FaultPilot.F,
            Latch.NONE,
            "Check the cable from the computer to the board, or to the device that is named, its supply, and its port.",
            row="27",
        ),
        FaultCode.BOARD_RESET: FaultRule(
            "the board reports that it was reset",
            0.0,
            0.0,
            FaultPilot.X1,
            Latch.NONE,
            "Nothing to do when it happens once. If it returns, check the board's supply.",
            recover_s=t.BOARD_RESET_S,
            row="27, 31",
        ),
        FaultCode.BOARD_MISMATCH: FaultRule(
            "the board's capabilities against the configuration",
            t.UNHEALTHY_S,
            0.0,
            FaultPilot.F,
            Latch.NONE,
            "Make the configuration of this EVSE agree with its board, or update the board's firmware.",
        ),
        FaultCode.BOARD_FAULT: FaultRule(
            "the board's own report of an internal failure",
            0.0,
            0.0,
            FaultPilot.F,
            Latch.NONE,
            "Switch the charge point off and on again. If it returns, replace the board or controller.",
            recover_s=t.BOARD_RESET_S,
            row="27",
        ),
        FaultCode.ENCLOSURE: FaultRule(
            "enclosure contact",
            0.0,
            0.0,
            FaultPilot.X1,
            Latch.NONE,
            "Close the cover. Charging may go on when it has been closed for 5 s.",
            recover_s=t.ENCLOSURE_S,
        ),
        FaultCode.TILT: FaultRule(
            "tilt contact",
            0.0,
            0.0,
            FaultPilot.F,
            Latch.PERSON,
            "Do not touch the charge point. Have it set upright and its wiring checked, then clear the fault.",
        ),
        FaultCode.METER: FaultRule(
            "age of the meter's readings",
            t.METER_LOST_S,
            None,
            FaultPilot.KEEP,
            Latch.NONE,
            "Check the meter's wiring, address and line settings.",
            blocks=False,
            row="29",
        ),
        FaultCode.MAINS: FaultRule(
            "all meter voltages below 0.3 × nominal",
            t.MAINS_S + t.METER_DELAY_S,
            0.0,
            FaultPilot.X1,
            Latch.NONE,
            "The supply is gone. Charging resumes 30 s after it returns.",
            recover_s=t.MAINS_RECOVER_S,
            lock=FaultLock.RELEASE,
            row="28",
        ),
        FaultCode.READER: FaultRule(
            "health of the EVSE's own card reader",
            0.0,
            None,
            FaultPilot.KEEP,
            Latch.NONE,
            "Check the card reader's cable and supply.",
            blocks=False,
        ),
        FaultCode.CONTROL_OVERRUN: FaultRule(
            "lateness of control's own loop",
            0.0,
            None,
            FaultPilot.KEEP,
            Latch.NONE,
            "Look for another program that loads the processor; allow evse-control real-time priority.",
            recover_s=60.0,
            blocks=False,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A fault as its detector sees it now. Fields that are not None go before the table's."""

    detail: str
    open_after_s: float | None = None
    pilot: FaultPilot | None = None
    final: bool = False
    """No retry, whatever the table says."""
    blocks: bool | None = None
