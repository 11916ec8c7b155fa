"""Checks that run inside the virtual charger, each by its name; exit status 0 when all of it holds.

python3 -m tests.vm.in_guest gpiozero | sandbox | can BOARD BITRATE
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from agent.local.client import LocalClient, UnreachableError
from simulators.lab.client import LabControl
from tests.hal.kernel_gpio_check import SimulatedChip, simulated_chip
from tests.vm.inside import API, CONFIGURATION, PYTHON, STATE

PATIENCE_S = 480.0
POLL_S = 0.2
I2C_SLAVE_FORCE, I2C_SMBUS, I2C_SMBUS_WORD_DATA = 0x0706, 0x0720, 3
UNITS = ("evse-control.service", "evse-agent.service")
COOL_C = 31
DOORS = "/opt/evse-agent/checks/tests/vm/sandbox_doors.py"
OPEN, CLOSED, ABSENT = "open", "Operation not permitted", "No such file or directory"
CHIP = "the chip"
"""Stands for a node whose number nobody knows beforehand."""
SANDBOX = {
    "evse-control.service": {
        **dict.fromkeys(("/dev/ttyS1", "/dev/input/event0", CHIP), OPEN),
        **dict.fromkeys(("/dev/vda", "/dev/watchdog0", "/dev/i2c-0", "/dev/uinput", "/dev/mem"), CLOSED),
        "internet": "Address family not supported by protocol",
        "CAN": "Address family not supported by protocol",
    },
    "evse-agent.service": {
        **dict.fromkeys(("/dev/ttyS1", CHIP, "/dev/vda", "/dev/watchdog0", "/dev/i2c-0"), ABSENT),
        "internet": OPEN,
        "CAN": "Address family not supported by protocol",
    },
}
"""Unit: door, and what must come of opening it."""
LOOP = 3
"""The line of the simulated chip at which the emergency stop's loop ends."""


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


def sensor(celsius: int) -> Path:
    """A sensor on I2C (i2c-stub, the kernel's lm75) that shows so many degrees. Return the kernel's file of it."""
    new = Path("/sys/bus/i2c/devices/i2c-0/new_device")
    if not Path("/sys/bus/i2c/devices/0-0048").exists():
        new.write_text("lm75 0x48\n")
    _write_word(0, 0x48, 0, celsius)  # whole degrees are the most significant byte, which comes first
    found: list[Path] = until(
        lambda: [p for p in Path("/sys/class/hwmon").glob("*/temp1_input") if int(p.read_text()) == celsius * 1000],
        f"the kernel shows {celsius} °C",
        20,
    )
    return found[0]


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


def can(board: str, bitrate: str) -> None:
    """A full charge by the installed units on the kernel's own buses: the board on CAN (control on can0, the board on
    can1), an emergency stop on a GPIO line, a temperature on I2C. Free vending, no network."""
    for link in ("can0", "can1"):
        subprocess.run(["ip", "link", "set", link, "down"], check=True)
        subprocess.run(["ip", "link", "set", link, "type", "can", "bitrate", bitrate], check=True)
        subprocess.run(["ip", "link", "set", link, "txqueuelen", "200"], check=True)
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
    place = Path(f"/run/lab-{board}")  # the units have a /tmp of their own
    place.mkdir()
    sensor(COOL_C)
    with simulated_chip() as chip, _lab(place, board):
        chip.pull(LOOP, True)
        with _installed_units(_on_the_bus(place, chip.name)):
            lab = LabControl(place, 60)
            _charge(lab)
            _see_everything(lab, chip)


@contextmanager
def _lab(place: Path, board: str) -> Iterator[None]:
    """Board, vehicle and meter of one EVSE, inside the machine."""
    command = [sys.executable, "-m", "tests.vm.can_lab", "can1", "--dir", str(place)]
    with (place / "lab.log").open("w") as log:
        lab = subprocess.Popen([*command, "--board", board, "--reader", "none"], stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: (place / "ctl.sock").exists() and (place / "config.yaml").exists(), "the lab is up")
        yield
    except BaseException:
        sys.stdout.write((place / "lab.log").read_text()[-1500:])
        sys.stdout.flush()
        raise
    finally:
        lab.terminate()
        lab.wait(60)


def _on_the_bus(place: Path, chip: str) -> str:
    """The lab's configuration with socketcan and this machine's pins and sensor, without network and cards."""
    data = yaml.safe_load((place / "config.yaml").read_text())
    for device in data["devices"].values():
        if device.get("interface") == "slcan":
            device |= {"interface": "socketcan", "channel": "can0"}
        elif "port" in device:
            line = Path(device["port"]).resolve()
            shutil.chown(line, group="dialout")
            line.chmod(0o660)
            device["port"] = str(line)
    data["devices"]["heat"] = {
        "driver": "linux-temperature",
        "sensors": [{"name": "outlet", "hwmon": "lm75", "input": "temp1"}],
    }
    data["devices"]["pins"] = {"driver": "gpio", "emergency_stops": {"stop": {"loop": f"{chip}:{LOOP}"}}}
    data["evses"][0] |= {"temperatures": ["heat.outlet"], "emergency_stop": "pins.stop"}
    data["authorisation"] = {"free_vend": True}
    data["control"] = {"lease_s": 120}
    data["paths"] = {"state_dir": STATE, "runtime_dir": str(Path(API).parent)}
    return str(yaml.safe_dump(data, sort_keys=False))


