"""The local API's server: newline-delimited JSON-RPC 2.0 on a unix socket.

Nothing a client does can stall the agent. Lines, clients and answers in flight are bounded; each request takes its
turn in the event loop; a client that does not read its answers is dropped; when all places are taken the client that
has been silent longest gives way, so that a technician always gets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent import __version__
from agent.local.rpc import LocalApi, Peer, oversized
from agent.local.status import StatusDocument, StatusSource

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 64 * 1024
MAX_CLIENTS = 16
SLOW_CLIENT_S = 5.0
"""How long an answer may wait for a client to read it."""

_SOCKET_MODE = 0o660
_UCRED = struct.Struct("=iII")


class LocalApiError(Exception):
    """The socket cannot be opened. The text names it, the reason and the remedy."""


def methods(source: StatusSource) -> dict[str, Callable[..., Any]]:
    """Return the methods of the local API by name."""

    def status() -> StatusDocument:
        """The status document (``agent.local.status``)."""
        return source.status()

    def link_set(online: bool) -> dict[str, bool]:
        """Drop (false) or restore (true) the link to the operator's network on purpose."""
        source.set_uplink(online)
        return {"online": online}

    def version() -> dict[str, str]:
        """Name and version of the agent."""
        return {"name": "evse-agent", "version": __version__}

    return {"status": status, "link.set": link_set, "version": version}


class _Client:
    """One connection. ``heard`` orders clients by their last request."""

    def __init__(self, writer: asyncio.StreamWriter, heard: int) -> None:
        self.writer = writer
        self.heard = heard
        self.task: asyncio.Task[None] | None = None


class LocalServer:
    """Serves the local API until closed.

    ``source`` gives the standard methods; ``extra`` adds more by name.
    """

    def __init__(
        self,
        path: Path,
        source: StatusSource,
        extra: Mapping[str, Callable[..., Any]] | None = None,
        *,
        slow_client_s: float = SLOW_CLIENT_S,
    ) -> None:
        self._path = path
        self._api = LocalApi({**methods(source), **(extra or {})})
        self._slow_client_s = slow_client_s
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._clients: set[_Client] = set()
        self._heard = 0

    async def start(self) -> None:
        """Open the socket. Raises LocalApiError."""
        listener = _listen(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._connected, sock=listener, limit=MAX_LINE_BYTES)

    async def close(self) -> None:
        """Drop every client and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        tasks = [client.task for client in self._clients if client.task is not None]
        for client in tuple(self._clients):
            self._drop(client)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            self._drop(min(self._clients, key=lambda client: client.heard))
        self._heard += 1
        client = _Client(writer, self._heard)
        self._clients.add(client)
        client.task = asyncio.get_running_loop().create_task(self._serve(reader, client), name="local API client")

    def _drop(self, client: _Client) -> None:
        self._clients.discard(client)
        client.writer.transport.abort()
        if client.task is not None:
            client.task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, client: _Client) -> None:
        writer = client.writer
        try:
            peer = _peer(writer)
            while (line := await _line(reader)) is not None:
                self._heard += 1
                client.heard = self._heard
                answer = oversized(MAX_LINE_BYTES) if not line else await self._api.answer(line, peer)
                if answer is not None:
                    writer.write(answer)
                    async with asyncio.timeout(self._slow_client_s):
                        await writer.drain()
                if not line:
                    break
                # One request per turn of the loop: a client that sends many at once waits like all others.
                await asyncio.sleep(0)
            async with asyncio.timeout(self._slow_client_s):
                writer.close()
                await writer.wait_closed()
        except TimeoutError:
            log.warning("local API: a client did not read its answers for %g s and was dropped", self._slow_client_s)
        except OSError as error:
            log.debug("local API: a client went away: %s", error)
        finally:
            self._clients.discard(client)
            writer.transport.abort()


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next line, empty for one that is too long, None at the end (an unfinished line is dropped)."""
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            return b""
        if line.strip():
            return line
        await asyncio.sleep(0)


def _peer(writer: asyncio.StreamWriter) -> Peer:
    connection = writer.get_extra_info("socket")
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid, gid)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        listener.bind(os.fspath(path))
        path.chmod(_SOCKET_MODE)  # before listen: nobody can have connected under the wider mode
        listener.listen(MAX_CLIENTS)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise LocalApiError(f"local API: {path}: {reason}; check paths.runtime_dir and its owner") from error
    except LocalApiError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed agent left behind. Raises LocalApiError when an agent answers there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LocalApiError(f"local API: {path} exists and is no socket; remove it, or change paths.runtime_dir")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise
        else:
            raise LocalApiError(f"local API: {path} is in use; another agent runs already, stop it first")
    path.unlink(missing_ok=True)
