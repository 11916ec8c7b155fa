"""What every driver on a serial line owes to ``hal.ports``: the kit's questions, and some of our own."""

from __future__ import annotations

import dataclasses
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hal_rig import PATIENCE_S, Plug, drain, turn_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal import ports, registry
from hal.conformance.findings import Verdict
from hal.conformance.kit import ALONE, examine_alone
from hal.conformance.subject import Subject
from hal.conformance.wires import claimed
from hal.drivers.mcu_board import messages as m
from hal.drivers.mcu_board import wire
from hal.drivers.mcu_board.driver import McuBoardOptions
from hal.drivers.modbus_meter import MeterOptions, ModbusMeterOptions
from hal.drivers.openevse.options import OpenEvseOptions
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.drivers.serial_reader.driver import Protocol, SerialReaderOptions
from hal.ports import Device, DeviceError
from hal.values import Indication

READINGS = ("pilot", "contactor", "proximity", "lock", "residual_current", "meter", "emergency_stop")
COMMANDS: dict[str, tuple[Any, ...]] = {
    "set_pilot": (50.0, 0.0),
    "set_contactor": (True, 0.0),
    "set_phases": (3, 0.0),
    "set_lock": (True, 0.0),
    "start_self_test": (0.0,),
    "reset_residual_current": (0.0,),
    "set_indication": (Indication.CHARGING, 0.0),
    "reset_board": (0.0,),
}

METERS = (MeterOptions(1, "sdm630", "grid"), MeterOptions(2, "sdm120", "ev"))
SAMPLES: dict[str, Any] = {
    "mcu-board yeti": lambda port: McuBoardOptions(port, m.Variant.YETI),
    "mcu-board tida": lambda port: McuBoardOptions(port, m.Variant.TIDA),
    "modbus-meter": lambda port: ModbusMeterOptions(port, METERS),
    "serial-reader pn532": lambda port: SerialReaderOptions(port, Protocol.PN532),
    "openevse": lambda port: OpenEvseOptions(port),
    "serial-reader rdm6300": lambda port: SerialReaderOptions(port, Protocol.RDM6300),
    "serial-reader ascii": lambda port: SerialReaderOptions(port, Protocol.ASCII),
}
every_driver = pytest.mark.parametrize("sample", SAMPLES)


def _driver(sample: str) -> registry.Driver:
    return registry.load(sample.split()[0])


def _create(sample: str, port: str) -> Device:
    return _driver(sample).create("device", SAMPLES[sample](port))


def _units(sample: str, device: Device) -> list[Any]:
    return [device.unit(name) for name in _driver(sample).units(SAMPLES[sample]("/nowhere"))]


def _command_everything(sample: str, device: Device) -> None:
    for unit in _units(sample, device):
        for name, arguments in COMMANDS.items():
            if hasattr(unit, name):
                getattr(unit, name)(*arguments)


def _read_everything(sample: str, device: Device) -> list[object]:
    found = []
    for unit in _units(sample, device):
        found += [getattr(unit, name)() for name in READINGS if hasattr(unit, name)]
        found += [*unit.take_tokens()] if hasattr(unit, "take_tokens") else []
        found += [*unit.temperatures()] if hasattr(unit, "temperatures") else []
    return [reading for reading in found if reading is not None]


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    plug = Plug(tmp_path)
    yield plug
    plug.close()


def test_every_serial_driver_is_asked() -> None:
    assert {sample.split()[0] for sample in SAMPLES} >= {"mcu-board", "modbus-meter", "serial-reader"}
    assert {sample.split()[0] for sample in SAMPLES} <= set(registry.BUILT_IN)


@every_driver
def test_the_kit_finds_nothing_wrong_with_it_alone(sample: str, plug: Plug) -> None:
    """What the conformance kit asks without a counterpart; tests/conformance asks the rest."""
    findings = examine_alone(Subject("device", _driver(sample), SAMPLES[sample](str(plug.path))))
    assert {finding.check for finding in findings} == {*ALONE, "blocking", "exceptions"}
    assert [finding for finding in findings if finding.verdict is Verdict.FAIL] == []


