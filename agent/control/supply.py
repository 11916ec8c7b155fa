"""What the meter tells about the supply: open PEN, voltage, mains failure, and a meter that falls silent."""

from __future__ import annotations

from agent.control.faults import Condition
from agent.control.persistence import Persistence
from agent.control.settings import EvseSettings
from agent.control.timing import MAINS_S, METER_LOST_S, METER_STALE_S, OPEN_PEN_S, STOP_S, SUPPLY_S
from agent.link.messages import FaultCode
from hal.values import MeterReading

OPEN_PEN_BAND_V = (207.0, 253.0)
"""BS 7671 722.411.4.1 (iv)."""
SUPPLY_BAND = (0.85, 1.10)
"""Share of the nominal voltage. REC: practice between 0.85…0.9 and 1.10."""
MAINS_GONE = 0.3
"""Below this share on all phases the supply is gone. Own."""
PHASE_THERE = 0.1
"""A phase below this share is not connected (single-phase feed on a three-phase meter). Own."""


class SupplyWatch:
    """Judges voltages of fresh meter readings; a stale reading is no voltage but a meter fault."""

    __slots__ = ("_mains", "_missing", "_open_pen", "_out_of_band", "_settings")

    def __init__(self, settings: EvseSettings) -> None:
        self._settings = settings
        self._open_pen = Persistence()
        self._out_of_band = Persistence()
        self._mains = Persistence()
        self._missing = Persistence()

    def update(self, meter: MeterReading | None, now: float) -> dict[FaultCode, Condition]:
        settings, found = self._settings, dict[FaultCode, Condition]()
        if not settings.has_meter:
            return found
        fresh = meter is not None and now - meter.at <= METER_STALE_S
        silent_s = METER_LOST_S - (METER_STALE_S if meter is not None else 0.0)
        if self._missing.held(not fresh, now, silent_s):
            stop = settings.stop_on_meter_loss
            found[FaultCode.METER] = Condition(
                "the meter is silent", open_after_s=STOP_S if stop else None, blocks=stop or None
            )
        voltages = meter.voltage_v if meter is not None and fresh else ()
        nominal_v = settings.nominal_voltage_v
        there = [v for v in voltages if v >= PHASE_THERE * nominal_v]
        gone = bool(voltages) and max(voltages) < MAINS_GONE * nominal_v
        if self._mains.held(gone, now, MAINS_S):
            found[FaultCode.MAINS] = Condition("no voltage on any phase")
        worst = max(there, key=lambda v: abs(v - nominal_v), default=nominal_v)
        low, high = SUPPLY_BAND
        if self._out_of_band.held(not gone and not low * nominal_v <= worst <= high * nominal_v, now, SUPPLY_S):
            found[FaultCode.SUPPLY_VOLTAGE] = Condition(f"{worst:.0f} V on a phase of nominally {nominal_v:.0f} V")
        low, high = OPEN_PEN_BAND_V
        outside = settings.monitor_open_pen and not gone and bool(there) and any(not low <= v <= high for v in there)
        if self._open_pen.held(outside, now, OPEN_PEN_S):
            found[FaultCode.PROTECTIVE_EARTH] = Condition(f"{worst:.0f} V line to neutral: PEN may be open")
        return found
