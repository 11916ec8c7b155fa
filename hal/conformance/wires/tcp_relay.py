"""A listener on loopback in front of a host: the driver connects to the listener, the kit to the host."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hal.conformance.wires import NodeError, Said, Trick

READ_SIZE = 65536
CONNECT_S = 2.0
HERE = "127.0.0.1"
PORT_OPTIONS = ("port", "tcp_port")


@dataclass(slots=True)
class _Pair:
    """One connection of the driver and its continuation to the host; None where the host is kept out."""

    near: socket.socket
    far: socket.socket | None
    to_far: bytearray = field(default_factory=bytearray)
    to_near: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        self.near.close()
        if self.far is not None:
            self.far.close()


class TcpRelay:
    """Options need ``host`` and an integer ``port`` (or ``tcp_port``)."""

    tricks = frozenset(Trick) - {Trick.OWN}
    why_not = "a TCP host may serve several; that no two devices share it is the configuration's to see"

    def __init__(self, options: Any, field: str, directory: Path) -> None:  # noqa: ARG002 (no files are needed)
        self._port_option = next(name for name in PORT_OPTIONS if isinstance(getattr(options, name, None), int))
        self._real = (str(getattr(options, field)), int(getattr(options, self._port_option)))
        self.label = f"TCP relay to {self._real[0]}:{self._real[1]}"
        self._listener: socket.socket | None = _listen(0)
        self._port = int(self._listener.getsockname()[1])
        self.node = HERE
        self.options = dataclasses.replace(options, **{field: HERE, self._port_option: self._port})
        self.cut = False
        self.said: list[Said] = []
        self._connected = False
        self._pairs: list[_Pair] = []

    def open(self, connected: bool) -> None:
        self.said = []
        self.cut = False
        self._connected = connected
        if connected:
            try:
                socket.create_connection(self._real, CONNECT_S).close()
            except OSError as error:
                reason = error.strerror or error
                raise NodeError(f"{self._real[0]}:{self._real[1]}: {reason}; check its power and address") from None
        self.plug_in()

    def close(self) -> None:
        self.pump()
        self.unplug()

    def filenos(self) -> list[int]:
        fds = [] if self._listener is None else [self._listener.fileno()]
        for pair in self._pairs:
            fds += [pair.near.fileno(), *([] if pair.far is None else [pair.far.fileno()])]
        return fds

    def pump(self) -> None:
        self._accept()
        for pair in list(self._pairs):
            alive = True
            data = _received(pair.near)
            if data:
                self.said.append(Said(time.monotonic(), data))
                if not self.cut and pair.far is not None:
                    pair.to_far += data
            alive = data is not None
            if pair.far is not None:
                answer = _received(pair.far)
                if answer and not self.cut:
                    pair.to_near += answer
                alive = alive and answer is not None
                alive = alive and _sent(pair.far, pair.to_far)
            alive = alive and _sent(pair.near, pair.to_near)
            if not alive:
                pair.close()
                self._pairs.remove(pair)

    def inject(self, data: bytes) -> None:
        for pair in self._pairs:
            pair.to_near += data
        self.pump()

    def unplug(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for pair in self._pairs:
            pair.close()
        self._pairs = []

    def plug_in(self) -> None:
        if self._listener is None:
            self._listener = _listen(self._port)

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            near.setblocking(False)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far = None
            if self._connected:
                try:
                    far = socket.create_connection(self._real, CONNECT_S)
                except OSError:
                    near.close()
                    continue
                far.setblocking(False)
                far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append(_Pair(near, far))


def _listen(port: int) -> socket.socket:
    listener = socket.create_server((HERE, port))
    listener.setblocking(False)
    return listener


def _received(end: socket.socket) -> bytes | None:
    """Return what has arrived; None when the connection is over."""
    try:
        return end.recv(READ_SIZE) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None


def _sent(end: socket.socket, waiting: bytearray) -> bool:
    if waiting:
        with contextlib.suppress(BlockingIOError):
            try:
                del waiting[: end.send(waiting)]
            except BlockingIOError:
                return True
            except OSError:
                return False
    return True
