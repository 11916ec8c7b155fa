"""gpiozero's own devices on the pin factory, over simulated chips."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import gpiozero
import pytest
from gpiozero.exc import GPIOPinInUse, PinInvalidPin, PinPWMUnsupported, PinSetInput, SPIBadArgs

from hal.gpio.factory import ChipFactory
from simulators.gpio.chip import SimGpioChip
from simulators.gpio.front_end import PilotFrontEnd

ROOT = Path(__file__).parents[2]
PATIENCE_S = 5.0


@pytest.fixture
def chips(tmp_path: Path) -> Iterator[tuple[SimGpioChip, SimGpioChip]]:
    pair = (SimGpioChip(tmp_path / "one", ["K1", "DOOR"]), SimGpioChip(tmp_path / "two", ["LAMP"]))
    for chip in pair:
        chip.open()
    yield pair
    for chip in pair:
        chip.close()


@pytest.fixture
def factory() -> Iterator[ChipFactory]:
    factory = ChipFactory()
    yield factory
    factory.close()


def test_outputs_on_two_chips_at_once(chips: tuple[SimGpioChip, SimGpioChip], factory: ChipFactory) -> None:
    one, two = chips
    relay = gpiozero.OutputDevice(f"sim:{one.path}:K1", active_high=False, pin_factory=factory)
    assert one.output("K1") is True  # off, and never anything else
    led = gpiozero.LED(f"sim:{two.path}:0", pin_factory=factory)
    relay.on()
    led.on()
    assert (relay.value, led.value) == (1, 1)
    led.toggle()
    led.close()
    relay.close()
    factory.close()


def test_an_input_runs_its_callbacks_with_the_kernels_time(
    chips: tuple[SimGpioChip, SimGpioChip], factory: ChipFactory
) -> None:
    one, _ = chips
    door = gpiozero.DigitalInputDevice(f"sim:{one.path}:DOOR", pull_up=True, pin_factory=factory)
    opened, shut = threading.Event(), threading.Event()
    door.when_activated = lambda: opened.set()
    door.when_deactivated = lambda: shut.set()
    assert door.value == 0
    one.drive("DOOR", False)
    assert opened.wait(PATIENCE_S)
    assert door.value == 1
    assert door.active_time is not None
    one.drive("DOOR", None)
    assert shut.wait(PATIENCE_S)
    assert not door.is_active
    door.close()
    again = gpiozero.DigitalInputDevice(f"sim:{one.path}:DOOR", pull_up=True, pin_factory=factory)
    assert again.value == 0
    again.close()


def test_a_button_is_debounced_by_the_chip(chips: tuple[SimGpioChip, SimGpioChip], factory: ChipFactory) -> None:
    one, _ = chips
    button = gpiozero.Button(f"sim:{one.path}:DOOR", bounce_time=0.005, pin_factory=factory)
    presses, pressed = [], threading.Event()
    button.when_pressed = lambda: (presses.append(1), pressed.set())
    for level in (False, True, False, True, False):
        one.drive("DOOR", level)
    assert pressed.wait(PATIENCE_S)
    assert button.is_pressed
    assert presses == [1]
    assert button.pin.bounce == 0.005
    button.close()


def test_what_is_refused_and_why(chips: tuple[SimGpioChip, SimGpioChip], factory: ChipFactory) -> None:
    one, _ = chips
    name = f"sim:{one.path}:K1"
    with pytest.raises(PinPWMUnsupported, match="/sys/class/pwm"):
        gpiozero.PWMOutputDevice(name, pin_factory=factory)
    led = gpiozero.LED(name, pin_factory=factory)
    with pytest.raises(GPIOPinInUse):
        gpiozero.LED(name, pin_factory=factory)
    other = ChipFactory()
    with pytest.raises(GPIOPinInUse, match="in use by 'gpiozero'"):
        gpiozero.LED(name, pin_factory=other)
    other.close()
    for wrong in (f"sim:{one.path}:NONE", "sim:/nowhere:1"):
        with pytest.raises(PinInvalidPin):
            gpiozero.LED(wrong, pin_factory=factory)
    with pytest.raises(SPIBadArgs, match="nothing is bit-banged"):
        factory.spi(clock_pin=11)
    led.close()
    door = gpiozero.InputDevice(f"sim:{one.path}:DOOR", pin_factory=factory)
    with pytest.raises(PinSetInput):
        door.pin.state = 1
    door.close()


def test_an_spi_converter_on_any_board(tmp_path: Path, factory: ChipFactory) -> None:
    front = PilotFrontEnd(tmp_path / "front")
    front.open()
    factory.spi_path = lambda port, device: f"sim:{front.path}"  # type: ignore[method-assign]
    front.sense(12.0, 12.0, cable_a=13, temperature_ohm=10_000.0)
    proximity = gpiozero.MCP3208(channel=1, pin_factory=factory)
    temperature = gpiozero.MCP3208(channel=2, pin_factory=factory)
    assert proximity.value == pytest.approx(0.6, abs=0.001)
    assert temperature.value == pytest.approx(0.5, abs=0.001)
    proximity.close()
    assert temperature.value == pytest.approx(0.5, abs=0.001)
    temperature.close()
    front.close()
    with pytest.raises(SPIBadArgs, match="is not there"):
        gpiozero.MCP3208(channel=1, pin_factory=factory)


@pytest.mark.process
def test_gpiozero_finds_the_factory_by_its_name_and_leaves_no_file(
    chips: tuple[SimGpioChip, SimGpioChip], tmp_path: Path
) -> None:
    one, _ = chips
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    package = tmp_path / "site" / "evse_pins-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: evse-pins\nVersion: 1\n")
    points = setup["options.entry_points"]["gpiozero_pin_factories"].strip()
    (package / "entry_points.txt").write_text(f"[gpiozero_pin_factories]\n{points}\n")
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    cwd.chmod(0o555)
    code = "from gpiozero import LED; led = LED('K1'); led.on(); print(led.value, led.pin)"
    environment = {
        **os.environ,
        "GPIOZERO_PIN_FACTORY": "evsechip",
        "EVSE_GPIO_CHIP": f"sim:{one.path}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{package.parent}",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["1", f"sim:{one.path}:K1"]
    assert list(cwd.iterdir()) == []
