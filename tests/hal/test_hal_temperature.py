"""Temperature sensors of the kernel: files as the kernel writes them, a thread that reads, a loop that never waits."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import ports, registry
from hal.drivers.linux_temperature import (
    FAILURES,
    FIRST_RESULT_S,
    LinuxTemperature,
    LinuxTemperatureOptions,
    SensorFile,
    SensorOptions,
)
from hal.drivers.sysfs_temperature import NoReadingError, crc8, parse_millidegrees, parse_w1_slave, plausible
from hal.ports import DeviceError, PortKind
from hal.values import TemperatureReading

PATIENCE_S = 10.0
WARM = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"
POWER_ON = "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n"
NO_CRC = "72 01 4b 46 7f ff 0e 10 ff : crc=57 NO\n72 01 4b 46 7f ff 0e 10 ff t=23125\n"
SHORTED = "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n"


class Sysfs:
    """The files of hwmon and 1-wire."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "class/hwmon").mkdir(parents=True)

    def chip(self, number: int, name: str, **files: str) -> Path:
        folder = self.root / f"class/hwmon/hwmon{number}"
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        for file, text in files.items():
            (folder / file).write_text(text)
        return folder

    def w1(self, sensor: str, slave: str | None = None, temperature: str | None = None) -> Path:
        folder = self.root / "bus/w1/devices" / sensor
        folder.mkdir(parents=True)
        for name, text in (("w1_slave", slave), ("temperature", temperature)):
            if text is not None:
                (folder / name).write_text(text)
        return folder


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path / "sys")


@pytest.fixture
def device_of(sysfs: Sysfs) -> Iterator[Callable[..., LinuxTemperature]]:
    made: list[LinuxTemperature] = []

    def make(*sensors: SensorOptions, interval_s: float = 0.5) -> LinuxTemperature:
        made.append(LinuxTemperature("heat", LinuxTemperatureOptions(sensors, interval_s, str(sysfs.root))))
        return made[-1]

    yield make
    for device in made:
        device.close()


