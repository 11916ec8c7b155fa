"""The energy register of a meter and what it measures. Pure.

Energy is counted in whole milliwatt-hours, with the rest carried on, and shown in whole watt-hours: a float32 in
kWh holds each watt-hour apart up to 16 384 kWh.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

FREQUENCY_HZ = 50.0
MWH_PER_WH = 1000


def shown_kwh(register_wh: int) -> float:
    """What the wire carries for that many watt-hours: kWh, rounded to float32."""
    return float(struct.unpack(">f", struct.pack(">f", register_wh / 1000.0))[0])


@dataclass(frozen=True, slots=True)
class Sample:
    """Voltages, currents of L1 to L3 at one moment."""

    voltage_v: tuple[float, float, float] = (230.0, 230.0, 230.0)
    current_a: tuple[float, float, float] = (0.0, 0.0, 0.0)
    frequency_hz: float = FREQUENCY_HZ

    @property
    def power_w(self) -> tuple[float, float, float]:
        v, i = self.voltage_v, self.current_a
        return (v[0] * i[0], v[1] * i[1], v[2] * i[2])

    @property
    def total_power_w(self) -> float:
        return sum(self.power_w)


class MeterCore:
    """One meter. ``frozen`` shows old values for ever, ``silent`` answers nothing, ``nan`` answers no number."""

    def __init__(self, energy_wh: int = 0) -> None:
        self.energy_mwh = energy_wh * MWH_PER_WH
        self.sample = Sample()
        self.silent = False
        self.nan = False
        self.energy_nan = False
        self._rest_mwh = 0.0
        self._frozen: tuple[int, Sample] | None = None

    @property
    def register_wh(self) -> int:
        """The exact watt-hours the register stands for now, frozen or not."""
        return self.energy_mwh // MWH_PER_WH

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def freeze(self, frozen: bool) -> None:
        """Stop or resume showing news. Counting goes on inside."""
        if frozen and self._frozen is None:
            self._frozen = (self.register_wh, self.sample)
        elif not frozen:
            self._frozen = None

    def set_energy(self, energy_wh: int) -> None:
        """Set the register, backwards too: a meter was swapped or has rolled over."""
        self.energy_mwh = energy_wh * MWH_PER_WH
        self._rest_mwh = 0.0

    def integrate(self, energy_wh: float, sample: Sample) -> None:
        """Count energy that has passed, in watt-hours (not negative)."""
        self.sample = sample
        self._rest_mwh += energy_wh * MWH_PER_WH
        whole = math.floor(self._rest_mwh)
        self.energy_mwh += whole
        self._rest_mwh -= whole

    def shown(self) -> tuple[int, Sample]:
        """Watt-hours and values as the meter shows them."""
        return self._frozen if self._frozen is not None else (self.register_wh, self.sample)
