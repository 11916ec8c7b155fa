"""The link's sockets: AF_UNIX, SOCK_SEQPACKET, never blocking. Control listens, the agent connects.

A packet is a whole message or nothing. When the peer does not read and the socket's buffer is full, the
connection is closed: the agent then connects again and gets the whole state afresh, which is always right.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from agent.link.codec import encode
from agent.link.messages import MAX_MESSAGE_BYTES, Message

SEND_BUFFER_BYTES = 1 << 18
"""Room for some hundred messages: an agent that is busy for a second (start, fsync) loses nothing. The kernel may grant
less."""


class LinkClosedError(ConnectionError):
    """The other side is gone, or did not read for so long that it must be given up."""


class Channel:
    """One end of an open link."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._socket = connection

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send one message. Raises LinkClosedError; never blocks."""
        try:
            self._socket.send(encode(message))
        except OSError as error:
            raise LinkClosedError(f"link: {error.strerror or error}") from error

    def receive(self) -> bytes | None:
        """Return the next packet, or None when there is none at the moment. Raises LinkClosedError."""
        try:
            data = self._socket.recv(MAX_MESSAGE_BYTES + 1)
        except BlockingIOError:
            return None
        except OSError as error:
            raise LinkClosedError(f"link: {error.strerror or error}") from error
        if not data:
            raise LinkClosedError("link: closed by the other side")
        return data

    def peer(self) -> tuple[int, int]:
        """Return process id and user id of the other side (SO_PEERCRED)."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _gid = struct.unpack("3i", credentials)
        return pid, uid

    def close(self) -> None:
        self._socket.close()


class Listener:
    """Control's end before anyone has connected. Replaces a socket file that a dead process left behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o660)  # the unit files give the directory a group that holds control and agent
        self._socket.listen(2)

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> Channel | None:
        """Return the next connection, or None when there is none at the moment."""
        try:
            connection, _address = self._socket.accept()
        except OSError:  # includes BlockingIOError, and a peer that gave up before we came to it
            return None
        return Channel(connection)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def connect(path: Path) -> Channel:
    """Return the agent's end. Raises OSError when control does not listen (yet)."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return Channel(connection)
