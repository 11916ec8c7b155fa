"""Tries the hid-reader driver on a real input device of the kernel's making. Needs ``/dev/uinput`` and root.

    python tests/hal/hid_uinput_check.py

Makes a virtual keyboard, types a card's number, and checks that the driver reads it, that the grab keeps others out,
and that unplugging and plugging are survived. Exits 0 when all of it holds.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import time
from pathlib import Path

from hal.drivers.hid_reader.driver import HidReader, HidReaderOptions
from simulators.readers.hid_keyboard import KEY_ENTER, KEYS, HidKeyboard

UI_SET_EVBIT, UI_SET_KEYBIT, UI_DEV_SETUP, UI_DEV_CREATE = 0x40045564, 0x40045565, 0x405C5503, 0x5501
NAME = "evse-agent check"
PATIENCE_S = 5.0


def plug_in() -> int:
    """Make the keyboard; closing the descriptor unplugs it."""
    fd = os.open("/dev/uinput", os.O_WRONLY | os.O_NONBLOCK)
    for kind in (0, 1, 4):
        fcntl.ioctl(fd, UI_SET_EVBIT, kind)
    for code in (*KEYS.values(), KEY_ENTER):
        fcntl.ioctl(fd, UI_SET_KEYBIT, code)
    fcntl.ioctl(fd, UI_DEV_SETUP, struct.pack("<HHHH80sI", 3, 0x1D50, 0x6000, 1, NAME.encode(), 0))
    fcntl.ioctl(fd, UI_DEV_CREATE)
    return fd


def find_node() -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for entry in Path("/sys/class/input").glob("event*"):
            if (entry / "device/name").read_text().strip() == NAME and Path("/dev/input", entry.name).exists():
                return f"/dev/input/{entry.name}"
        time.sleep(0.05)
    raise SystemExit("the kernel made no event node")


def read_card(device: HidReader) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        fd = device.fileno()
        if fd is not None and select.select([fd], [], [], 0.1)[0]:
            device.on_readable(time.monotonic())
        for token in device.take_tokens():
            return token.uid
    raise SystemExit("no card was read")


def demand(holds: bool, what: str) -> None:
    print(("pass  " if holds else "FAIL  ") + what)  # noqa: T201 (it is for a terminal)
    if not holds:
        raise SystemExit(1)


def main() -> None:
    keyboard = plug_in()
    node = find_node()
    device = HidReader("reader", HidReaderOptions(node))
    device.start(time.monotonic())
    demand(device.health(0.0).ok, f"{node} is opened and grabbed {device.health(0.0).detail}")
    other = HidReader("other", HidReaderOptions(node))
    other.start(time.monotonic())
    demand("in use" in other.health(0.0).detail, "a second owner is kept out")
    HidKeyboard(lambda data: os.write(keyboard, data) and None).present(bytes.fromhex("04A1B2C3"), time.monotonic())
    demand(read_card(device) == "04A1B2C3", "a card is read")
    os.close(keyboard)
    deadline = time.monotonic() + PATIENCE_S
    while device.fileno() is not None and time.monotonic() < deadline:
        select.select([device.fileno()], [], [], 0.1)
        device.on_readable(time.monotonic())
    demand("unplugged" in device.health(0.0).detail, "unplugging is told")
    device.close()


if __name__ == "__main__":
    if not Path("/dev/uinput").exists():
        sys.exit("there is no /dev/uinput here; load the module uinput, or run this in a virtual machine")
    main()
