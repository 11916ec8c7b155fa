"""An energy meter on CAN, described by a DBC file and a mapping that are compiled to a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hal.can import table as tables
from hal.can.device import IDLE_S, CanDevice
from hal.can.frames import EXTENDED_MASK, Frame, is_id
from hal.can.link import CanOptions
from hal.can.metering import ENERGY, MeterAssembly
from hal.can.receiver import Receiver
from hal.can.table import Table
from hal.options import option
from hal.ports import DeviceError, PortKind
from hal.registry import Driver
from hal.values import MeterReading


def _check_table(path: Path) -> str:
    trouble = tables.check(path)
    if not trouble and ENERGY not in tables.load(path).reads:
        return f"{path}: reads no {ENERGY}; without it the device is no meter"
    return trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class CanMeterOptions(CanOptions):
    table: Path = option(
        help="table of the meter's DBC file and mapping, as evse-agent can-map writes it", check=_check_table
    )
    id_offset: int = option(
        0, help="added to every id of the table: several meters of one kind on one bus", ge=0, le=EXTENDED_MASK
    )


@dataclass(slots=True)
class CanMeterUnit:
    """Implements PowerMeter."""

    assembly: MeterAssembly

    def meter(self) -> MeterReading | None:
        return self.assembly.reading


class CanMeter(CanDevice):
    """The device. One unit, named ''. Says nothing on the bus."""

    def __init__(self, name: str, options: CanMeterOptions) -> None:
        self._table_trouble = _check_table(options.table)
        table = Table("no table", (), (), {}) if self._table_trouble else tables.load(options.table)
        self._receiver = Receiver(table, options.id_offset)
        super().__init__(name, options, self._receiver.keys)
        self._unit = CanMeterUnit(MeterAssembly.of(table))

    def start(self, now: float) -> None:
        if self._table_trouble:
            raise DeviceError(f"{self.name}: {self._table_trouble}")
        if not all(is_id(*key) for key in self._receiver.keys):
            raise DeviceError(f"{self.name}: 'id_offset' lifts an id beyond what CAN has; choose a smaller one")
        super().start(now)

    def unit(self, name: str) -> CanMeterUnit:
        if name:
            raise KeyError(f"{self.name}: has one unit only, named ''; {name!r} is unknown")
        return self._unit

    def _connect(self, now: float) -> None:  # noqa: ARG002 (part of the contract)
        self._receiver.forget()

    def _make_safe(self) -> None:
        """Nothing is commanded; the last reading is left to grow old."""

    def _take(self, frame: Frame, now: float) -> None:
        if self._receiver.take(frame, now) is not None:
            self._unit.assembly.update(self._receiver, now)

    def _tick(self, now: float) -> float:
        return now + IDLE_S

    def _trouble(self, now: float) -> str:
        if self._table_trouble:
            return self._table_trouble
        troubles = self._receiver.troubles(now)
        if not troubles:
            return self._unit.assembly.doubt
        return f"{'; '.join(troubles)}; check the meter's power, wiring, bit rate and the DBC file"

    def _last_heard_at(self) -> float | None:
        return self._receiver.last_at()


def _units(_: CanMeterOptions) -> Mapping[str, frozenset[PortKind]]:
    return {"": frozenset({PortKind.POWER_METER})}


DRIVER = Driver(
    name="can-meter",
    summary="energy meter on CAN, described by a DBC file and a mapping",
    options=CanMeterOptions,
    units=_units,
    create=CanMeter,
)
