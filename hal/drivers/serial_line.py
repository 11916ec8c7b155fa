"""A serial line that never blocks, survives unplugging and sends the urgent first.

pyserial opens and configures the node; reading and writing go straight to its file descriptor, because pyserial's
own calls wait. Whoever owns the line calls ``open`` until it succeeds; any loss closes it and says why.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import termios
from dataclasses import dataclass, field
from pathlib import Path

import serial

from hal.ports import DeviceError

REOPEN_INTERVAL_S = 1.0
READ_SIZE = 4096
MAX_PENDING = 64
"""Frames that may wait for the line; a line that takes none of them is given up and opened anew."""
WRITE_RETRY_S = 0.005

REFUSES_SETTINGS = "does not take these line settings; change 'baud', 'parity' or 'stop_bits'"
_REMEDIES = {
    errno.EINVAL: REFUSES_SETTINGS,
    errno.ENOENT: "is not there; check the cable and the option 'port'",
    errno.ENODEV: "has no hardware behind it; check the cable and the option 'port'",
    errno.ENXIO: "has no hardware behind it; check the cable and the option 'port'",
    errno.EACCES: "may not be opened; give this user the group that owns it (a udev rule does)",
    errno.EPERM: "may not be opened; give this user the group that owns it (a udev rule does)",
    errno.EBUSY: "is in use by another program; stop that one",
    errno.EAGAIN: "is in use by another program; stop that one",
}


@dataclass(frozen=True, slots=True)
class SerialSettings:
    port: str
    baud: int
    parity: str = "N"
    """N, E or O."""
    stop_bits: int = 1

    @property
    def character_s(self) -> float:
        """Time one character takes on the wire, start, parity and stop bits included."""
        return (9 + (self.parity != "N") + self.stop_bits) / self.baud


@dataclass(slots=True)
class _Pending:
    key: str
    rest: bytes
    begun: bool = False


@dataclass(slots=True)
class SerialLine:
    """One serial node. ``trouble`` is empty while it is open, else it names the node, the reason and the remedy."""

    settings: SerialSettings
    trouble: str = "not opened yet"
    next_open_at: float = 0.0
    _node: serial.Serial | None = None
    _pending: list[_Pending] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self._node is not None

    @property
    def has_pending(self) -> bool:
        """Something waits for the line to take it."""
        return bool(self._pending)

    def fileno(self) -> int | None:
        return None if self._node is None else self._node.fd

    def check(self) -> None:
        """Raise DeviceError when the settings can never work on this machine."""
        port = self.settings.port
        try:
            mode = Path(port).stat().st_mode
        except OSError:
            return  # absent now, perhaps plugged in later
        if not stat.S_ISCHR(mode):
            raise DeviceError(f"{port}: is not a serial port; set 'port' to a tty, best one under /dev/serial/by-id")

    def open(self, now: float) -> bool:
        """Open the node if it is closed and another try is due. Raises DeviceError for settings it never takes."""
        if self._node is not None:
            return True
        if now < self.next_open_at:
            return False
        self.next_open_at = now + REOPEN_INTERVAL_S
        self._pending.clear()
        settings = self.settings
        try:
            self._node = serial.Serial(
                settings.port,
                settings.baud,
                parity=settings.parity,
                stopbits=settings.stop_bits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except ValueError as error:
            raise DeviceError(f"{settings.port}: {error}; change 'baud', 'parity' or 'stop_bits'") from None
        except (OSError, termios.error) as error:  # SerialException is an OSError; termios.error is not
            self.trouble = f"{settings.port}: {_reason(error)}"
            return False
        self.trouble = ""
        return True

    def reopen(self, now: float) -> bool:
        """``open`` for a line that has been in use: if the node came back as something else, ``trouble`` says so."""
        try:
            return self.open(now)
        except DeviceError as error:
            self.trouble = str(error)
            return False

    def read(self, size: int = READ_SIZE) -> bytes:
        """Return what has arrived, at most ``size`` bytes; empty when nothing has, or when the line was lost (then
        ``is_open`` is False)."""
        fd = self.fileno()
        if fd is None:
            return b""
        try:
            data = os.read(fd, size)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            self._lose(_reason(error))
            return b""
        if not data and _hung_up(fd):
            self._lose("was unplugged; plug it in again")
        return data

    def send(self, data: bytes, key: str = "", *, urgent: bool = False) -> None:
        """Write at once what the line takes and keep the rest.

        Data with the same ``key`` that has not begun to leave is replaced: only the latest command of a kind counts.
        ``urgent`` overtakes all that has not begun to leave."""
        if self._node is None:
            return
        if key:
            self._pending = [item for item in self._pending if item.begun or item.key != key]
        item = _Pending(key, data)
        if urgent:
            begun = 1 if self._pending and self._pending[0].begun else 0
            self._pending.insert(begun, item)
        else:
            self._pending.append(item)
        self.flush()
        if len(self._pending) > MAX_PENDING:
            self._lose("takes no data; check what hangs on the line")

    def flush(self) -> None:
        """Write what waits, as far as the line takes it."""
        fd = self.fileno()
        if fd is None:
            return
        while self._pending:
            head = self._pending[0]
            try:
                written = os.write(fd, head.rest)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(_reason(error))
                return
            if written < len(head.rest):
                head.rest = head.rest[written:]
                head.begun = head.begun or written > 0
                return
            del self._pending[0]

    def discard_input(self) -> None:
        """Forget what has arrived but was not read."""
        fd = self.fileno()
        if fd is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcflush(fd, termios.TCIFLUSH)

    def close(self) -> None:
        node, self._node = self._node, None
        self._pending.clear()
        self.trouble = f"{self.settings.port}: closed"
        if node is not None:
            with contextlib.suppress(OSError, termios.error):
                node.close()

    def _lose(self, reason: str) -> None:
        self.close()
        self.trouble = f"{self.settings.port}: {reason}"


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number is None and error.args and isinstance(error.args[0], int):
        number = error.args[0]
    if number == errno.EIO:
        return "was unplugged; plug it in again"
    return _REMEDIES.get(number or 0) or f"{error}; check the cable and the option 'port'"


def _hung_up(fd: int) -> bool:
    """Tell an empty read at end of life from one that merely came too early (VMIN is 0)."""
    poll = select.poll()
    poll.register(fd, 0)  # hang-up and error are told unasked; data that has come since is no loss
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))
