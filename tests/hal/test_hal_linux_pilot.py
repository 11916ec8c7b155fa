"""The pilot from Linux: sysfs order and refusals, peaks out of samples, and the device against the front end."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import ports, registry
from hal.drivers.linux_pilot import driver as driver_module
from hal.drivers.linux_pilot.adc import Converter, PeakFilter, Peaks, peaks_of, sample_us, samples_in
from hal.drivers.linux_pilot.driver import LinuxPilot
from hal.drivers.linux_pilot.options import LinuxPilotOptions
from hal.drivers.linux_pilot.pwm import PwmAbsentError, SysfsPwm
from hal.drivers.linux_pilot.sensors import Sensor, cable_of, resistance_ohm, temperature_c
from hal.ports import DeviceError
from hal.values import Cable
from simulators.gpio.front_end import FakePwm, PilotFrontEnd
from simulators.vehicle.circuit import Load, peaks_v

PATIENCE_S = 5.0
B, C, D = Load(2740.0), Load(882.0), Load(246.0)


# Converters: bytes of Microchip's data sheets


def test_questions_and_answers_of_the_converters() -> None:
    mcp3208, mcp3008 = Converter.MCP3208, Converter.MCP3008
    assert [mcp3208.question(channel).hex() for channel in (0, 3, 4, 7)] == ["060000", "06c000", "070000", "07c000"]
    assert [mcp3008.question(channel).hex() for channel in (0, 7)] == ["018000", "01f000"]
    assert mcp3208.answer(bytes.fromhex("ef0fff")) == 4095
    assert mcp3208.answer(bytes.fromhex("00e801")) == 0x801
    assert mcp3008.answer(bytes.fromhex("ffab01")) == 0x301
    assert mcp3208.answer(b"\xff\xff\xff") is None
    assert mcp3008.answer(b"\xff\xff\xff") is None


@given(st.binary(max_size=5), st.sampled_from(Converter))
def test_any_answer_is_a_conversion_or_none(data: bytes, converter: Converter) -> None:
    code = converter.answer(data)
    assert code is None or 0 <= code < converter.full_scale


@given(st.binary(max_size=60), st.sampled_from(Converter))
def test_a_burst_is_its_conversions_or_none(data: bytes, converter: Converter) -> None:
    pieces = [converter.answer(data[at : at + 3]) for at in range(0, len(data), 3)]
    assert converter.answers(data) == (None if None in pieces else pieces)


# Peaks


def _wave(duty_pct: float, high_v: float, low_v: float, phase_us: float, interval_us: float, count: int) -> list[float]:
    return [high_v if (phase_us + n * interval_us) % 1000.0 < duty_pct * 10.0 else low_v for n in range(count)]


@given(
    st.floats(10.0, 96.0),
    st.floats(0.0, 1000.0),
    st.sampled_from([600_000, 800_000, 1_000_000, 2_000_000]),
    st.sampled_from([9.0, 6.0, 3.0]),
)
def test_both_peaks_are_found_wherever_the_burst_begins(
    duty_pct: float, phase_us: float, speed_hz: int, high_v: float
) -> None:
    interval_us = sample_us(speed_hz)
    wave = _wave(duty_pct, high_v, -12.0, phase_us, interval_us, samples_in(1.6, speed_hz))
    assert peaks_of(wave, duty_pct, interval_us) == Peaks(high_v, -12.0)


@given(st.floats(15.0, 85.0), st.floats(0.0, 1000.0), st.integers(0, 60), st.floats(-14.0, 13.0))
def test_one_wild_sample_does_not_move_a_peak_far(duty_pct: float, phase_us: float, where: int, wild_v: float) -> None:
    wave = _wave(duty_pct, 6.0, -12.0, phase_us, 24.0, 66)
    wave[where] = wild_v
    found = peaks_of(wave, duty_pct, 24.0)
    assert found is not None
    assert found.high_v == pytest.approx(6.0, abs=0.01) or duty_pct < 20.0
    assert found.low_v == pytest.approx(-12.0, abs=0.01) or duty_pct > 80.0


@given(st.lists(st.floats(), max_size=80), st.floats(0.0, 100.0))
def test_any_samples_give_peaks_in_order_or_none(samples: list[float], duty_pct: float) -> None:
    found = peaks_of(samples, duty_pct, 24.0)
    assert found is None or found.low_v <= found.high_v


def test_steady_pilots_have_one_level_and_readings_several_pairs() -> None:
    assert peaks_of([12.0, 12.1, 11.9], 100.0, 24.0) == Peaks(12.0, 12.0)
    assert peaks_of([-12.0] * 3, 0.0, 24.0) == Peaks(-12.0, -12.0)
    pairs = PeakFilter(3)
    assert pairs.add(Peaks(6.0, -12.0)) is None
    assert pairs.add(Peaks(9.0, -12.0)) is None
    assert pairs.add(Peaks(6.0, -3.0)) == Peaks(6.0, -12.0)


# Resistors


@pytest.mark.parametrize(
    ("ohm", "cable"),
    [
        (0.0, Cable.FAULT),
        (74.0, Cable.FAULT),
        (100.0, Cable.A63),
        (220.0, Cable.A32),
        (680.0, Cable.A20),
        (1500.0, Cable.A13),
        (2201.0, Cable.NONE),
        (float("inf"), Cable.NONE),
    ],
)
def test_coding_resistors(ohm: float, cable: Cable) -> None:
    assert cable_of(ohm) is cable


def test_temperature_sensors() -> None:
    assert temperature_c(10_000.0, Sensor.NTC, 10_000.0, 3950.0) == 25.0
    assert temperature_c(1000.0, Sensor.PT1000, 0, 0) == 0.0
    assert temperature_c(1385.1, Sensor.PT1000, 0, 0) == 100.0
    for ohm in (0.0, 10.0, 1e9, float("inf")):
        assert temperature_c(ohm, Sensor.PT1000, 0, 0) is None
    assert temperature_c(1e9, Sensor.NTC, 10_000.0, 3950.0) is None
    assert resistance_ohm(0.5, 1000.0) == 1000.0
    assert resistance_ohm(1.0, 1000.0) == float("inf")


@given(st.floats(0.0, 1.0), st.sampled_from(Sensor))
def test_any_share_is_a_temperature_or_a_broken_sensor(share: float, sensor: Sensor) -> None:
    value = temperature_c(resistance_ohm(share, 10_000.0), sensor, 10_000.0, 3950.0)
    assert value is None or -50.0 <= value <= 200.0


# PWM in sysfs


def _chip(folder: Path) -> Path:
    pwm = FakePwm(folder)
    pwm.make()
    return pwm.chip


def _file(chip: Path, name: str) -> str:
    return (chip / "pwm0" / name).read_text().strip()


def test_the_output_is_begun_in_the_kernels_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = _chip(tmp_path)
    (chip / "pwm0" / "duty_cycle").write_text("700000\n")
    writes: list[tuple[str, str]] = []
    from hal.drivers.linux_pilot import pwm as module

    real = module._write
    monkeypatch.setattr(module, "_write", lambda path, text: (writes.append((path.name, text)), real(path, text)))
    pwm = SysfsPwm(f"{chip}:0", inverted=True)
    pwm.open()
    assert writes == [
        ("duty_cycle", "0"),
        ("period", "1000000"),
        ("enable", "0"),
        ("polarity", "inversed"),
        ("duty_cycle", "0"),
        ("enable", "1"),
    ]
    pwm.set_duty(28.31)
    pwm.set_duty(28.31)
    assert writes[6:] == [("duty_cycle", "283100")]
    pwm.set_duty(100.0)
    assert _file(chip, "duty_cycle") == "1000000"
    pwm.close()
    assert (_file(chip, "duty_cycle"), _file(chip, "enable")) == ("0", "1")


def test_an_output_is_exported_first(tmp_path: Path) -> None:
    front = FakePwm(tmp_path, exported=False)
    front.make()
    pwm = SysfsPwm(f"{front.chip.parent}/pwmchip*:0", inverted=False)
    with pytest.raises(PwmAbsentError, match="udev rule"):
        pwm.open()
    front.look()
    pwm.open()
    pwm.set_duty(50.0)
    assert front.look() == 50.0


def _driven_by(chip: Path, name: str) -> None:
    target = chip.parent / "drivers" / name
    target.mkdir(parents=True)
    (chip / "device").mkdir()
    (chip / "device" / "driver").symlink_to(target)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda chip: _driven_by(chip, "pwm-gpio"), "which is software"),
        (
            lambda chip: ((chip / "device").mkdir(), (chip / "device" / "uevent").write_text("DRIVER=pwm-gpio\n")),
            "soft",
        ),
        (lambda chip: (chip / "npwm").write_text("0\n"), "outputs 0 to -1"),
        (lambda chip: ((chip / "pwm0" / "period").unlink(), (chip / "pwm0" / "period").mkdir()), "no period of 1 ms"),
        (lambda chip: (chip.parent / "pwmchip1").mkdir(), "2 PWM chips match"),
    ],
)
def test_what_can_never_be_a_pilot_is_refused(tmp_path: Path, spoil: Callable[[Path], Any], reason: str) -> None:
    chip = _chip(tmp_path)
    spoil(chip)
    with pytest.raises(DeviceError, match=reason):
        LinuxPilot("cp", LinuxPilotOptions(f"{chip.parent}/pwmchip*:0", "sim:/nowhere")).start(0.0)


def test_a_period_that_the_hardware_rounds_away_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hal.drivers.linux_pilot import pwm as module

    chip = _chip(tmp_path)
    real = module._read
    monkeypatch.setattr(module, "_read", lambda path: "1024000" if path.name == "period" else real(path))
    with pytest.raises(DeviceError, match="makes a period of 1024000 ns"):
        SysfsPwm(f"{chip}:0", inverted=False).open()


def test_a_kernel_without_pwm_and_a_chip_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no hardware PWM"):
        SysfsPwm(f"{tmp_path}/class/pwmchip0:0", inverted=False).open()
    with pytest.raises(PwmAbsentError, match="no such PWM chip"):
        SysfsPwm(f"{tmp_path}/pwmchip0:0", inverted=False).open()


# The device


class Rig:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.front = PilotFrontEnd(folder)
        self.front.open()
        self.front.sense(12.0, 12.0)
        options = {"proximity_channel": 1, "temperature_channel": 2, **options}
        self.options = LinuxPilotOptions(f"{self.front.pwm.chip}:0", f"sim:{self.front.path}", **options)
        self.device = LinuxPilot("cp", self.options)
        self.unit = self.device.unit("")
        self.now = 100.0

    def turn(self, bursts: int = 6) -> None:
        """Let so many bursts be asked for and answered."""
        for _ in range(bursts):
            self.now = max(self.now + 0.01, self.device.on_timer(self.now))
            self.device.on_timer(self.now)
            fd = self.device.fileno()
            if fd is not None and select.select([fd], [], [], PATIENCE_S)[0]:
                self.device.on_readable(self.now)

    def offer(self, duty_pct: float, load: Load) -> None:
        self.unit.set_pilot(duty_pct, self.now)
        self.front.sense(*peaks_v(self.front.look(), load))
        self.turn()

    def volts(self) -> tuple[float, float]:
        reading = self.unit.pilot()
        assert reading is not None
        assert reading.state is None
        return reading.high_v, reading.low_v


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.device.close()
    rig.front.close()


def test_it_begins_at_minus_12_volts_and_offers_nothing_unseen(rig: Rig) -> None:
    rig.unit.set_pilot(50.0, rig.now)
    assert rig.unit.pilot() is None
    rig.device.start(rig.now)
    assert rig.front.look() == 0.0
    rig.unit.set_pilot(50.0, rig.now)
    assert rig.front.look() == 0.0, "no PWM before the first conversions"
    rig.unit.set_pilot(100.0, rig.now)
    assert rig.front.look() == 100.0
    assert not rig.device.health(rig.now).ok
    rig.turn()
    assert rig.device.health(rig.now).ok, rig.device.health(rig.now)
    rig.unit.set_pilot(50.0, rig.now)
    assert rig.front.look() == 50.0
    rig.unit.set_pilot(float("nan"), rig.now)
    assert rig.front.look() == 0.0


@pytest.mark.parametrize("duty_pct", [10.0, 26.667, 53.3, 85.0, 96.0])
@pytest.mark.parametrize(("load", "high_v"), [(B, 9.0), (C, 6.0), (D, 3.0)])
def test_the_vehicles_level_is_seen_at_every_duty(rig: Rig, duty_pct: float, load: Load, high_v: float) -> None:
    rig.device.start(rig.now)
    rig.turn()
    rig.offer(100.0, load)
    assert rig.volts() == (pytest.approx(high_v, abs=0.4), pytest.approx(high_v, abs=0.4))
    rig.offer(duty_pct, load)
    high, low = rig.volts()
    assert high == pytest.approx(high_v, abs=0.4)
    assert low == pytest.approx(-12.0, abs=0.1)
    rig.offer(duty_pct, Load(load.resistance_ohm, diode=False))
    assert rig.volts()[1] > -11.0, "no diode: the negative half is loaded too"
    rig.offer(0.0, load)
    assert rig.volts() == (pytest.approx(-12.0, abs=0.1), pytest.approx(-12.0, abs=0.1))


def test_a_vehicle_that_leaves_c_is_seen_at_once(rig: Rig) -> None:
    rig.device.start(rig.now)
    rig.turn()
    rig.offer(53.3, C)
    began = rig.now
    rig.front.sense(*peaks_v(53.3, B))
    while rig.volts()[0] < 8.0:
        rig.now = rig.device.on_timer(rig.now)
        rig.device.on_timer(rig.now)
        if select.select([rig.device.fileno()], [], [], 0.05)[0]:
            rig.device.on_readable(rig.now)
    assert rig.now - began <= 0.025
    before, end = rig.front.bursts, rig.now + 0.5
    while rig.now < end:
        rig.turn(1)
    assert rig.front.bursts - before <= 52, "then it looks as often as before"


def test_it_looks_seldom_only_while_nobody_is_there(rig: Rig) -> None:
    def bursts_per_second() -> int:
        before, end = rig.front.bursts, rig.now + 1.0
        while rig.now < end:
            rig.turn(1)
        return rig.front.bursts - before

    rig.device.start(rig.now)
    rig.turn()
    rig.offer(100.0, Load())
    assert bursts_per_second() <= 26
    rig.front.sense(*peaks_v(100.0, B))
    rig.turn(4)
    assert rig.volts()[0] == pytest.approx(9.0, abs=0.4)
    assert bursts_per_second() >= 45


def test_plug_and_temperature_come_along(rig: Rig) -> None:
    rig.device.start(rig.now)
    for cable_a, cable in ((0, Cable.NONE), (20, Cable.A20), (63, Cable.A63), (-1, Cable.FAULT)):
        rig.front.sense(9.0, -12.0, cable_a, temperature_ohm=3602.0)
        rig.turn(2)
        assert rig.unit.proximity().cable is cable
        assert rig.unit.proximity().at == rig.unit.temperatures()[0].at <= rig.now
    assert rig.unit.temperatures()[0].value_c == pytest.approx(50.0, abs=0.5)
    rig.front.sense(9.0, -12.0, temperature_ohm=1e9)
    rig.turn(2)
    assert rig.unit.temperatures()[0].value_c is None


@pytest.mark.parametrize("fault", ["cut", "stuck"])
def test_a_dead_or_silly_converter_takes_the_offer_away(rig: Rig, fault: str) -> None:
    rig.device.start(rig.now)
    rig.turn()
    rig.offer(53.3, C)
    last = rig.unit.pilot()
    setattr(rig.front, fault, True)
    end = rig.now + 1.0
    while rig.now < end:
        rig.now = max(rig.device.on_timer(rig.now), rig.now + 0.01)
        fd = rig.device.fileno()
        if fault == "stuck" and fd is not None and select.select([fd], [], [], PATIENCE_S)[0]:
            rig.device.on_readable(rig.now)
    assert rig.unit.pilot() == last, "an old reading keeps its old time"
    assert not rig.device.health(rig.now).ok
    assert rig.front.look() == 0.0
    rig.unit.set_pilot(53.3, rig.now)
    assert rig.front.look() == 0.0
    setattr(rig.front, fault, False)
    rig.now += 0.5
    rig.turn()
    assert rig.device.health(rig.now).ok
    assert rig.unit.pilot().at > last.at


def test_an_unplugged_bus_and_a_vanished_pwm_are_got_over(rig: Rig) -> None:
    rig.device.start(rig.now)
    rig.turn()
    rig.offer(53.3, C)
    rig.front.close()
    assert select.select([rig.device.fileno()], [], [], PATIENCE_S)[0]
    rig.device.on_readable(rig.now)
    assert rig.front.look() == 0.0
    assert "plug it in again" in rig.device.health(rig.now).detail
    assert rig.device.fileno() is None
    rig.front.open()
    rig.now += 1.1
    rig.turn()
    assert rig.device.health(rig.now).ok
    rig.offer(53.3, C)
    output = rig.front.pwm.chip / "pwm0"
    output.rename(output.with_name("gone"))
    rig.unit.set_pilot(20.0, rig.now)
    assert "is gone" in rig.device.health(rig.now).detail
    output.with_name("gone").rename(output)
    rig.now += 1.1
    rig.turn()
    assert rig.device.health(rig.now).ok
    assert rig.front.look() == 0.0
    rig.unit.set_pilot(20.0, rig.now)
    assert rig.front.look() == 20.0


def test_closing_shows_f_and_is_final(rig: Rig) -> None:
    rig.device.start(rig.now)
    rig.turn()
    rig.offer(53.3, C)
    rig.device.close()
    rig.device.close()
    assert rig.front.look() == 0.0
    rig.unit.set_pilot(53.3, rig.now)
    assert rig.front.look() == 0.0
    assert rig.device.on_timer(rig.now) > rig.now
    assert rig.device.fileno() is None
    assert not rig.device.health(rig.now).ok


class SlowSpi:
    """A bus whose calls take long, as one without a fast controller."""

    speed_hz = 1_000_000

    def fileno(self) -> int | None:
        return None

    def exchange(self, transfers: list[bytes]) -> list[bytes]:
        time.sleep(0.01)
        return [bytes(3) for _ in transfers]

    def receive(self) -> list[bytes]:
        return []

    def close(self) -> None:
        """Nothing to close."""


def test_a_bus_that_is_too_slow_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = _chip(tmp_path)
    monkeypatch.setattr(driver_module, "open_spi", lambda path, speed: SlowSpi())
    with pytest.raises(DeviceError, match="too far apart for a pilot"):
        LinuxPilot("cp", LinuxPilotOptions(f"{chip}:0", "/dev/spidev0.0")).start(0.0)
    monkeypatch.setattr(SlowSpi, "speed_hz", 500_000)
    with pytest.raises(DeviceError, match="runs at 500000 Hz, too slow"):
        LinuxPilot("cp", LinuxPilotOptions(f"{chip}:0", "/dev/spidev0.0")).start(0.0)


def test_options_and_ports(tmp_path: Path) -> None:
    driver = registry.load("linux-pilot")
    options = LinuxPilotOptions("/sys/class/pwm/pwmchip0:1", "/dev/spidev0.0", proximity_channel=1)
    for kind in driver.units(options)[""]:
        assert isinstance(driver.create("cp", options).unit(""), ports.PROTOCOLS[kind])
    with pytest.raises(KeyError, match="attic"):
        driver.create("cp", options).unit("attic")
    with pytest.raises(ValueError, match="too slow"):
        LinuxPilotOptions("/x:0", "/y", spi_speed_hz=500_000)
    with pytest.raises(ValueError, match="must differ"):
        LinuxPilotOptions("/x:0", "/y", proximity_channel=0)
