"""The driver can-meter against the simulated meter, in virtual time."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cantools
import pytest
from can_rig import Bench, VirtualBus, virtual_bus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simulators.can
from hal import registry
from hal.can import table as tables
from hal.can.compile import compile_mapping
from hal.drivers.can_meter import CanMeter, CanMeterOptions
from hal.ports import DeviceError, PortKind
from hal.values import Quality
from simulators.can.meter import TABLE, CanMeterNode
from simulators.meters.register import MeterCore, Sample

FOLDER = Path(simulators.can.__file__).parent
IDS = [0x18FF1000 + n for n in range(4)]


class Meter(Bench):
    def __init__(self, bus: VirtualBus) -> None:
        self.core = MeterCore(20_000_000_123)
        self.core.integrate(0.0, Sample((230.1, 229.9, 231.0), (16.02, 15.97, 0.0)))
        self.frames: dict[int, bytes] = {}
        self.node = CanMeterNode(self.core, self._put)
        device = CanMeter("meter", CanMeterOptions(channel=bus.channel, interface="virtual", table=TABLE))
        super().__init__(bus, device, lambda frame, now: pytest.fail("a meter's driver says nothing"), self.node.step)
        self.unit = device.unit("")

    def _put(self, number: int, data: bytes) -> None:
        self.frames[number] = data
        self.bus.send(number, data, extended=True)

    @property
    def detail(self) -> str:
        return str(self.device.health(self.now).detail)


@pytest.fixture
def meter(request: pytest.FixtureRequest) -> Iterator[Meter]:
    with virtual_bus(request.node.name) as bus:
        made = Meter(bus)
        made.start()
        yield made
        made.device.close()


def test_the_shipped_table_is_what_the_shipped_files_give() -> None:
    assert tables.load(TABLE) == compile_mapping(FOLDER / "meter.yaml")


def test_it_is_a_meter_and_nothing_else() -> None:
    driver = registry.load("can-meter")
    options = CanMeterOptions(channel="can0", table=TABLE)
    assert driver.units(options) == {"": {PortKind.POWER_METER}}


def test_a_reading_as_cantools_reads_the_frames(meter: Meter) -> None:
    meter.run(0.6)
    reading = meter.unit.meter()
    database: Any = cantools.database.load_file(str(FOLDER / "meter.dbc"))
    told = {
        name: value
        for number in IDS
        for name, value in database.decode_message(number, meter.frames[number], force_extended_id=True).items()
    }
    assert reading.energy_import_wh == told["Import"] == 20_000_000_123
    assert reading.voltage_v == (230.1, 229.9, 231.0)
    assert [told[f"V{n}"] for n in (1, 2, 3)] == pytest.approx([230.1, 229.9, 231.0])
    assert reading.current_a == (16.02, 15.97, 0.0)
    assert [told[f"I{n}"] for n in (1, 2, 3)] == [16020, 15970, 0]
    assert reading.power_w == pytest.approx(told["Power"], abs=0.001)
    assert reading.frequency_hz == 50.0
    assert reading.quality is Quality.GOOD
    assert meter.device.health(meter.now).ok


def test_silence_ages_the_reading_and_is_told(meter: Meter) -> None:
    meter.run(0.6)
    before = meter.unit.meter()
    meter.core.silent = True
    meter.run(3.0)
    assert meter.unit.meter() == before
    assert "MeterEnergy (id 0x18ff1000): not heard for" in meter.detail
    meter.core.silent = False
    meter.run(1.0)
    assert meter.unit.meter().at > before.at
    assert meter.device.health(meter.now).ok


@pytest.mark.parametrize(
    ("fault", "words"), [("bad_crc", "has a wrong checksum"), ("hung", "its counter stands still")]
)
def test_a_frame_that_proves_nothing_is_no_reading(meter: Meter, fault: str, words: str) -> None:
    meter.run(0.6)
    before = meter.unit.meter()
    setattr(meter.node, fault, True)
    meter.run(2.0)
    assert meter.unit.meter().at - before.at <= 0.5
    assert words in meter.detail


def test_no_value_is_no_reading(meter: Meter) -> None:
    meter.run(0.6)
    before = meter.unit.meter()
    meter.core.energy_nan = True
    meter.run(2.0)
    assert meter.unit.meter() == before
    meter.core.energy_nan, meter.core.nan = False, True
    meter.run(1.0)
    assert meter.unit.meter() == before
    assert math.isnan(struct.unpack("<f", meter.frames[IDS[1]][:4])[0])


def test_one_phase_without_value_withholds_all_of_them(meter: Meter) -> None:
    meter.run(0.6)
    meter.bus.send(IDS[2], struct.pack(">3H", 2300, 0xFFFF, 2300) + bytes(2), extended=True)
    body = (20_000_000_124).to_bytes(6, "big") + b"\x63"
    check = 0
    for byte in body:
        check ^= byte
    meter.bus.send(IDS[0], body + bytes([check]), extended=True)
    meter.run(0.02)
    reading = meter.unit.meter()
    assert reading.energy_import_wh == 20_000_000_124
    assert reading.voltage_v == ()
    assert reading.current_a == (16.02, 15.97, 0.0)


def test_a_frozen_register_is_suspect(meter: Meter) -> None:
    meter.run(0.6)
    meter.core.freeze(True)
    meter.until(lambda: meter.unit.meter().quality is Quality.SUSPECT, 120.0)
    assert "stands still though the meter shows power" in meter.detail


def test_a_table_without_energy_is_no_meter(tmp_path: Path) -> None:
    other = tables.load(TABLE)
    incoming = tuple(message for message in other.incoming if message.name == "MeterVolts")
    path = tmp_path / "volts.can.json"
    heartbeat = tuple(replace(message, heartbeat=True) for message in incoming)
    path.write_text(tables.dump(replace(other, incoming=heartbeat, sources={})), encoding="utf-8")
    device = CanMeter("meter", CanMeterOptions(channel="x", interface="virtual", table=path))
    with pytest.raises(DeviceError, match="without it the device is no meter"):
        device.start(0.0)


@pytest.mark.parametrize("offset", [0, 0x10])
def test_meters_of_one_kind_share_a_bus_by_an_offset(offset: int) -> None:
    CanMeter("m", CanMeterOptions(channel="x", interface="virtual", table=TABLE, id_offset=offset)).start(0.0)
    with pytest.raises(DeviceError, match="lifts an id beyond what CAN has"):
        CanMeter("m", CanMeterOptions(channel="x", table=TABLE, id_offset=0x1000_0000)).start(0.0)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.tuples(st.sampled_from([*IDS, 0x5]), st.binary(max_size=8)), max_size=40))
def test_arbitrary_frames_never_raise_and_make_no_reading_without_checksum(frames: list[tuple[int, bytes]]) -> None:
    with virtual_bus("meter-garbage") as bus:
        meter = Meter(bus)
        meter.core.silent = True
        meter.start()
        guarded = False
        for number, data in frames:
            meter.bus.send(number, data, extended=number != 5)
            total = 0
            for byte in data[:7]:
                total ^= byte
            guarded = guarded or (number == IDS[0] and len(data) == 8 and total == data[7])
            meter.run(0.01)
            assert guarded or meter.unit.meter() is None
        meter.device.close()
