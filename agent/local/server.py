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
from collections.abc import Mapping
from pathlib import Path

from agent import __version__
from agent.local.methods import Caller, Method, Methods, observe, operate
from agent.local.roles import Role, Roles, peer_of
from agent.local.rpc import Audit, LocalApi, encoded, oversized
from agent.local.socket_access import admit
from agent.local.status import StatusDocument, StatusSource
from agent.local.topics import Polled, Published, Subscriber, Topics

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 64 * 1024
MAX_CLIENTS = 16
SLOW_CLIENT_S = 5.0
"""How long an answer may wait for a client to read it."""

_SOCKET_MODE = 0o660
_TOPICS = "topics"
"""Where a connection's memory keeps its subscriptions."""


class LocalApiError(Exception):
    """The socket cannot be opened. The text names it, the reason and the remedy."""


def methods(source: StatusSource) -> dict[str, Method]:
    """Return the methods that every agent has, by name."""

    def status() -> StatusDocument:
        """Everything about the charge point and its EVSEs: what each does, and why it does not charge."""
        return source.status()

    def link_set(online: bool) -> dict[str, bool]:
        """Drop (false) or restore (true) the link to the operator's network on purpose."""
        source.set_uplink(online)
        return {"online": online}

    def version() -> dict[str, str]:
        """Name and version of the agent."""
        return {"name": "evse-agent", "version": __version__}

    return {"status": observe(status), "link.set": operate(link_set), "version": Method(version, Role.NONE)}


def server_topics(source: StatusSource) -> dict[str, Polled | Published]:
    """Return the topics that every agent has, by name."""

    def status(_: int) -> StatusDocument:
        return source.status()

    return {"status": Polled(status, "the status document: [StatusDocument](#statusdocument)")}


def subscription_methods() -> dict[str, Method]:
    """Return the methods by which a client asks for live values."""

    def subscribe(topic: str, caller: Caller, period_s: float = 1.0, evse: int = 0) -> dict[str, int]:
        """Have a topic's values pushed as notifications ``event`` with ``subscription``, ``topic``, ``value`` (and
        ``missed``, when the client was too slow). A polled topic is looked at every ``period_s`` seconds."""
        subscriber: Subscriber = caller.memory[_TOPICS]
        now = asyncio.get_running_loop().time()
        return {"subscription": subscriber.add(topic, period_s, evse, now)}

    def unsubscribe(subscription: int, caller: Caller) -> dict[str, int]:
        """End a subscription."""
        subscriber: Subscriber = caller.memory[_TOPICS]
        subscriber.remove(subscription)
        return {"subscription": subscription}

    return {"subscribe": observe(subscribe), "unsubscribe": observe(unsubscribe)}


class _Client:
    """One connection. ``heard`` orders clients by their last request."""

    def __init__(self, writer: asyncio.StreamWriter, heard: int, subscriber: Subscriber) -> None:
        self.writer = writer
        self.heard = heard
        self.subscriber = subscriber
        self.task: asyncio.Task[None] | None = None
        self.pushing: asyncio.Task[None] | None = None


class LocalServer:
    """Serves the local API until closed.

    ``source`` gives the standard methods; ``extra`` adds more by name. ``topics`` can be subscribed to. ``roles``
    judges who connects (without it: this user and root alone). ``audit`` hears of every change.
    """

    def __init__(
        self,
        path: Path,
        source: StatusSource,
        extra: Methods | None = None,
        *,
        topics: Mapping[str, Polled | Published] | None = None,
        roles: Roles | None = None,
        audit: Audit | None = None,
        slow_client_s: float = SLOW_CLIENT_S,
    ) -> None:
        self._path = path
        self.topics = Topics({**server_topics(source), **(topics or {})})
        self._roles = roles or Roles({})
        self._api = LocalApi({**methods(source), **subscription_methods(), **(extra or {})}, audit)
        self._slow_client_s = slow_client_s
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._clients: set[_Client] = set()
        self._heard = 0

    async def start(self) -> None:
        """Open the socket. Raises LocalApiError."""
        listener = _listen(self._path)
        admit(self._path, self._roles.numbers)
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
        client = _Client(writer, self._heard, self.topics.subscriber())
        self._clients.add(client)
        client.task = asyncio.get_running_loop().create_task(self._serve(reader, client), name="local API client")

    def _drop(self, client: _Client) -> None:
        self._clients.discard(client)
        client.writer.transport.abort()
        for task in (client.task, client.pushing):
            if task is not None:
                task.cancel()

    async def _push(self, client: _Client) -> None:
        """Send what a client has subscribed to, as fast as it reads and no faster."""
        loop = asyncio.get_running_loop()
        subscriber, writer = client.subscriber, client.writer
        while True:
            subscriber.stirred.clear()
            try:
                events, wake = subscriber.due(loop.time())
            except Exception:
                # Values come from all over the agent. A fault in one costs its subscriber, not the agent: a task that
                # died in silence would leave the subscriber waiting for ever.
                log.exception("local API: a topic failed; its subscriber is dropped")
                self._drop(client)
                return
            for event in events:
                writer.write(encoded({"jsonrpc": "2.0", "method": "event", "params": event}) + b"\n")
            if events:
                try:
                    async with asyncio.timeout(self._slow_client_s):
                        await writer.drain()
                except (TimeoutError, OSError):
                    log.warning("local API: a subscriber did not read for %g s and was dropped", self._slow_client_s)
                    self._drop(client)
                    return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wake is None else max(0.0, wake - loop.time())):
                    await subscriber.stirred.wait()

    async def _serve(self, reader: asyncio.StreamReader, client: _Client) -> None:
        writer = client.writer
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            caller = Caller(peer, self._roles.of(peer), memory={_TOPICS: client.subscriber})
            while (line := await _line(reader)) is not None:
                self._heard += 1
                client.heard = self._heard
                answer = oversized(MAX_LINE_BYTES) if not line else await self._api.answer(line, caller)
                if answer is not None:
                    writer.write(answer)
                    async with asyncio.timeout(self._slow_client_s):
                        await writer.drain()
                if not line:
                    break
                if client.pushing is None and client.subscriber.stirred.is_set():
                    client.pushing = asyncio.get_running_loop().create_task(self._push(client))
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
            self.topics.forget(client.subscriber)
            if client.pushing is not None:
                client.pushing.cancel()
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
