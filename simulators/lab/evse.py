"""One simulated EVSE: board, contactor, supply, meter, and the vehicle at the cable."""

from __future__ import annotations

from typing import Any

from simulators.lab.assembly import Place
from simulators.lab.kinds import Surroundings
from simulators.lab.settings import LabSettings
from simulators.meters.register import MeterCore, Sample
from simulators.vehicle.circuit import NOTHING, R_SHORT_OHM, Load, peaks_v
from simulators.vehicle.vehicle import NO_CURRENT, Vehicle

MAX_STEP_S = 0.25
"""Longer gaps (a machine that was suspended) do not count as charging time."""
NOMINAL_V = 230.0


class SimEvse:
    """Steps physics and board together. ``faults`` holds the names of those switched on."""

    def __init__(self, number: int, place: Place, settings: LabSettings) -> None:
        self.number = number
        self.place = place
        self.board = place.board
        self.meter = place.meter
        self.log = place.log
        self.meter_log = place.meter_log
        self.vehicle: Vehicle | None = None
        self.cable_a = 32
        self.faults: set[str] = set()
        self.voltage_v = NOMINAL_V
        self.lost_phase = 0
        """Number of a supply phase that is dead; 0 for none."""
        self.energy_factor = settings.energy_factor
        self.powered = True
        self.current_a: tuple[float, float, float] = NO_CURRENT
        self.peaks_v = (12.0, 12.0)
        self.energy_wh = 0.0
        """Energy that has gone through the contactor since the lab began, unrounded."""
        self._phases = settings.phases
        self._tethered = place.connector == "cable"
        self._stepped_at: float | None = None
        self._closed = False

    @property
    def core(self) -> MeterCore:
        """The register this EVSE turns."""
        return self.meter.core(self.number)

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
        poles, supply = self.board.poles, self.supply
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
        self._watch_contacts()
        return busy or self.vehicle is not None

    def _watch_contacts(self) -> None:
        """Write down each movement of the main contacts, whatever the board says of them."""
        poles = self.board.poles
        if any(poles) != self._closed:
            self._closed = any(poles)
            self.log.add("contacts_closed" if self._closed else "contacts_opened", phases=sum(poles))
            self.note_register()

    def note_register(self) -> None:
        """Write down where the register stands."""
        self.meter_log.add("register", register_wh=self.core.register_wh, energy_mwh=self.core.energy_mwh)

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
        self.core.integrate(energy_wh, Sample(self._volts(), self.current_a))

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
            energy_wh=float(self.core.shown()[0]),
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
        board, core, place = self.board.state(), self.core, self.place
        return {
            "id": self.number,
            "plugged": self.vehicle is not None,
            "cable_a": self.cable_a if self.vehicle is not None else 0,
            "vehicle": None if self.vehicle is None else _vehicle_state(self.vehicle),
            "pilot": {
                "state": board.pop("pilot_state"),
                "duty_pct": self.board.duty_pct,
                "high_v": round(self.peaks_v[0], 3),
                "low_v": round(self.peaks_v[1], 3),
            },
            "contactor": {
                "closed": board.pop("closed"),
                "feedback": board.pop("feedback"),
                "coil": board.pop("coil"),
                "phases": sum(self.board.poles),
                "opened_because": board.pop("opened_because"),
            },
            "lock": board.pop("lock"),
            "current_a": [round(value, 3) for value in self.current_a],
            "power_w": round(sum(self.current_a) * self.voltage_v, 1),
            "board": {"kind": place.kind.name, **board},
            "meter": {
                "kind": place.meter_choice.kind,
                "register_wh": core.register_wh,
                "shown_wh": core.shown()[0],
                "energy_mwh": core.energy_mwh,
                "frozen": core.frozen,
                "silent": core.silent,
                **self.meter.state(self.number),
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
