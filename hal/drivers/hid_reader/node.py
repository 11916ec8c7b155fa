"""An event node of the Linux input layer: opened without waiting, held alone, lost and found again.

The standard library is enough for it: python-evdev has no wheels and would have to be compiled on every charger.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hal.ports import DeviceError

EVIOCGRAB = 0x40044590
"""_IOW('E', 0x90, int), as x86, ARM and RISC-V number it: no other program gets this device's events."""
REOPEN_INTERVAL_S = 1.0
READ_SIZE = 4096

_REMEDIES = {
    errno.ENOENT: "is not there; plug the reader in, and check the option 'node'",
    errno.ENODEV: "was unplugged; plug it in again",
    errno.EIO: "was unplugged; plug it in again",
    errno.ENXIO: "has no hardware behind it; plug the reader in, and check the option 'node'",
    errno.EACCES: "may not be opened; give this user the group that owns it (a udev rule does)",
    errno.EPERM: "may not be opened; give this user the group that owns it (a udev rule does)",
    errno.EBUSY: "is in use by another program; stop that one",
    errno.EAGAIN: "is in use by another program; stop that one",
    errno.ENOTTY: "is no input device; name an event node under /dev/input/by-id in 'node'",
    errno.EINVAL: "is no input device; name an event node under /dev/input/by-id in 'node'",
}


@dataclass(slots=True)
class EventNode:
    """``trouble`` is empty while it is open, else it names the node, the reason and the remedy."""

    path: str
    grab: bool = True
    trouble: str = "not opened yet"
    next_open_at: float = 0.0
    _fd: int | None = None

    @property
    def is_open(self) -> bool:
        return self._fd is not None

    def fileno(self) -> int | None:
        return self._fd

    def check(self) -> None:
        """Raise DeviceError when the path can never be an event node."""
        try:
            mode = Path(self.path).stat().st_mode
        except OSError:
            return  # absent now, perhaps plugged in later
        if not stat.S_ISCHR(mode):
            raise DeviceError(
                f"{self.path}: is not an input device; name an event node under /dev/input/by-id in 'node'"
            )

    def open(self, now: float) -> bool:
        """Open the node if it is closed and another try is due."""
        if self._fd is not None:
            return True
        if now < self.next_open_at:
            return False
        self.next_open_at = now + REOPEN_INTERVAL_S
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # keeps a second control out even without the grab
            if self.grab:
                fcntl.ioctl(self._fd, EVIOCGRAB, 1)
        except OSError as error:
            self._lose(error)
            return False
        self.trouble = ""
        return True

    def read(self) -> bytes:
        """Return what has arrived; empty when nothing has, or when the node was lost (then ``is_open`` is False)."""
        if self._fd is None:
            return b""
        try:
            data = os.read(self._fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            self._lose(error)
            return b""
        if not data:
            self._lose(OSError(errno.ENODEV, "end of file"))
        return data

    def close(self) -> None:
        fd, self._fd = self._fd, None
        self.trouble = f"{self.path}: closed"
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)  # lets go of grab and lock

    def _lose(self, error: OSError) -> None:
        self.close()
        reason = _REMEDIES.get(error.errno or 0) or f"{error.strerror}; check the reader and the option 'node'"
        self.trouble = f"{self.path}: {reason}"
