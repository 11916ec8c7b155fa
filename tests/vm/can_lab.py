"""The lab inside the virtual charger, with its CAN nodes on the kernel's own bus (can1) instead of behind adapters.

python3 -m tests.vm.can_lab can1 <arguments of evse-sim lab>
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from simulators.can import adapter, board_kind, io_kind
from simulators.cli import main as lab_main

_FRAME = struct.Struct("=IB3x8s")
EXTENDED = 0x80000000
NUMBER = 0x1FFFFFFF


class SocketCanPort(adapter.SlcanPort):
    """The same peer, on an interface of the kernel."""

    interface = ""

    def __init__(self, link: Path, bitrate: int, on_frame: Callable[[int, bool, bytes], None], seed: int = 1) -> None:
        super().__init__(link, bitrate, on_frame, seed)
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    @property
    def on_bus(self) -> bool:
        return self._socket is not None and not self.cut

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
            self._socket.bind((self.interface,))
            self._socket.setblocking(False)
            self._loop = loop
            loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def send(self, number: int, data: bytes, *, extended: bool = False) -> None:
        if self._socket is not None and self.on_bus:
            frame = _FRAME.pack(number | (EXTENDED if extended else 0), len(data), data.ljust(8, b"\0"))
            try:
                self._socket.send(frame)
            except OSError as error:
                # The interface's queue is full: an emulated controller on a busy machine. A node would lose it, too.
                if error.errno != errno.ENOBUFS:
                    raise

    def _readable(self) -> None:
        while self._socket is not None:
            try:
                frame = self._socket.recv(_FRAME.size)
            except BlockingIOError:
                return
            number, count, data = _FRAME.unpack(frame)
            if not self.cut:
                self._on_frame(number & NUMBER, bool(number & EXTENDED), data[:count])


def main() -> int:
    SocketCanPort.interface = sys.argv[1]
    for module in (board_kind, io_kind):
        vars(module)["SlcanPort"] = SocketCanPort
    return int(lab_main(["lab", *sys.argv[2:]]) or 0)


if __name__ == "__main__":
    sys.exit(main())
