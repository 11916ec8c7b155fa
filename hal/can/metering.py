"""From the values on a bus to a meter reading. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hal.can.receiver import Receiver
from hal.can.roles import PHASES
from hal.can.table import Table
from hal.drivers.metering import EnergyRegister, active_power_w, energy_wh, impossible
from hal.values import MeterReading

DIGITS = 3
ENERGY = "energy_import_wh"


@dataclass(slots=True)
class MeterAssembly:
    """Makes a reading of each new energy value; what else is fresh goes with it."""

    register: EnergyRegister
    reading: MeterReading | None = None
    doubt: str = ""
    """Why the last reading is suspect."""

    @classmethod
    def of(cls, table: Table) -> MeterAssembly:
        for message in table.incoming:
            energy = message.signals.get(ENERGY)
            if energy is not None and not energy.is_float:
                return cls(EnergyRegister(step_wh=abs(energy.scale)))
        return cls(EnergyRegister())

    def update(self, receiver: Receiver, now: float) -> None:
        """A good message came at ``now``."""
        if receiver.at(ENERGY) != now:
            return
        energy = receiver.value(ENERGY, now)
        if energy is None:
            return  # the meter says that it has no value: the last reading grows old

        def number(role: str) -> float | None:
            value = receiver.value(role, now)
            if value is None or impossible(_quantity(role), value):
                return None
            return round(float(value), DIGITS)

        def per_phase(form: str) -> tuple[float, ...]:
            """All phases that the table names, or none: a phase is told by its place."""
            named = [form.format(phase) for phase in PHASES if form.format(phase) in receiver.table.reads]
            values = [number(role) for role in named]
            return () if None in values else tuple(value for value in values if value is not None)

        watts = per_phase("power_{}_w")
        power_w = number("power_w")
        if power_w is None and watts:
            power_w = round(sum(watts), DIGITS)
        voltage_v, current_a = per_phase("voltage_{}_v"), per_phase("current_{}_a")
        export = receiver.value("energy_export_wh", now)
        judged = self.register.take(energy, now, active_power_w(power_w, voltage_v, current_a))
        self.doubt = judged.doubt
        self.reading = MeterReading(
            at=now,
            energy_import_wh=judged.energy_wh,
            energy_export_wh=None if export is None else energy_wh(export),
            power_w=power_w,
            voltage_v=voltage_v,
            current_a=current_a,
            frequency_hz=number("frequency_hz"),
            power_factor=number("power_factor"),
            quality=judged.quality,
        )


def _quantity(role: str) -> str:
    """The role without its phase: ``voltage_l1_v`` is a ``voltage_v``."""
    return "_".join(part for part in role.split("_") if part not in PHASES)
