"""SPI without a library: ``/dev/spidevB.C`` by ioctl, and a simulated bus behind the same protocol.

One exchange is a list of transfers; the chip is deselected between them. The kernel does the whole list in one call,
with the timing of its SPI controller. Path form ``sim:/the/socket`` is served by ``simulators/gpio/front_end.py``.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from typing import Protocol

SIM = "sim:"
MESSAGE_LIMIT = 4096
"""Bytes that spidev takes in one call (its module parameter ``bufsiz``)."""
PACKET = 65536

_TRANSFER = struct.Struct("=QQIIHBBBBBx")
_WR_MODE = 0x40016B01
_WR_BITS = 0x40016B03
_WR_SPEED = 0x40046B04
_RD_SPEED = 0x80046B04
_SIM_HEAD = struct.Struct("<IHH")
"""Clock in Hz, number of transfers, bytes of each."""


class SpiError(Exception):
    """The bus cannot be used. The text names the node, the reason and the remedy."""


class Spi(Protocol):
    """One chip on a bus. All transfers of an exchange have the same length."""

    speed_hz: int
    """The clock that was really set."""

    def fileno(self) -> int | None:
        """Readable when a deferred answer has come; None where answers never are."""

    def exchange(self, transfers: Sequence[bytes]) -> list[bytes]:
        """Send and return what came back; empty when the answer comes later, by ``receive``. Raises SpiError.

        A sequence that is handed in again must not have been changed meanwhile."""

    def receive(self) -> list[bytes]:
        """Return a deferred answer, empty when there is none. Raises SpiError."""

    def close(self) -> None: ...


class KernelSpi:
    """``exchange`` lasts as long as the bits take on the wire: bound it by what is sent."""

    def __init__(self, path: str, speed_hz: int, mode: int = 0) -> None:
        self.path = path
        self._fd = -1
        self._prepared: Sequence[bytes] = ()
        self._out = self._back = array.array("B")
        self._message = bytearray()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(self._fd, _WR_MODE, struct.pack("=B", mode))
            fcntl.ioctl(self._fd, _WR_BITS, struct.pack("=B", 8))
            fcntl.ioctl(self._fd, _WR_SPEED, struct.pack("=I", speed_hz))
            self.speed_hz = int(struct.unpack("=I", fcntl.ioctl(self._fd, _RD_SPEED, bytes(4)))[0])
        except OSError as error:
            self.close()
            raise SpiError(f"{path}: {_reason(error)}") from None

    def fileno(self) -> int | None:
        return None

    def exchange(self, transfers: Sequence[bytes]) -> list[bytes]:
        size = len(transfers[0])
        if transfers is not self._prepared:
            self._prepare(transfers, size)
        try:
            fcntl.ioctl(self._fd, message_request(len(transfers)), self._message)
        except (OSError, ValueError) as error:
            raise SpiError(f"{self.path}: {_reason(error)}") from None
        return _split(self._back.tobytes(), size)

    def _prepare(self, transfers: Sequence[bytes], size: int) -> None:
        """Lay out the message. The same burst is sent a hundred times a second: it is laid out once."""
        self._prepared = transfers
        self._out = array.array("B", b"".join(transfers))
        self._back = array.array("B", bytes(len(self._out)))
        out, back = self._out.buffer_info()[0], self._back.buffer_info()[0]
        self._message = message_of(out, back, size, len(transfers), self.speed_hz)

    def receive(self) -> list[bytes]:
        return []

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class SimSpi:
    """Sends one packet per exchange, and gets one packet back when the simulator is ready."""

    def __init__(self, path: str, speed_hz: int) -> None:
        self.path = path
        self.speed_hz = speed_hz
        self._size = 1
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise SpiError(f"sim:{path}: is not there ({error}); start the simulator") from None

    def fileno(self) -> int | None:
        fd = self._socket.fileno()
        return fd if fd >= 0 else None

    def exchange(self, transfers: Sequence[bytes]) -> list[bytes]:
        self._size = len(transfers[0])
        try:
            self._socket.send(_SIM_HEAD.pack(self.speed_hz, len(transfers), self._size) + b"".join(transfers))
        except (BlockingIOError, InterruptedError):
            pass  # it reads nothing: no answer will come either, and the reading grows old
        except OSError as error:
            raise SpiError(f"sim:{self.path}: is gone ({error}); plug it in again") from None
        return []

    def receive(self) -> list[bytes]:
        try:
            data = self._socket.recv(PACKET)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise SpiError(f"sim:{self.path}: is gone ({error}); plug it in again") from None
        if not data:
            raise SpiError(f"sim:{self.path}: is gone; plug it in again")
        return _split(data, self._size)

    def close(self) -> None:
        self._socket.close()


def open_spi(path: str, speed_hz: int, mode: int = 0) -> Spi:
    """Open a node, or ``sim:`` socket. Raises SpiError."""
    if path.startswith(SIM):
        return SimSpi(path.removeprefix(SIM), speed_hz)
    return KernelSpi(path, speed_hz, mode)


def message_request(count: int) -> int:
    """Return the number of the ioctl that takes that many transfers."""
    return 1 << 30 | count * _TRANSFER.size << 16 | 0x6B << 8


def message_of(out: int, back: int, size: int, count: int, speed_hz: int) -> bytearray:
    """Return ``count`` transfers of ``size`` bytes, from and to consecutive memory; the chip is deselected between."""
    message = bytearray(count * _TRANSFER.size)
    for index in range(count):
        deselect = int(index < count - 1)  # on the last one it would mean the contrary: stay selected
        at = index * size
        _TRANSFER.pack_into(
            message, index * _TRANSFER.size, out + at, back + at, size, speed_hz, 0, 8, deselect, 0, 0, 0
        )
    return message


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return "is not there; switch SPI on in the device tree, and check the node's name"
    if number in (errno.EACCES, errno.EPERM):
        return "may not be opened; give this user the group that owns it (a udev rule does)"
    if number == errno.ENOTTY:
        return "is no SPI device; name a node like /dev/spidev0.0"
    if number == errno.EMSGSIZE:
        return f"takes fewer than {MESSAGE_LIMIT} bytes in one call; set the module parameter spidev.bufsiz"
    return f"{error}; check the SPI controller"
