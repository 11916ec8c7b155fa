"""One simulated EVSE: board, contactor, supply, meter, and the vehicle at the cable."""

from __future__ import annotations

from typing import Any

from simulators.boards.board import Board, Surroundings
from simulators.meters.modbus_line import Slave
from simulators.meters.register import Sample
from simulators.pty_port import PtyPort
from simulators.vehicle.circuit import NOTHING, R_SHORT_OHM, Load, peaks_v
from simulators.vehicle.vehicle import NO_CURRENT, Vehicle

MAX_STEP_S = 0.25
"""Longer gaps (a machine that was suspended) do not count as charging time."""
NOMINAL_V = 230.0


class SimEvse:
    """Steps physics and board together. ``faults`` holds the names of those switched on."""

    def __init__(self, number: int, board: Board, port: PtyPort, meter: Slave, phases: int, tethered: bool) -> None:
        self.number = number
        self.board = board
        self.port = port
        self.meter = meter
        self.vehicle: Vehicle | None = None
        self.cable_a = 32
        self.faults: set[str] = set()
        self.voltage_v = NOMINAL_V
        self.lost_phase = 0
        """Number of a supply phase that is dead; 0 for none."""
        self.energy_factor = 1.0
        self.powered = True
        self.current_a: tuple[float, float, float] = NO_CURRENT
        self.peaks_v = (12.0, 12.0)
        self.energy_wh = 0.0
        """Energy that has gone through the contactor since the lab began, unrounded."""
        self._phases = phases
        self._tethered = tethered
        self._stepped_at: float | None = None

    @property
    def supply(self) -> tuple[bool, bool, bool]:
        """Which phases carry voltage ahead of the contactor."""
        if not self.powered:
            return (False, False, False)
        live = [phase < self._phases and phase + 1 != self.lost_phase for phase in range(3)]
        return (live[0], live[1], live[2])

    @property
    def mains(self) -> tuple[bool, bool, bool]:
        """Which phases carry voltage at the vehicle's inlet."""
        poles, supply = self.board.firmware.contactor.poles, self.supply
        return (poles[0] and supply[0], poles[1] and supply[1], poles[2] and supply[2])

    def plug(self, vehicle: Vehicle, cable_a: int) -> None:
        self.vehicle = vehicle
        self.cable_a = cable_a

    def unplug(self) -> None:
        self.vehicle = None
        self.current_a = NO_CURRENT

    def step(self, now: float) -> bool:
        """Let time pass up to ``now``. True while something moves or a vehicle is there: step again within 10 ms."""
        dt_s = 0.0 if self._stepped_at is None else min(max(now - self._stepped_at, 0.0), MAX_STEP_S)
        self._stepped_at = now
        duty_pct = self.board.duty_pct
        self._flow(dt_s, duty_pct)
        self.peaks_v = peaks_v(duty_pct, self._load(), self.powered)
        busy = self.board.step(now, self._surroundings())
        return busy or self.vehicle is not None

    def _flow(self, dt_s: float, duty_pct: float) -> None:
        if self.vehicle is not None:
            pilot_reaches = self.powered and "cp-short" not in self.faults
            self.current_a = self.vehicle.step(
                dt_s,
                duty_pct,
                self.mains,
                powered=pilot_reaches,
                voltage_v=self.voltage_v,
                energy_factor=self.energy_factor,
            ).current_a
        energy_wh = sum(self.current_a) * self.voltage_v * dt_s / 3600.0 * self.energy_factor
        self.energy_wh += energy_wh
        self.meter.core.integrate(energy_wh, Sample(self._volts(), self.current_a))

    def _volts(self) -> tuple[float, float, float]:
        supply = self.supply
        volts = [self.voltage_v if live else 0.0 for live in supply]
        return (volts[0], volts[1], volts[2])

    def _load(self) -> Load:
        load = self.vehicle.load() if self.vehicle is not None else NOTHING
        shunt_ohm = R_SHORT_OHM if "cp-short" in self.faults else load.shunt_ohm
        return Load(load.resistance_ohm, load.diode and "diode" not in self.faults, shunt_ohm)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            high_v=self.peaks_v[0],
            low_v=self.peaks_v[1],
            cable_a=self._coding(),
            current_a=self.current_a,
            voltage_v=self._volts(),
            energy_wh=float(self.meter.core.register_wh),
        )

    def _coding(self) -> int:
        """What the proximity contact shows: a cable's rating, 0 for none, −1 for a short."""
        if self._tethered:
            return 0
        if "pp-short" in self.faults:
            return -1
        if "pp-open" in self.faults or self.vehicle is None:
            return 0
        return 13 if "pp-changed" in self.faults else self.cable_a

    def state(self) -> dict[str, Any]:
        """Everything there is to know, for ``evse-sim ctl state``."""
        board, firmware = self.board, self.board.firmware
        cp_state = firmware.cp_state
        return {
            "id": self.number,
            "plugged": self.vehicle is not None,
            "cable_a": self.cable_a if self.vehicle is not None else 0,
            "vehicle": None if self.vehicle is None else _vehicle_state(self.vehicle),
            "pilot": {
                "state": None if cp_state is None else cp_state.name,
                "duty_pct": board.duty_pct,
                "high_v": round(self.peaks_v[0], 3),
                "low_v": round(self.peaks_v[1], 3),
            },
            "contactor": {
                "closed": firmware.contactor.closed,
                "feedback": firmware.contactor.feedback,
                "coil": firmware.contactor.coil,
                "phases": sum(firmware.contactor.poles),
                "opened_because": firmware.reason,
            },
            "lock": {True: "locked", False: "unlocked", None: "moving"}[firmware.lock.locked],
            "current_a": [round(value, 3) for value in self.current_a],
            "power_w": round(sum(self.current_a) * self.voltage_v, 1),
            "board": {
                "running": board.running,
                "host_alive": firmware.host_alive,
                "allowed": firmware.allowed,
                "resets": board.resets,
                "frames_in": board.frames_in,
                "errors": [name for name in firmware.errors.__dataclass_fields__ if getattr(firmware.errors, name)],
            },
            "meter": {
                "address": self.meter.address,
                "register_wh": self.meter.core.register_wh,
                "shown_wh": self.meter.core.shown()[0],
                "energy_mwh": self.meter.core.energy_mwh,
                "frozen": self.meter.core.frozen,
                "silent": self.meter.core.silent,
                "reads": self.meter.reads,
            },
            "energy_wh": round(self.energy_wh, 3),
            "faults": sorted(self.faults),
        }


def _vehicle_state(vehicle: Vehicle) -> dict[str, Any]:
    return {
        "car": vehicle.car.name,
        "character": vehicle.character.name,
        "wish": vehicle.wish.value,
        "asleep": vehicle.asleep,
        "s2_closed": vehicle.s2_closed,
        "battery_pct": round(vehicle.battery.soc * 100, 2),
        "full": vehicle.battery.full,
        "current_limit_a": vehicle.current_cap_a,
        "phases_limit": vehicle.phases_cap,
        "delivered_wh": round(vehicle.delivered_wh, 3),
    }
