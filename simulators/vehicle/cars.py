"""Real cars: phases, AC charger and usable battery.

Figures from chargeprice/open-ev-data (MIT licence, © chargeprice), state of April 2022. The current per phase
follows from the power each car takes at a single-phase and at a three-phase charging point of 230 V.
"""

from __future__ import annotations

from dataclasses import dataclass

NOMINAL_V = 230.0


@dataclass(frozen=True, slots=True)
class Car:
    """A car's charging figures. ``ac_power_w`` is its on-board charger's rating on all its ``phases``;
    ``single_phase_power_w`` what it takes where only one phase is on offer."""

    name: str
    model: str
    phases: int
    ac_power_w: float
    single_phase_power_w: float
    battery_wh: float

    def max_current_a(self, live_phases: int) -> float:
        """Most the car draws per phase, in ampere, when it uses that many phases."""
        if live_phases <= 1:
            return self.single_phase_power_w / NOMINAL_V
        return self.ac_power_w / (NOMINAL_V * self.phases)


GENERIC = Car("generic", "any three-phase car", 3, 22080.0, 7360.0, 60000.0)

_CARS = (
    GENERIC,
    Car("bmw-i3-120ah", "BMW i3 120 Ah (2020)", 3, 11000.0, 7400.0, 37900.0),
    Car("dacia-spring", "Dacia Spring Electric (2021)", 1, 6600.0, 6600.0, 26800.0),
    Car("fiat-500e", "Fiat 500e (2020)", 3, 11000.0, 7400.0, 42000.0),
    Car("hyundai-kona-64", "Hyundai Kona 64 kWh, 7.2 kW (2018)", 1, 7200.0, 7200.0, 64000.0),
    Car("kia-ev6", "Kia EV6 Long Range 2WD (2021)", 3, 11000.0, 7400.0, 77400.0),
    Car("mitsubishi-outlander", "Mitsubishi Outlander PHEV (2018)", 1, 3700.0, 3700.0, 11000.0),
    Car("nissan-leaf-40", "Nissan Leaf 40 kWh (2018)", 1, 6600.0, 6600.0, 38000.0),
    Car("peugeot-e-208", "Peugeot e-208, 11 kW (2020)", 3, 11000.0, 7400.0, 45000.0),
    Car("polestar-2", "Polestar 2 (2020)", 3, 11000.0, 7400.0, 72500.0),
    Car("renault-zoe-r135", "Renault Zoe R135 ZE50 (2019)", 3, 22000.0, 7400.0, 52000.0),
    Car("smart-fortwo-eq-22", "smart fortwo EQ, 22 kW", 3, 22000.0, 7400.0, 17600.0),
    Car("tesla-model-3-lr", "Tesla Model 3 Long Range", 3, 11000.0, 7400.0, 74000.0),
    Car("tesla-model-s-100d", "Tesla Model S 100D (2017)", 3, 16500.0, 7400.0, 98000.0),
    Car("vw-e-golf", "Volkswagen e-Golf (2020)", 2, 7200.0, 7200.0, 31500.0),
    Car("vw-id3-45", "Volkswagen ID.3 45 kWh (2020)", 2, 7200.0, 7200.0, 45000.0),
    Car("vw-id3-58", "Volkswagen ID.3 58 kWh (2020)", 3, 11000.0, 7400.0, 58000.0),
)

CARS: dict[str, Car] = {car.name: car for car in _CARS}
