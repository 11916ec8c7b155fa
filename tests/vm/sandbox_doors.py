"""Runs inside a unit's sandbox: opens each door and prints what came of it as JSON."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable

NODES = (
    *("/dev/ttyS1", "/dev/input/event0", "/dev/vda", "/dev/watchdog0", "/dev/i2c-0", "/dev/uinput", "/dev/mem"),
    *sys.argv[1:],
)
"""The command line may name further ones."""


def outcome(attempt: Callable[[], object]) -> str:
    """``open``, or the system's own words."""
    try:
        attempt()
    except OSError as error:
        return os.strerror(error.errno) if error.errno is not None else str(error)
    return "open"


def node(path: str) -> Callable[[], object]:
    """Open a device. An input device is for reading alone, as the unit says."""
    way = os.O_RDONLY if path.startswith("/dev/input/") else os.O_RDWR
    return lambda: os.close(os.open(path, way | os.O_NONBLOCK | os.O_NOCTTY))


def main() -> None:
    found = {path: outcome(node(path)) for path in NODES}
    found["internet"] = outcome(lambda: socket.socket(socket.AF_INET).close())
    found["CAN"] = outcome(lambda: socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close())
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
