"""A serial port as a terminal: opened whenever it is there, lost without harm, opened again."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import serial

from agent.console.terminal import HangupError, Terminal

REOPEN_S = 1.0

_REMEDIES = {
    errno.ENOENT: "is not there; plug the adapter in, or correct --port",
    errno.EACCES: "may not be opened; run as its owner, or join its group (dialout)",
    errno.EBUSY: "is in use by another program (a getty? systemctl stop serial-getty@…)",
}


class PortError(Exception):
    """The port can never work. The text names it, the reason and the remedy."""


@contextlib.contextmanager
def serial_terminal(port: str, baud: int) -> Iterator[Terminal]:
    """Open the port, once. Raises HangupError while it is not there, PortError for what it never takes."""
    try:
        node = serial.Serial(port, baud, timeout=0, write_timeout=0, exclusive=True)
    except ValueError as error:
        raise PortError(f"{port}: {error}; correct --baud") from None
    except OSError as error:
        number = error.errno if error.errno is not None else 0
        raise HangupError(f"{port} {_REMEDIES.get(number, str(error))}") from error
    assert node.fd is not None  # it is open
    terminal = Terminal(node.fd, node.fd, resizes=False)
    try:
        terminal.open()
        yield terminal
    finally:
        terminal.close()
        with contextlib.suppress(OSError, serial.SerialException):
            node.close()


def wait_for(port: str, seen: str = "") -> None:
    """Wait until the node is there (again). ``seen``: the device it stood for, which must have gone first."""
    while not Path(port).exists() or (seen and os.path.realpath(port) == seen and not _answers(port)):
        time.sleep(REOPEN_S)


def _answers(port: str) -> bool:
    try:
        os.close(os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