@every_driver
def test_options_cannot_be_changed_and_claim_the_port(sample: str) -> None:
    driver = _driver(sample)
    assert driver.name == sample.split()[0]
    options = SAMPLES[sample]("/dev/x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.port = "/dev/y"
    assert claimed(options) == [("/dev/x", "serial port")]


@every_driver
def test_units_implement_the_ports_they_are_said_to(sample: str) -> None:
    device = _create(sample, "/nowhere")
    units = _driver(sample).units(SAMPLES[sample]("/nowhere"))
    assert units
    for name, kinds in units.items():
        assert kinds
        for kind in kinds:
            assert isinstance(device.unit(name), ports.PROTOCOLS[kind]), (name, kind)
    with pytest.raises(KeyError, match="attic"):
        device.unit("attic")


@every_driver
def test_a_file_that_is_no_serial_port_can_never_work(sample: str, tmp_path: Path) -> None:
    file = tmp_path / "tty"
    file.write_text("")
    with pytest.raises(DeviceError, match="is not a serial port"):
        _create(sample, str(file)).start(0.0)


@every_driver
def test_a_port_that_another_has_is_named_so(sample: str, plug: Plug) -> None:
    first = SerialLine(SerialSettings(str(plug.path), 9600))
    assert first.open(0.0)
    device = _create(sample, str(plug.path))
    device.start(0.0)
    assert "in use by another program" in device.health(0.0).detail
    first.close()
    device.on_timer(1.0)
    assert device.fileno() is not None
    device.close()


@every_driver
def test_close_is_final_and_may_be_repeated(sample: str, plug: Plug) -> None:
    device = _create(sample, str(plug.path))
    device.start(0.0)
    device.close()
    device.close()
    assert device.fileno() is None
    _command_everything(sample, device)
    device.on_readable(1.0)
    assert device.on_timer(10.0) > 10.0
    assert device.fileno() is None
    assert not device.health(10.0).ok


@pytest.mark.parametrize("sample", [sample for sample in SAMPLES if sample.startswith("mcu-board")])
def test_first_and_last_word_of_a_contactor_is_open(sample: str, plug: Plug) -> None:
    variant = SAMPLES[sample]("x").variant
    device = _create(sample, str(plug.path))
    device.start(0.0)
    device.close()
    said, reader = [], wire.FrameReader()
    while select.select([plug._master], [], [], PATIENCE_S)[0]:
        said += [wire.decode_to_board(variant, payload) for payload in reader.feed(plug.receive())]
        if said.count(m.AllowPowerOn(False)) == 2 and said[-1] == m.PwmDutyCycle(0):
            break
    assert said[0] == m.AllowPowerOn(False)
    assert said[-2:] == [m.AllowPowerOn(False), m.PwmDutyCycle(0)]
    assert m.AllowPowerOn(True) not in said


@every_driver
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(garbage=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_garbage_neither_raises_nor_gives_a_reading(sample: str, plug: Plug, garbage: list[bytes]) -> None:
    device = _create(sample, str(plug.path))
    device.start(0.0)
    for count, piece in enumerate(garbage):
        plug.send(piece)
        assert select.select([device.fileno()], [], [], PATIENCE_S)[0]
        drain(device, float(count))
        _command_everything(sample, device)
        assert device.on_timer(float(count)) > count
        device.health(float(count))
        plug.receive()
    assert _read_everything(sample, device) == []
    device.close()


@every_driver
def test_a_pulled_plug_is_survived_in_every_callback(sample: str, plug: Plug) -> None:
    device = _create(sample, str(plug.path))
    device.start(0.0)
    plug.pull()
    _command_everything(sample, device)  # the first to notice may be a write
    device.on_timer(0.5)
    turn_until(device, lambda: device.fileno() is None, 0.5)
    health = device.health(0.6)
    assert not health.ok
    assert str(plug.path) in health.detail
    wake = device.on_timer(2.0)
    plug.plug_in()
    device.on_timer(wake + 1.0)
    assert device.fileno() is not None
    device.close()


@every_driver
def test_a_far_end_that_takes_nothing_never_blocks(sample: str, plug: Plug) -> None:
    device = _create(sample, str(plug.path))
    device.start(0.0)
    now = 0.0
    for _ in range(3000):  # a pty holds some ten kilobytes; then writes would block
        now += 0.4
        _command_everything(sample, device)
        wake = device.on_timer(now)
        assert wake > now or device.fileno() is None
    device.close()


THIRD_PARTY = ("serial", "yaml", "cython_runtime")  # the last is part of PyYAML's C half


@pytest.mark.parametrize("name", sorted({sample.split()[0] for sample in SAMPLES}))
def test_a_driver_imports_little(name: str) -> None:
    code = (
        "import sys; before = set(sys.modules); from hal import registry; registry.load(sys.argv[1]);"
        "new = {n.partition('.')[0] for n in set(sys.modules) - before};"
        "print(*sorted(n for n in new if n not in sys.stdlib_module_names and not n.startswith('_')))"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"hal", *THIRD_PARTY}
