"""Every shipped map: register words worked out by hand become the reading, and the simulated meter agrees."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers import modbus_rtu as rtu
from hal.drivers import register_map
from hal.drivers.meter_unit import MeterOptions, MeterUnit
from hal.values import MeterReading, Quality
from simulators.meters.layouts import LAYOUTS
from simulators.meters.modbus_line import ModbusLine, Slave
from simulators.meters.register import MeterCore, Sample
from simulators.oracle import EventLog

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "finder-7m38.yaml"


@dataclass(frozen=True)
class Vector:
    """``words``: address → registers in hexadecimal, as on the wire. The rest: what they mean."""

    words: dict[int, str]
    energy_wh: float
    export_wh: float | None = 0.0
    power_w: float = 0.0
    voltage_v: tuple[float, ...] = ()
    current_a: tuple[float, ...] = ()
    frequency_hz: float | None = 50.0
    power_factor: float | None = None


EASTRON_ONE = Vector(
    {
        0x00: "43661999",  # 0x43661999: sign 0, exponent 134, 230.09999…
        0x06: "41800000",
        0x0C: "45660000",
        0x1E: "3F800000",
        0x46: "42480000",
        0x48: "449A5000",  # 1234.5 kWh
        0x4A: "3F000000",
    },
    1_234_500.0,
    500.0,
    3680.0,
    (230.1,),
    (16.0,),
    50.0,
    1.0,
)
EASTRON_THREE = Vector(
    {
        0x00: "4366000043670000 43680000",
        0x06: "418000004170000041600000",
        0x34: "4625F000",  # 10 620 W
        0x3E: "3F7D70A4",  # 0.99
        0x46: "4247EB85",  # 49.98 Hz
        0x48: "461C4000",  # 10 000 kWh
        0x4A: "00000000",
    },
    10_000_000.0,
    0.0,
    10_620.0,
    (230.0, 231.0, 232.0),
    (16.0, 15.0, 14.0),
    49.98,
    0.99,
)
GAVAZZI_THREE = {
    0x00: "08FD0000 0907 0000 0911 0000",  # 2301, 2311, 2321 tenths of a volt, low word first
    0x0C: "3E800000 3A980000 36B00000",  # 16 000, 15 000, 14 000 mA
    0x28: "9ED80001",  # 0x00019ED8 = 106 200 tenths of a watt
}
VECTORS: dict[str, Vector] = {
    "sdm120": EASTRON_ONE,
    "sdm220": EASTRON_ONE,
    "sdm230": EASTRON_ONE,
    "sdm630": EASTRON_THREE,
    "sdm630-v1": EASTRON_THREE,
    "sdm630-v2": EASTRON_THREE,
    "sdm72d-m-v2": EASTRON_THREE,
    "sdm72d-m-v1": Vector(
        {0x34: "45660000", 0x48: "449A5000", 0x4A: "00000000"}, 1_234_500.0, 0.0, 3680.0, frequency_hz=None
    ),
    "em112": Vector(
        {
            0x00: "08FD0000",  # 230.1 V (hardware sheet B.2)
            0x02: "3E800000",
            0x04: "8FD00000",  # 0x8FD0 = 36 816 tenths of a watt: the high bit of the low word is no sign
            0x0E: "FC22",  # −990: capacitive
            0x0F: "01F4",
            0x10: "86A00001",  # 0x000186A0 = 100 000 tenths of a kWh
            0x20: "000A0000",
        },
        10_000_000.0,
        1000.0,
        3681.6,
        (230.1,),
        (16.0,),
        50.0,
        -0.99,
    ),
    "em340": Vector(
        GAVAZZI_THREE | {0x31: "03DE", 0x33: "01F3", 0x34: "30390000", 0x4E: "00010000"},
        1_234_500.0,
        100.0,
        10_620.0,
        (230.1, 231.1, 232.1),
        (16.0, 15.0, 14.0),
        49.9,
        0.99,
    ),
    "em24": Vector(
        GAVAZZI_THREE | {0x35: "03DE", 0x37: "01F3", 0x3E: "30390000", 0x42: "FFFF0000", 0x5C: "00010000"},
        1_234_500.0,
        100.0,
        10_620.0,
        (230.1, 231.1, 232.1),
        (16.0, 15.0, 14.0),
        49.9,
        0.99,
    ),
    "abb-b21": Vector(
        {
            0x5000: "0000000000012D6A",  # 77 162 hundredths of a kWh
            0x5004: "FFFFFFFFFFFFFFFF",  # an import-only meter
            0x5B00: "000008FD",
            0x5B0C: "00000640",
            0x5B14: "00059D80",  # 368 000 hundredths of a watt
            0x5B2C: "1388",
            0x5B3A: "7FFF",
        },
        771_620.0,
        None,
        3680.0,
        (230.1,),
        (16.0,),
    ),
    "abb-b23": Vector(
        {
            0x5000: "0000000000012D6A",
            0x5004: "0000000000000005",
            0x5B00: "000008FD 00000907 00000911",
            0x5B0C: "00000640 000005DC 00000578",
            0x5B14: "FFFA6280",  # −368 000: energy flows back
            0x5B2C: "1387",
            0x5B3A: "FC22",
        },
        771_620.0,
        50.0,
        -3680.0,
        (230.1, 231.1, 232.1),
        (16.0, 15.0, 14.0),
        49.99,
        -0.99,
    ),
    "abb-b24": Vector(
        {
            0x5000: "0000000000000001",
            0x5004: "0000000000000000",
            0x5B00: "000008FD FFFFFFFF FFFFFFFF",  # wired for one phase
            0x5B0C: "00000000 FFFFFFFF FFFFFFFF",
            0x5B14: "00000000",
            0x5B2C: "1388",
            0x5B3A: "7FFF",
        },
        10.0,
        0.0,
        0.0,
        (230.1,),
        (0.0,),
    ),
    "iem3155": Vector(
        {
            0x0BB7: "41800000 41700000 41600000",
            0x0BD3: "43660000 43670000 43680000",
            0x0BF3: "4129EB85",  # 10.62 kW
            0x0C25: "42480000",
            0x0C83: "000000000012D687",  # 1 234 567 Wh
            0x0C87: "8000000000000000",
        },
        1_234_567.0,
        None,
        10_620.0,
        (230.0, 231.0, 232.0),
        (16.0, 15.0, 14.0),
    ),
    "finder-7m24": Vector(
        {2500: "43660000", 2516: "41800000", 2536: "45660000", 2584: "42480000", 2752: "4996B438", 2756: "00000000"},
        1_234_567.0,
        0.0,
        3680.0,
        (230.0,),
        (16.0,),
    ),
    "finder-7m38": Vector(
        {
            2500: "43660000 43670000 43680000",
            2516: "41800000 41700000 41600000",
            2536: "4625F000",
            2584: "42480000",
            2752: "4996B438",  # 1 234 567 Wh
            2756: "7FC00000",
        },
        1_234_567.0,
        None,
        10_620.0,
        (230.0, 231.0, 232.0),
        (16.0, 15.0, 14.0),
    ),
    "orno-we516": Vector(
        {
            0x0E: "43660000 43670000 43680000",
            0x14: "42480000",
            0x16: "41800000 41700000 41600000",
            0x1C: "4129EB85",
            0x108: "449A5000",
            0x110: "3F000000",
        },
        1_234_500.0,
        500.0,
        10_620.0,
        (230.0, 231.0, 232.0),
        (16.0, 15.0, 14.0),
    ),
    "orno-we514": Vector(
        {0x130: "1388", 0x131: "59E2", 0x139: "00003E80", 0x140: "00000E60", 0xA000: "00012D6A"},
        771_620.0,
        None,
        3680.0,
        (230.1,),
        (16.0,),
    ),
}
for _name, _same in (
    ("em110", "em112"),
    ("em111", "em112"),
    ("et112", "em112"),
    ("em330", "em340"),
    ("et330", "em340"),
    ("et340", "em340"),
    ("iem3000", "iem3155"),
    ("orno-we517", "orno-we516"),
    ("orno-we515", "orno-we514"),
    (str(EXAMPLE), "finder-7m38"),
):
    VECTORS[_name] = VECTORS[_same]
VECTORS["em580"] = replace(VECTORS["em340"], power_factor=None)


def unit_of(name: str, **options: object) -> MeterUnit:
    return MeterUnit(MeterOptions(1, name, **options), register_map.load(name))  # type: ignore[arg-type]


def memory_of(words: dict[int, str]) -> dict[int, bytes]:
    memory: dict[int, bytes] = {}
    for address, text in words.items():
        raw = bytes.fromhex(text)
        memory.update({address + n // 2: raw[n : n + 2] for n in range(0, len(raw), 2)})
    return memory


def feed(unit: MeterUnit, memory: dict[int, bytes], now: float = 1.0) -> MeterReading | None:
    unit.begin()
    for block in unit.blocks:
        registers = (memory.get(address, b"\0\0") for address in range(block.address, block.address + block.count))
        unit.take(block, b"".join(registers), now)
    unit.finish()
    return unit.meter()


def test_every_name_of_a_shipped_map_has_its_vector() -> None:
    assert set(register_map.names()) | {str(EXAMPLE)} == set(VECTORS)


@pytest.mark.parametrize("name", VECTORS)
def test_words_by_hand_become_the_reading(name: str) -> None:
    vector = VECTORS[name]
    unit = unit_of(name)
    reading = feed(unit, memory_of(vector.words))
    assert unit.trouble == ""
    assert reading == MeterReading(
        at=1.0,
        energy_import_wh=vector.energy_wh,
        energy_export_wh=vector.export_wh,
        power_w=pytest.approx(vector.power_w, abs=0.001),
        voltage_v=vector.voltage_v,
        current_a=vector.current_a,
        frequency_hz=vector.frequency_hz,
        power_factor=vector.power_factor,
        quality=Quality.GOOD,
    )


def test_em24_is_never_asked_for_more_than_eleven_registers() -> None:
    blocks = register_map.load("em24").blocks()
    assert max(block.count for block in blocks) <= 11
    assert [block.address for block in blocks] == [0x00, 0x0C, 0x28, 0x35, 0x3E, 0x5C]


@dataclass
class Wire:
    """A simulated meter, asked frame by frame."""

    name: str
    core: MeterCore = field(default_factory=lambda: MeterCore(1_234_500))
    now: float = 0.0

    def __post_init__(self) -> None:
        self.answers: list[bytes] = []
        self.slave = Slave(1, self.name, self.core, EventLog())
        self.line = ModbusLine({1: self.slave}, lambda data, _: self.answers.append(data))
        self.unit = unit_of(self.name)

    def cycle(self) -> MeterReading | None:
        self.now += 1.0
        self.unit.begin()
        for block in self.unit.blocks:
            request = rtu.ReadRequest(1, self.unit.map.function, block.address, block.count)
            self.line.receive(request.encode(), self.now)
            answer = rtu.find_answer(request, self.answers.pop())
            assert isinstance(answer, rtu.ReadAnswer), (block, answer)
            self.unit.take(block, answer.registers, self.now)
        self.unit.finish()
        return self.unit.meter()


def test_every_shipped_map_has_its_simulated_meter() -> None:
    assert {path.stem for path in register_map.FOLDER.glob("*.yaml")} == set(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_simulated_meter_is_read_by_its_map(name: str) -> None:
    wire = Wire(name)
    sample = Sample((230.1, 231.2, 232.3), (16.0, 15.0, 14.0), 49.9)
    wire.core.integrate(600.0, sample)
    reading = wire.cycle()
    assert reading is not None, wire.unit.trouble
    phases = len(reading.voltage_v)
    assert reading.energy_import_wh == 1_235_100.0
    assert reading.power_w == pytest.approx(sum(sample.power_w[: phases or 3]), abs=0.6)
    assert reading.voltage_v == pytest.approx(sample.voltage_v[:phases], abs=0.01)
    assert reading.current_a == pytest.approx(sample.current_a[:phases], abs=0.001)
    assert reading.quality is Quality.GOOD


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("fault", ["nan", "energy_nan"])
def test_a_meter_without_a_number_makes_no_reading(name: str, fault: str) -> None:
    wire = Wire(name)
    first = wire.cycle()
    setattr(wire.core, fault, True)
    assert wire.cycle() is first
    assert "holds no number" in wire.unit.trouble
    setattr(wire.core, fault, False)
    again = wire.cycle()
    assert again is not None
    assert again.at == 3.0
    assert wire.unit.trouble == ""


# sdm72d-m-v1 shows no volts; those of orno-we514 fill one register each
@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"sdm72d-m-v1", "orno-we514"}))
def test_swapped_words_never_look_like_another_reading(name: str) -> None:
    """Where the first values of a meter with its words swapped are not refused, they cannot be taken for volts."""
    wire = Wire(name)
    wire.slave.swapped_words = True
    wire.core.integrate(0.0, Sample((230.1, 231.2, 232.3), (16.0, 15.0, 14.0)))
    reading = wire.cycle()
    assert reading is None or not any(85 < volts < 300 for volts in reading.voltage_v)


@pytest.mark.parametrize("name", sorted(register_map.names()))
@given(noise=st.binary(min_size=64, max_size=64))
def test_arbitrary_registers_neither_raise_nor_mislead(name: str, noise: bytes) -> None:
    unit = unit_of(name)
    memory = {
        address: noise[2 * (address % 32) : 2 * (address % 32) + 2]
        for block in unit.blocks
        for address in range(block.address, block.address + block.count)
    }
    reading = feed(unit, memory)
    assert (reading is None) == bool(unit.trouble)
    if reading is not None:
        numbers = (reading.energy_import_wh, reading.power_w or 0.0, *reading.voltage_v, *reading.current_a)
        assert all(math.isfinite(number) for number in numbers)
        assert all(abs(volts) <= 1000 for volts in reading.voltage_v)


def test_an_impossible_value_is_refused_with_the_remedy() -> None:
    memory = memory_of(EASTRON_THREE.words)
    memory |= memory_of({0x00: struct.pack(">f", 5000.0).hex()})
    unit = unit_of("sdm630")
    assert feed(unit, memory) is None
    assert "register 0x0000 (voltage_v) shows 5000, which cannot be; check 'map'" in unit.trouble


def test_current_beyond_ten_times_the_rating_is_refused() -> None:
    words = EASTRON_ONE.words | {0x06: struct.pack(">f", 400.0).hex()}
    assert feed(unit_of("sdm230"), memory_of(words)) is not None
    rated = unit_of("sdm230", max_current_a=32.0)
    assert feed(rated, memory_of(words)) is None
    assert "(current_a) shows 400" in rated.trouble


def test_a_missing_middle_phase_is_not_closed_up() -> None:
    words = VECTORS["abb-b23"].words | {0x5B00: "000008FD FFFFFFFF 00000911"}
    unit = unit_of("abb-b23")
    assert feed(unit, memory_of(words)) is None
    assert "register 0x5b02 (voltage_v) holds no number, but a later phase does" in unit.trouble


def test_a_counter_that_passes_its_own_width_is_continued() -> None:
    end_wh = 10 * 2**32  # 32 bits of 10 Wh
    wire = Wire("orno-we514", MeterCore(end_wh - 50))
    good = []
    for _ in range(12):
        wire.core.integrate(10.0, Sample(current_a=(16.0, 0.0, 0.0)))
        reading = wire.cycle()
        assert reading is not None
        if reading.quality is Quality.GOOD and reading.at == wire.now:
            good.append(reading.energy_import_wh - end_wh)
    # All ones means "no value" to this map, so the last count before the end makes no reading.
    assert good == [-40, -30, -20, 20, 30, 40, 50, 60, 70]
    assert "rolled over (1 ×) and is continued" in wire.unit.event


def test_a_meter_whose_values_stand_still_under_load_is_doubted() -> None:
    wire = Wire("sdm630")
    sample = Sample(current_a=(16.0, 16.0, 16.0))
    wire.core.integrate(0.0, sample)
    wire.core.freeze(True)
    qualities = []
    for _ in range(60):
        wire.core.integrate(3.0, sample)
        reading = wire.cycle()
        assert reading is not None
        qualities.append(reading.quality)
    assert qualities[:30] == [Quality.GOOD] * 30
    assert qualities[-1] is Quality.SUSPECT
    assert "stands still though the meter shows power" in wire.unit.doubt
    wire.core.freeze(False)
    reading = wire.cycle()
    assert reading is not None
    assert (reading.quality, wire.unit.doubt) == (Quality.GOOD, "")
