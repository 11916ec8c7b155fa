"""A unix SOCK_SEQPACKET server in a thread of its own, so that it answers as promptly as a kernel would,
whatever the simulator's event loop is doing."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from pathlib import Path
from typing import Protocol

PACKET = 65536
JOIN_S = 2.0


class Handler(Protocol):
    """What is served. All methods run in the server's thread."""

    def packet(self, client: socket.socket, data: bytes) -> None: ...

    def gone(self, client: socket.socket) -> None: ...

    def due(self) -> float | None:
        """Do what time brings; return seconds until it is to be called again, None for no need."""


class PacketServer:
    """``open`` makes the socket at ``path``; ``close`` takes it away and hangs up on everybody."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.path = path
        self._handler = handler
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._wake_fds = (-1, -1)
        self._stop = False

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    def open(self) -> None:
        if self._thread is not None:
            return
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self._wake_fds = os.pipe()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name=f"packets {self.path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.path.unlink(missing_ok=True)
        self._stop = True
        self.wake()
        thread.join(JOIN_S)
        for fd in self._wake_fds:
            os.close(fd)
        self._wake_fds = (-1, -1)

    def wake(self) -> None:
        """Have ``due`` asked again, from any thread."""
        if self._wake_fds[1] >= 0:
            os.write(self._wake_fds[1], b"w")

    def _run(self) -> None:
        listener = self._listener
        assert listener is not None
        clients: set[socket.socket] = set()
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._wake_fds[0], selectors.EVENT_READ)
            while not self._stop:
                for key, _ in selector.select(self._handler.due()):
                    if key.fileobj is listener:
                        client, _ = listener.accept()
                        clients.add(client)
                        selector.register(client, selectors.EVENT_READ)
                    elif isinstance(key.fileobj, socket.socket):
                        if not self._serve(key.fileobj):
                            selector.unregister(key.fileobj)
                            clients.discard(key.fileobj)
                            self._hang_up(key.fileobj)
                    else:
                        os.read(self._wake_fds[0], 64)
            for client in clients:
                self._hang_up(client)
            listener.close()

    def _serve(self, client: socket.socket) -> bool:
        try:
            data = client.recv(PACKET)
        except OSError:
            data = b""
        if data:
            self._handler.packet(client, data)
        return bool(data)

    def _hang_up(self, client: socket.socket) -> None:
        self._handler.gone(client)
        with contextlib.suppress(OSError):
            client.close()
