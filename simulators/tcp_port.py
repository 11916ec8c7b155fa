"""A TCP server on loopback in the place of a device on the network: it can be cut, noisy, and unplugged.

Each port has an address of its own in 127.0.0.0/8, made of its name, so that it is known before it is opened, is the
same after unplugging, and is never taken by another lab of the machine. asyncio's own server is not used: unplugging
must reset connections at once, and a cut wire must leave them open and dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

READ_SIZE = 4096
MODBUS_PORT = 1502
"""In the place of 502, which only root may serve."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of nought seconds: the far end is reset, as by a device that was switched off and back on."""

Reply = Callable[[bytes], None]


def own_address(name: Path) -> str:
    """A loopback address for that name, the same each time."""
    digest = hashlib.sha256(str(name.absolute()).encode()).digest()
    return f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + digest[2] % 254}"


class TcpPort:
    """``simulators.lab.kinds.LabPort``. ``on_bytes(data, reply)`` gets what a host writes; ``reply`` answers that host.

    A host beyond ``most`` is turned away, as devices with few sockets do.
    """

    def __init__(
        self,
        name: Path,
        on_bytes: Callable[[bytes, Reply], None],
        *,
        port: int = MODBUS_PORT,
        most: int = 4,
        seed: int = 1,
    ) -> None:
        self.host = own_address(name)
        self.port = port
        self.on_bytes = on_bytes
        self.noise = 0.0
        self.cut = False
        self._most = most
        self._random = random.Random(seed)
        self._listener: socket.socket | None = None
        self._hosts: set[socket.socket] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        return self._listener is not None

    @property
    def connections(self) -> int:
        return len(self._hosts)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen. Does nothing when it does already."""
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen()
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self._listener, self._loop = listener, loop
        loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Unplug it: nobody listens any more, and every connection is reset."""
        if self._listener is None or self._loop is None:
            return
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        self.drop()

    def drop(self) -> None:
        """Reset every connection, as a device that restarts does."""
        for host in list(self._hosts):
            self._forget(host)

    def _accept(self) -> None:
        if self._listener is None or self._loop is None:
            return
        try:
            host, _ = self._listener.accept()
        except OSError:
            return
        host.setblocking(False)
        host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hosts.add(host)
        if len(self._hosts) > self._most:
            self._forget(host)
            return
        self._loop.add_reader(host, self._readable, host)

    def _forget(self, host: socket.socket) -> None:
        if host not in self._hosts:
            return
        self._hosts.discard(host)
        if self._loop is not None:
            self._loop.remove_reader(host)
        with contextlib.suppress(OSError):
            host.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        host.close()

    def _readable(self, host: socket.socket) -> None:
        try:
            data = host.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(host)
        elif not self.cut:
            self.on_bytes(self._spoil(data), partial(self._write, host))

    def _write(self, host: socket.socket, data: bytes) -> None:
        if host not in self._hosts or self.cut:
            return
        data = self._spoil(data)
        try:
            sent = host.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._forget(host)
            return
        if sent < len(data):  # the host has stopped reading: a small device gives up on it
            self._forget(host)

    def _spoil(self, data: bytes) -> bytes:
        if self.noise <= 0.0:
            return data
        chance = self._random.random
        return bytes(byte ^ (1 << self._random.randrange(8)) if chance() < self.noise else byte for byte in data)
