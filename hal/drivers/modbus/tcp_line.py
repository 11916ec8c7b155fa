"""A TCP connection that never blocks and comes back by itself; the same calls as a ``SerialLine``.

The peer is named by its address, not by a host name: looking up a name waits. Only the machine itself and local
networks are allowed: whoever can reach a Modbus peer can command it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
from dataclasses import dataclass

from hal.ports import DeviceError

REOPEN_INTERVAL_S = 1.0
CONNECT_TIMEOUT_S = 2.0
CONNECT_LOOK_S = 0.02
"""While a connection is being made the loop, which waits for reading only, comes by this often."""
USER_TIMEOUT_MS = 4000
"""What was sent and not acknowledged for so long ends the connection (Linux TCP_USER_TIMEOUT)."""
KEEP_ALIVE_IDLE_S, KEEP_ALIVE_EVERY_S, KEEP_ALIVE_TRIES = 5, 1, 3
MAX_PENDING = 4096
READ_SIZE = 4096

_REMEDIES = {
    errno.ECONNREFUSED: "refuses the connection; switch Modbus TCP on in the device, check 'tcp_port'",
    errno.EHOSTUNREACH: "cannot be reached; check its power, the network cable and 'host'",
    errno.ENETUNREACH: "cannot be reached; no network leads there",
    errno.ETIMEDOUT: "does not answer; check its power, the network cable and 'host'",
    errno.ECONNRESET: "has ended the connection; it may serve one master only",
    errno.EPIPE: "has ended the connection; it may serve one master only",
    errno.EACCES: "may not be reached; allow this address in the unit of evse-control",
    errno.EPERM: "may not be reached; allow this address in the unit of evse-control",
}


def check_host(host: str) -> str:
    """Return the broken rule and its remedy, or an empty text. An empty host is left to whoever needs one."""
    if not host:
        return ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{host!r} is no IP address; names are not looked up here, give the address itself (192.168.1.50)"
    if not (address.is_private or address.is_link_local or address.is_loopback) or address.is_unspecified:
        return f"{host} is no address of a local network; Modbus must not leave it"
    return ""


@dataclass(slots=True)
class TcpLine:
    """One connection. ``trouble`` is empty while it is open, else it names the peer, the reason and the remedy."""

    host: str
    port: int
    trouble: str = "not opened yet"
    next_open_at: float = 0.0
    _socket: socket.socket | None = None
    _connected: bool = False
    _give_up_at: float = 0.0
    _pending: bytes = b""

    @property
    def is_open(self) -> bool:
        return self._connected

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    def fileno(self) -> int | None:
        return self._socket.fileno() if self._socket is not None and self._connected else None

    def check(self) -> None:
        """Raise DeviceError when the address can never be used."""
        wrong = check_host(self.host)
        if wrong:
            raise DeviceError(f"host: {wrong}")

    def open(self, now: float) -> bool:
        """Begin to connect, or see how far it is. True once the connection stands."""
        if self._connected:
            return True
        if self._socket is None:
            if now < self.next_open_at:
                return False
            self._begin(now)
        if self._socket is not None and not self._connected:
            self._look(now)
        return self._connected

    def reopen(self, now: float) -> bool:
        """The same as ``open``: an address, unlike a serial node, never comes back as something else."""
        return self.open(now)

    def _begin(self, now: float) -> None:
        self._pending = b""
        self._give_up_at = now + CONNECT_TIMEOUT_S
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        fresh: socket.socket | None = None
        try:
            fresh = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_IDLE_S)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_ALIVE_EVERY_S)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEP_ALIVE_TRIES)
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            result = fresh.connect_ex((self.host, self.port))
        except OSError as error:
            result = error.errno or errno.EIO
        self._socket = fresh
        if result not in (0, errno.EINPROGRESS):
            self._lose(_reason(result), now)

    def _look(self, now: float) -> None:
        assert self._socket is not None
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLOUT)
        if not poll.poll(0):
            if now >= self._give_up_at:
                self._lose(_reason(errno.ETIMEDOUT), now)
            else:
                self.trouble = f"{self.name}: connecting"
                self.next_open_at = now + CONNECT_LOOK_S
            return
        result = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if result:
            self._lose(_reason(result), now)
            return
        self._connected = True
        self.trouble = ""
        self.next_open_at = now + REOPEN_INTERVAL_S

    def read(self) -> bytes:
        """Return what has arrived; empty when nothing has, or when the connection was lost."""
        if self._socket is None or not self._connected:
            return b""
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            self._lose(_reason(error.errno or errno.EIO))
            return b""
        if not data:
            self._lose("has ended the connection; it may serve one master only")
        return data

    def send(self, data: bytes, key: str = "", *, urgent: bool = False) -> None:  # noqa: ARG002 (one frame at a time)
        if not self._connected:
            return
        self._pending += data
        self.flush()
        if len(self._pending) > MAX_PENDING:
            self._lose("takes no data; restart it")

    def flush(self) -> None:
        if self._socket is None or not self._connected:
            return
        while self._pending:
            try:
                sent = self._socket.send(self._pending)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(_reason(error.errno or errno.EIO))
                return
            self._pending = self._pending[sent:]

    def discard_input(self) -> None:
        """Nothing to do: transaction ids tell late answers apart, and dropping bytes would break the framing."""

    def give_up(self, reason: str, now: float) -> None:
        """End a connection that stands but does not work (half open, out of step); it is made anew."""
        self._lose(reason, now)

    def close(self) -> None:
        self._drop()
        self.trouble = f"{self.name}: closed"

    def _drop(self) -> None:
        old, self._socket = self._socket, None
        self._connected = False
        self._pending = b""
        if old is not None:
            with contextlib.suppress(OSError):
                old.close()

    def _lose(self, reason: str, now: float | None = None) -> None:
        self._drop()
        self.trouble = f"{self.name}: {reason}"
        if now is not None:
            self.next_open_at = now + REOPEN_INTERVAL_S


def _reason(number: int) -> str:
    return _REMEDIES.get(number) or f"{os.strerror(number)}; check 'host' and 'tcp_port'"
