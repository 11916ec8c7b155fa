"""GPIO chips of the kernel: ``/dev/gpiochipN`` by ioctl (character device uAPI version 2, Linux 5.10 and later)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from hal.gpio import uapi
from hal.gpio.lines import ChipInfo, Line, LineError, LineEvent, LineInfo, LineSettings

EVENTS_AT_ONCE = 64

_REMEDIES = {
    errno.ENOENT: "is not there; check its driver and the chip's name",
    errno.ENODEV: "has no hardware behind it any more; plug it in again",
    errno.ENXIO: "has no hardware behind it; check its driver",
    errno.EACCES: "may not be opened; give this user the group that owns it (a udev rule does)",
    errno.EPERM: "may not be opened; give this user the group that owns it (a udev rule does)",
    errno.ENOTTY: "is no GPIO chip, or its kernel is older than Linux 5.10; name another chip",
    errno.EINVAL: "cannot do what is asked of it (bias, debounce or edges); leave that setting out",
    errno.EOPNOTSUPP: "cannot do what is asked of it (bias, debounce or edges); leave that setting out",
}
_REMEDIES[errno.ENOTSUP] = _REMEDIES[errno.EOPNOTSUPP]


class KernelChip:
    """``path`` is the node. Raises LineError when it cannot be opened or is no GPIO chip."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._fd = -1
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            answer = uapi.empty_chip_info()
            fcntl.ioctl(self._fd, uapi.GET_CHIPINFO, answer)
        except OSError as error:
            self.close()
            raise LineError(f"{self.path}: {_reason(error)}") from None
        self._info = uapi.decode_chip_info(bytes(answer))

    @property
    def info(self) -> ChipInfo:
        return self._info

    def line_info(self, offset: int) -> LineInfo:
        answer = uapi.encode_line_question(offset)
        try:
            fcntl.ioctl(self._fd, uapi.GET_LINEINFO, answer)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise LineError(f"{self.path}: has lines 0 to {self._info.lines - 1}, no {offset}") from None
            raise LineError(f"{self.path}: {_reason(error)}") from None
        return uapi.decode_line_info(bytes(answer))

    def request(self, offset: int, settings: LineSettings, consumer: str) -> Line:
        info = self.line_info(offset)
        request = uapi.encode_request(offset, settings, consumer)
        try:
            fcntl.ioctl(self._fd, uapi.GET_LINE, request)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise LineError(_in_use(self.path, info)) from None
            raise LineError(f"{self.path}:{offset}: {_reason(error)}") from None
        return KernelLine(uapi.fd_of(bytes(request)), f"{self.path}:{offset}")

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class KernelLine:
    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self._fd

    def value(self) -> bool:
        values = uapi.encode_values()
        self._ioctl(uapi.GET_VALUES, values)
        return uapi.decode_value(bytes(values))

    def set_value(self, level: bool) -> None:
        self._ioctl(uapi.SET_VALUES, uapi.encode_values(level))

    def events(self) -> list[LineEvent]:
        found: list[LineEvent] = []
        while True:
            try:
                data = os.read(self._fd, EVENTS_AT_ONCE * uapi.EVENT_SIZE)
            except (BlockingIOError, InterruptedError):
                return found
            except OSError as error:
                if error.errno == errno.EINVAL:  # the line was not asked for edges
                    return found
                raise LineError(f"{self._name}: {_reason(error)}") from None
            if not data:
                raise LineError(f"{self._name}: {_REMEDIES[errno.ENODEV]}")
            found += uapi.decode_events(data)
            if len(data) < EVENTS_AT_ONCE * uapi.EVENT_SIZE:
                return found

    def configure(self, settings: LineSettings) -> None:
        self._ioctl(uapi.SET_CONFIG, uapi.encode_config(settings))

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _ioctl(self, request: int, argument: bytearray) -> None:
        try:
            fcntl.ioctl(self._fd, request, argument)
        except (OSError, ValueError) as error:
            raise LineError(f"{self._name}: {_reason(error)}") from None


def kernel_chips(folder: Path) -> list[str]:
    """Return the nodes of all GPIO chips in ``/dev``, in their order."""
    found = []
    with contextlib.suppress(OSError):
        found = [node for node in folder.iterdir() if node.name.removeprefix("gpiochip").isdigit()]
    return [str(node) for node in sorted(found, key=lambda node: int(node.name.removeprefix("gpiochip")))]


def _in_use(path: str, info: LineInfo) -> str:
    by = f" by {info.consumer!r}" if info.consumer else ""
    name = f" ({info.name})" if info.name else ""
    return f"{path}:{info.offset}{name}: is in use{by}; stop that program, or take the line out of the device tree"


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None) or 0
    return _REMEDIES.get(number) or f"{error}; check the chip's driver"