@contextmanager
def _installed_units(configuration: str) -> Iterator[None]:
    """Both units with that configuration and what docs/install.md says for CAN; as they were afterwards."""
    path = Path(CONFIGURATION)
    before = path.read_text()
    path.write_text(configuration)
    drop_in = Path("/etc/systemd/system/evse-control.service.d/can.conf")
    shutil.copy("/usr/local/lib/evse-agent/examples/can.conf", drop_in)
    try:
        _systemctl("daemon-reload")
        _systemctl("restart", *UNITS)
        yield
    except BaseException:
        command = ["journalctl", "-b", "--no-pager", "-n", "60", "-o", "short", *(f"--unit={unit}" for unit in UNITS)]
        sys.stdout.write(subprocess.run(command, capture_output=True, text=True).stdout[-4000:])
        sys.stdout.flush()
        raise
    finally:
        _systemctl("stop", *UNITS)
        drop_in.unlink()
        path.write_text(before)
        _systemctl("daemon-reload")


def _systemctl(*words: str) -> None:
    subprocess.run(["systemctl", *words], check=True)


def _see_everything(lab: LabControl, chip: SimulatedChip) -> None:
    """Every device is well from inside the sandbox, a temperature arrives, and an opened loop is felt."""
    with LocalClient(Path(API)) as client:
        devices = client.call("devices")["devices"]
        assert {"heat", "pins"} <= {each["name"] for each in devices}, devices
        assert all(each["ok"] for each in devices), devices
        read = str(client.call("inputs", evse=1))
        assert str(COOL_C) in read, read
    chip.pull(LOOP, False)
    # There may be others: the loop of an emulated processor comes late now and then.
    until(lambda: "emergency_stop" in str(_shown()["faults"]), "the open loop is a fault", 60)
    chip.pull(LOOP, True)
    until(lambda: "emergency_stop" not in str(_shown()["faults"]), "the fault is over", 60)
    sys.stdout.write(f"; {len(devices)} devices well, emergency stop felt\n")


def _shown() -> Any:
    with LocalClient(Path(API)) as client:
        return client.call("status")["evses"][0]


def _charge(lab: LabControl) -> None:
    def shown() -> Any:
        try:
            return _shown()
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
    with LocalClient(Path(API)) as client:
        last = client.call("transactions")["transactions"][0]
    charged, register = last["end_wh"] - last["start_wh"], lab.evse(1)["meter"]["register_wh"]
    assert last["end_wh"] == register, (last, register)
    assert charged >= 20, last
    sys.stdout.write(f"charged {charged:g} Wh")


def sandbox() -> None:
    """What a unit may open, tried from inside units with the same settings. As user root but without any capability,
    so that a refusal is the sandbox's own and not that of a file's owner. Prints what was not as it must be."""
    wrong = []
    with simulated_chip() as chip:
        tried = {unit: _tried(unit, f"/dev/{chip.name}") for unit in SANDBOX}
    for unit, wanted in SANDBOX.items():
        found = tried[unit]
        wrong += [
            f"{unit}: {what} is {found[what]!r}, not {is_!r}" for what, is_ in wanted.items() if found[what] != is_
        ]
    if wrong:
        raise AssertionError("; ".join(wrong))
    sys.stdout.write(f"{sum(map(len, SANDBOX.values()))} doors tried\n")


def _tried(unit: str, chip: str) -> dict[str, str]:
    """Run ``sandbox_doors`` in a unit that is the same but for what it starts."""
    text = Path("/usr/local/lib/systemd/system", unit).read_text()
    left_out = ("Exec", "Type=", "Watchdog", "Restart", "OnFailure=", "WantedBy=", "[Install]", "User=", "Group=")
    lines = [line for line in text.splitlines() if not line.startswith(left_out)]
    report = Path("/run/doors.json")
    start = f"[Service]\nType=oneshot\nExecStart={PYTHON} -I {DOORS} {chip}\nStandardOutput=truncate:{report}"
    Path("/run/systemd/system/doors.service").write_text("\n".join(lines).replace("[Service]", start))
    report.unlink(missing_ok=True)
    _systemctl("daemon-reload")
    _systemctl("start", "doors.service")
    found = dict(json.loads(report.read_text()))
    return {**found, CHIP: found[chip]}


def main() -> None:
    checks = {"gpiozero": gpiozero, "can": can, "sandbox": sandbox}
    checks[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]


if __name__ == "__main__":
    main()