def wait_until(device: LinuxTemperature, condition: Callable[[], bool]) -> None:
    """Turn the device's callbacks, woken by its own descriptor."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, device.health(0.0)
        fd = device.fileno()
        assert fd is not None
        if select.select([fd], [], [], 0.1)[0]:
            device.on_readable(time.monotonic())


def test_the_registry_knows_the_driver_and_its_units() -> None:
    driver = registry.load("linux-temperature")
    options = LinuxTemperatureOptions((SensorOptions("socket", w1="28-1"), SensorOptions("box", hwmon="lm75")))
    kinds = frozenset({PortKind.TEMPERATURE_SENSOR})
    assert driver.units(options) == {"socket": kinds, "box": kinds}
    device = driver.create("heat", options)
    assert isinstance(device.unit("box"), ports.TemperatureSensor)
    with pytest.raises(KeyError, match="'socket', 'box'"):
        device.unit("attic")
    assert all(each.metadata["rule"].help for each in fields(driver.options))


def test_sensors_of_both_kinds_are_read_by_name(sysfs: Sysfs, device_of: Callable[..., LinuxTemperature]) -> None:
    sysfs.chip(0, "cpu_thermal", temp1_input="51234\n")
    sysfs.chip(1, "lm75", temp1_input="20000\n", temp2_input="-5500\n", temp2_label="terminal\n")
    sysfs.w1("28-0316a2794bff", slave=WARM, temperature="99999\n")
    sysfs.w1("28-0316a2794c00", temperature="41500\n")
    device = device_of(
        SensorOptions("cpu", hwmon="cpu_thermal"),
        SensorOptions("terminal", hwmon="lm75", input="terminal"),
        SensorOptions("socket", w1="28-0316a2794bff"),
        SensorOptions("cable", w1="28-0316a2794c00"),
        SensorOptions("by-path", path=str(sysfs.root / "class/hwmon/hwmon1/temp1_input")),
    )
    before = time.monotonic()
    device.start(before)
    names = ("cpu", "terminal", "socket", "cable", "by-path")
    wait_until(device, lambda: all(device.unit(name).temperatures() for name in names))
    found = {name: device.unit(name).temperatures()[0] for name in names}
    assert {name: reading.value_c for name, reading in found.items()} == {
        "cpu": 51.234,
        "terminal": -5.5,
        "socket": 23.125,
        "cable": 41.5,
        "by-path": 20.0,
    }
    assert all(before <= reading.at <= time.monotonic() for reading in found.values())
    assert device.health(time.monotonic()).ok


def test_a_reading_is_renewed_and_one_that_fails_grows_old_before_it_is_broken(
    sysfs: Sysfs, device_of: Callable[..., LinuxTemperature]
) -> None:
    folder = sysfs.w1("28-1", slave=WARM)
    device = device_of(SensorOptions(w1="28-1"))
    unit = device.unit("")
    device.start(time.monotonic())
    wait_until(device, lambda: bool(unit.temperatures()))
    first = unit.temperatures()[0]
    wait_until(device, lambda: unit.temperatures()[0].at > first.at)
    (folder / "w1_slave").write_text(NO_CRC)
    wait_until(device, lambda: "wrong checksum" in unit.trouble)
    kept = unit.temperatures()[0]
    assert kept.value_c == 23.125
    assert not device.health(0.0).ok
    wait_until(device, lambda: unit.temperatures()[0].value_c is None)
    assert unit._failures == FAILURES
    assert unit.temperatures()[0].at > kept.at
    (folder / "w1_slave").write_text(WARM)
    wait_until(device, lambda: unit.temperatures()[0].value_c == 23.125)
    assert device.health(0.0).ok


def test_an_absent_sensor_is_no_error_and_is_found_when_it_comes(
    sysfs: Sysfs, device_of: Callable[..., LinuxTemperature]
) -> None:
    device = device_of(SensorOptions("a", w1="28-1"), SensorOptions("b", hwmon="lm75"))
    device.start(time.monotonic())
    wait_until(device, lambda: [each.value_c for each in device.unit("b").temperatures()] == [None])
    detail = device.health(0.0).detail
    assert "28-1/temperature: No such file or directory; check the sensor and its driver" in detail
    assert "no chip is named lm75" in detail
    sysfs.w1("28-1", slave=WARM)
    sysfs.chip(3, "lm75", temp1_input="30000")
    wait_until(device, lambda: [device.unit(n).temperatures()[0].value_c for n in "ab"] == [23.125, 30.0])
    assert device.health(0.0).ok


def test_a_read_that_hangs_in_the_kernel_blocks_nobody_and_is_told(
    sysfs: Sysfs, device_of: Callable[..., LinuxTemperature]
) -> None:
    folder = sysfs.w1("28-1")
    os.mkfifo(folder / "w1_slave")  # opening it waits for a writer
    device = device_of(SensorOptions(w1="28-1"))
    device.start(0.0)
    assert device.on_timer(FIRST_RESULT_S) > FIRST_RESULT_S
    assert device.unit("").temperatures() == ()
    device.on_timer(FIRST_RESULT_S + 1.0)
    assert device.unit("").temperatures() == (TemperatureReading(FIRST_RESULT_S + 1.0, None),)
    device.on_timer(FIRST_RESULT_S + 30.0)
    assert device.unit("").temperatures()[0].at == FIRST_RESULT_S + 1.0
    assert "no answer from the kernel" in device.health(0.0).detail
    device.close()
    assert device.fileno() is None
    (thread,) = [each for each in threading.enumerate() if each.name == "linux-temperature" and each.is_alive()]
    with (folder / "w1_slave").open("w") as late:
        late.write(WARM)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()  # it found the door closed and left
    assert device.unit("").temperatures()[0].value_c is None


def test_closing_is_final_and_may_be_repeated(sysfs: Sysfs, device_of: Callable[..., LinuxTemperature]) -> None:
    sysfs.w1("28-1", slave=WARM)
    device = device_of(SensorOptions(w1="28-1"))
    assert device.fileno() is None
    assert device.unit("").temperatures() == ()
    device.start(time.monotonic())
    device.close()
    device.close()
    device.on_readable(1.0)
    assert device.on_timer(5.0) > 5.0
    assert device.fileno() is None
    assert not device.health(5.0).ok


@pytest.mark.parametrize(
    ("sensors", "message"),
    [
        ((), "at least one"),
        ((SensorOptions("a", w1="1"), SensorOptions(w1="2")), "each needs a 'name'"),
        ((SensorOptions("a", w1="1"), SensorOptions("a", w1="2")), "name a is given twice"),
        ((SensorOptions("a"),), "give one of 'hwmon', 'w1' and 'path'"),
        ((SensorOptions("a", w1="1", hwmon="x"),), "give one of 'hwmon', 'w1' and 'path'"),
        ((SensorOptions("a", path="/proc"),), "is a folder"),
    ],
)
def test_what_can_never_work_is_refused(sensors: tuple[SensorOptions, ...], message: str) -> None:
    device = LinuxTemperature("heat", LinuxTemperatureOptions(sensors))
    with pytest.raises(DeviceError, match=message):
        device.start(0.0)
    assert device.fileno() is None


@pytest.mark.parametrize(
    ("files", "message", "broken"),
    [
        ({"temp1_input": "45000", "temp1_fault": "1\n"}, "reports its sensor open or short", True),
        ({"temp1_input": "nan"}, "temp1_input: holds no number", False),
        ({"temp1_input": ""}, "holds no number", False),
        ({"temp1_input": "-128000"}, "-128 °C is outside -55 … 150", True),
        ({"temp2_input": "45000"}, "lm75 has no input temp1", False),
    ],
)
def test_what_hwmon_says_when_it_has_nothing(sysfs: Sysfs, files: dict[str, str], message: str, broken: bool) -> None:
    sysfs.chip(0, "lm75", **files)
    with pytest.raises(NoReadingError, match=message) as caught:
        SensorFile(SensorOptions(hwmon="lm75"), sysfs.root).read()
    assert caught.value.broken is broken


def test_two_chips_of_one_name_are_not_guessed_between(sysfs: Sysfs) -> None:
    for number in (0, 1):
        sysfs.chip(number, "lm75", temp1_input="20000")
    with pytest.raises(NoReadingError, match="several chips are named lm75; name the file with 'path'"):
        SensorFile(SensorOptions(hwmon="lm75"), sysfs.root).read()


def test_85_degrees_is_a_reading_of_a_chip_but_not_of_a_1_wire_sensor(sysfs: Sysfs) -> None:
    sysfs.chip(0, "lm75", temp1_input="85000", temp1_fault="0")
    sysfs.chip(1, "w1_slave_temp", temp1_input="85000")
    sysfs.w1("28-1", slave=POWER_ON)
    (sysfs.root / "temp").write_text("85000")  # a thermal zone
    for options in (SensorOptions(hwmon="lm75"), SensorOptions(path=str(sysfs.root / "temp"))):
        assert SensorFile(options, sysfs.root).read() == 85.0
    for options in (SensorOptions(w1="28-1"), SensorOptions(hwmon="w1_slave_temp")):
        with pytest.raises(NoReadingError, match="before it has measured"):
            SensorFile(options, sysfs.root).read()


def test_the_scratchpads_of_the_documentation() -> None:
    assert crc8(bytes.fromhex("72014b467fff0e10")) == 0x57
    assert crc8(bytes.fromhex("50054b467fff0c10")) == 0x1C
    assert parse_w1_slave(WARM) == 23.125
    assert parse_w1_slave(POWER_ON) == 85.0
    wrong = {NO_CRC: "wrong checksum", SHORTED: "shorted", "": "no 1-wire", WARM[:40]: "no 1-wire"}
    for text, message in wrong.items():
        with pytest.raises(NoReadingError, match=message):
            parse_w1_slave(text)
    damaged = WARM.replace("72 01", "73 01")  # the kernel says YES, the bytes do not
    with pytest.raises(NoReadingError, match="wrong checksum"):
        parse_w1_slave(damaged)


@given(st.text(max_size=120))
def test_any_text_gives_a_number_or_no_reading(text: str) -> None:
    for parse in (parse_millidegrees, parse_w1_slave):
        try:
            value_c = plausible(parse(text), one_wire=True)
        except NoReadingError:
            continue
        assert -55 <= value_c <= 150


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_impossible_temperature_passes(value_c: float) -> None:
    try:
        assert -55 <= plausible(value_c, one_wire=False) <= 150
    except NoReadingError:
        assert not -55 <= value_c <= 150
