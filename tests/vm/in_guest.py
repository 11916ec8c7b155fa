"""Checks that run inside the virtual charger, each by its name; exit status 0 when all of it holds.

python3 -m tests.vm.in_guest gpiozero | temperature | watchdog | can BOARD BITRATE
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from agent.local.client import LocalClient, UnreachableError
from simulators.lab.client import LabControl

PATIENCE_S = 240.0
POLL_S = 0.2
WDIOC_SETTIMEOUT = 0xC0045706
I2C_SLAVE_FORCE, I2C_SMBUS, I2C_SMBUS_WORD_DATA = 0x0706, 0x0720, 3
CODE = Path("/opt/evse-agent/current")


def until(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Return what the condition says once it is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(POLL_S)
    return found


def gpiozero() -> None:
    """A contactor coil and a residual-current trip on the kernel's simulated chip, through gpiozero and our factory."""
    from tests.hal.kernel_gpio_check import simulated_chip

    with simulated_chip() as chip:
        from gpiozero import Button, Device, OutputDevice

        from hal.gpio.factory import ChipFactory

        Device.pin_factory = ChipFactory()
        tripped: list[float] = []
        with OutputDevice(f"{chip.name}:0") as coil, Button(f"{chip.name}:3", pull_up=False) as trip:

            def opened() -> None:
                coil.off()
                tripped.append(time.monotonic())

            trip.when_pressed = opened
            coil.on()
            assert chip.value(0) == 1, "the coil's line is not driven"
            chip.pull(3, True)
            until(lambda: tripped, "the trip is seen", 20)
            assert chip.value(0) == 0, "the coil is still driven after the trip"
        Device.pin_factory.close()


def temperature() -> None:
    """A sensor on I2C (i2c-stub, the kernel's lm75) through the driver linux-temperature."""
    new = Path("/sys/bus/i2c/devices/i2c-0/new_device")
    if not Path("/sys/bus/i2c/devices/0-0048").exists():
        new.write_text("lm75 0x48\n")
    _write_word(0, 0x48, 0, 0x0032)  # 50 °C, most significant byte first
    found = until(
        lambda: [p for p in Path("/sys/class/hwmon").glob("*/temp1_input") if int(p.read_text()) == 50_000],
        "the kernel shows 50 °C",
        20,
    )
    sys.stdout.write(f"{found[0]} {found[0].read_text()}")


class _SmbusCall(ctypes.Structure):
    """struct i2c_smbus_ioctl_data."""

    _fields_ = (
        ("read_write", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    )


def _write_word(bus: int, address: int, register: int, word: int) -> None:
    """One SMBus word, as i2cset does."""
    data = (ctypes.c_uint8 * 34)(word & 0xFF, word >> 8)
    call = _SmbusCall(0, register, I2C_SMBUS_WORD_DATA, ctypes.cast(data, ctypes.c_void_p).value)
    handle = os.open(f"/dev/i2c-{bus}", os.O_RDWR)
    try:
        fcntl.ioctl(handle, I2C_SLAVE_FORCE, address)
        fcntl.ioctl(handle, I2C_SMBUS, call)
    finally:
        os.close(handle)


def watchdog() -> None:
    """Open the hardware watchdog, and never feed it again: the machine must be reset."""
    handle = os.open("/dev/watchdog0", os.O_WRONLY)
    fcntl.ioctl(handle, WDIOC_SETTIMEOUT, bytearray((5).to_bytes(4, "little")))
    sys.stdout.write("armed\n")
    sys.stdout.flush()
    time.sleep(600)


def can(board: str, bitrate: str) -> None:
    """A full charge over the kernel's CAN: control on can0, the board on can1; free vending, no network."""
    for link in ("can0", "can1"):
        subprocess.run(["ip", "link", "set", link, "down"], check=True)
        subprocess.run(["ip", "link", "set", link, "type", "can", "bitrate", bitrate], check=True)
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
    place = Path(f"/tmp/{board}")
    place.mkdir()
    lab = subprocess.Popen(
        [sys.executable, "-m", "tests.vm.can_lab", "can1", "--dir", str(place), "--board", board, "--reader", "none"],
        stdout=(place / "lab.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    started: list[subprocess.Popen[bytes]] = [lab]
    try:
        until(lambda: (place / "ctl.sock").exists() and (place / "config.yaml").exists(), "the lab is up")
        path = _on_the_bus(place)
        for module in ("agent.control", "agent.app"):
            log = (place / f"{module}.log").open("w")
            command = [sys.executable, "-m", module, "--config", str(path)]
            started.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        _charge(LabControl(place, 60), place / "run/api.sock")
    except BaseException:
        for log_path in sorted(place.glob("*.log")):
            sys.stdout.write(f"--- {log_path.name}\n{log_path.read_text()[-1500:]}\n")
        raise
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(60)


def _on_the_bus(place: Path) -> Path:
    """The lab's configuration with socketcan, without network and cards."""
    data = yaml.safe_load((place / "config.yaml").read_text())
    for device in data["devices"].values():
        if device.get("interface") == "slcan":
            device |= {"interface": "socketcan", "channel": "can0"}
    data["authorisation"] = {"free_vend": True}
    data["control"] = {"lease_s": 120}
    path = place / "guest.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def _charge(lab: LabControl, api: Path) -> None:
    def shown() -> Any:
        try:
            with LocalClient(api) as client:
                return client.call("status")["evses"][0]
        except UnreachableError:
            return None

    until(lambda: (evse := shown()) is not None and evse["plugged"] is False, "free EVSE")
    before = lab.evse(1)["meter"]["register_wh"]
    lab.plug(1, "renault-zoe-r135")
    until(lambda: lab.evse(1)["contactor"]["closed"], "contacts close")
    until(lambda: lab.evse(1)["meter"]["register_wh"] >= before + 20, "20 Wh")
    lab.vehicle(1, "not-ready")
    until(lambda: not lab.evse(1)["contactor"]["closed"], "contacts open")
    lab.unplug(1)
    until(lambda: (evse := shown()) is not None and evse["plugged"] is False and not evse["transaction"], "it is over")
    with LocalClient(api) as client:
        last = client.call("transactions")["transactions"][0]
    charged, register = last["end_wh"] - last["start_wh"], lab.evse(1)["meter"]["register_wh"]
    assert last["end_wh"] == register, (last, register)
    assert charged >= 20, last
    sys.stdout.write(f"charged {charged:g} Wh\n")


def main() -> None:
    checks = {"gpiozero": gpiozero, "temperature": temperature, "watchdog": watchdog, "can": can}
    checks[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]


if __name__ == "__main__":
    main()
