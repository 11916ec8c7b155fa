"""One Modbus meter: registers in, a checked reading out. Pure: times are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hal.drivers import register_map
from hal.drivers.meter_signing import Signing
from hal.drivers.metering import EnergyRegister, active_power_w, energy_wh, impossible, most_power_w
from hal.drivers.register_map import Block, Register, RegisterMap
from hal.drivers.signing_map import SigningMap
from hal.options import option
from hal.values import MeterReading, SignedReading, SigningSession, SigningState

DIGITS = 3
"""Decimals of everything but energy: finer than any meter, coarser than the noise of binary fractions."""


@dataclass(frozen=True, slots=True)
class MeterOptions:
    address: int = option(help="Modbus address of the meter", ge=1, le=247)
    map: str = option(
        help="register map: the name of a shipped one (docs/hardware/modbus-meter.md), or the path of your own",
        check=register_map.check,
    )
    name: str = option("", help="name of the unit; may be left out when the line has one meter only")
    max_current_a: float = option(
        0.0, help="rating of meter or breaker, 0 for not known: energy that grows faster is not believed", ge=0, le=1000
    )


@dataclass(slots=True)
class MeterUnit:
    """One meter on the line. Implements PowerMeter."""

    options: MeterOptions
    map: RegisterMap
    blocks: tuple[Block, ...] = ()
    trouble: str = "not read yet"
    """Empty when the last cycle gave a reading."""
    answered_at: float | None = None
    doubt: str = ""
    """Why the last reading is suspect."""
    _energy: EnergyRegister = field(default_factory=EnergyRegister)
    _reading: MeterReading | None = None
    _data: dict[int, bytes] = field(default_factory=dict)
    _energy_at: float = 0.0

    def __post_init__(self) -> None:
        self.blocks = self.map.blocks()
        energy, phases = self.map.energy, max(1, len(self.map.values.get("current_a", "...")))
        self._energy = EnergyRegister(
            step_wh=0.0 if energy.is_float else abs(energy.scale),
            max_power_w=most_power_w(self.options.max_current_a, phases),
            rollover_wh=energy.rolls_over_at,
        )

    def meter(self) -> MeterReading | None:
        return self._reading

    @property
    def label(self) -> str:
        name = f"meter {self.options.name!r} " if self.options.name else "meter "
        return f"{name}(address {self.options.address})"

    def begin(self) -> None:
        self._data.clear()

    def take(self, block: Block, registers: bytes, now: float) -> None:
        """Keep one block's registers."""
        for index in range(block.count):
            self._data[block.address + index] = registers[2 * index : 2 * index + 2]
        energy = self.map.energy
        if block.address <= energy.address and energy.end <= block.address + block.count:
            self._energy_at = now
        self.answered_at = now

    def finish(self) -> None:
        """All blocks of a cycle are in: make the reading, or say why not."""
        values: dict[str, tuple[float, ...]] = {}
        for key, registers in self.map.values.items():
            numbers, self.trouble = self._numbers(key, registers)
            if self.trouble:
                return
            values[key] = numbers
        export = values.get("energy_export_wh")
        power = values.get("power_w")
        power_w = round(sum(power), DIGITS) if power else None
        voltage_v, current_a = _rounded(values, "voltage_v"), _rounded(values, "current_a")
        judged = self._energy.take(
            values[register_map.REQUIRED][0], self._energy_at, active_power_w(power_w, voltage_v, current_a)
        )
        self._reading = MeterReading(
            at=self._energy_at,
            energy_import_wh=judged.energy_wh,
            energy_export_wh=energy_wh(export[0]) if export else None,
            power_w=power_w,
            voltage_v=voltage_v,
            current_a=current_a,
            frequency_hz=next(iter(_rounded(values, "frequency_hz")), None),
            power_factor=next(iter(_rounded(values, "power_factor")), None),
            quality=judged.quality,
        )
        self.doubt = f"{self.label}: {judged.doubt}" if judged.doubt else ""

    @property
    def event(self) -> str:
        """What is worth telling of a meter that is well."""
        turns = self._energy.turns
        return f"{self.label}: its energy register rolled over ({turns} ×) and is continued" if turns else ""

    def _numbers(self, key: str, registers: tuple[Register, ...]) -> tuple[tuple[float, ...], str]:
        """Return the numbers under ``key``, and why the reading cannot be made."""
        numbers: list[float] = []
        missing: Register | None = None
        for register in registers:
            number = register.decode(self._raw(register))
            where = f"{self.label}: register {register.address:#06x} ({key})"
            if number is None and register.optional:
                missing = register
            elif number is None:
                return (), f"{where} holds no number"
            elif impossible(key, number, self.options.max_current_a):
                return (), f"{where} shows {number:g}, which cannot be; check 'map'"
            elif missing is not None:  # dropping L2 would make L3 look like it
                return (
                    (),
                    f"{self.label}: register {missing.address:#06x} ({key}) holds no number, but a later phase does",
                )
            else:
                numbers.append(number)
        return tuple(numbers), ""

    def _raw(self, register: Register) -> bytes:
        return b"".join(self._data[address] for address in range(register.address, register.end))


class SigningMeterUnit(MeterUnit):
    """One that signs. Implements SigningMeter."""

    def __init__(self, options: MeterOptions, registers: RegisterMap, layout: SigningMap) -> None:
        super().__init__(options, registers)
        self.signer = Signing(layout, self.label)

    def signing(self) -> SigningState | None:
        return self.signer.state()

    def begin_signing(self, session: SigningSession, now: float) -> None:  # noqa: ARG002 (the line comes round)
        self.signer.begin(session)

    def sign_reading(self, now: float) -> None:  # noqa: ARG002
        self.signer.read_now()

    def end_signing(self, transaction: str, now: float) -> None:  # noqa: ARG002
        self.signer.end(transaction)

    def signed(self) -> tuple[SignedReading, ...]:
        return self.signer.held()

    def release_signed(self, key: str, now: float) -> None:  # noqa: ARG002
        self.signer.release(key)

    def set_clock(self, utc_s: float, offset_min: int, now: float) -> None:
        self.signer.set_clock(utc_s, offset_min, now)


def unit_of(options: MeterOptions, registers: RegisterMap) -> MeterUnit:
    """Return the unit for a meter with this map."""
    if registers.signing is None:
        return MeterUnit(options, registers)
    return SigningMeterUnit(options, registers, registers.signing)


def _rounded(values: Mapping[str, tuple[float, ...]], key: str) -> tuple[float, ...]:
    return tuple(round(value, DIGITS) for value in values.get(key, ()))
