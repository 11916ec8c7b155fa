"""The proxy: forwards bytes both ways on the loopback until it is told to behave like a bad link.

``up`` is the way from charge point to network, ``down`` the other. Each way can

- ``forward`` (how it begins);
- ``stop_reading``: take nothing more, so that the sender's buffers fill. Nothing is lost;
- ``swallow``: take everything and forward nothing. What was taken is lost, as on a dead mobile link;
- ``trickle``: forward so many bytes per second.

``cut`` resets every connection, ``refuse`` takes new ones only to end them at once, ``garble`` answers them with bytes
that are no protocol. Used as ``async with Proxy(port) as proxy``; everything acts on present and future connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from enum import Enum
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65536
GARBAGE = b"\x00\xffSSH-2.0-not-what-you-wanted\r\n"


class Link(Enum):
    FORWARD = "forward"
    STOP_READING = "stop_reading"
    SWALLOW = "swallow"


class Way:
    """One direction."""

    def __init__(self) -> None:
        self.link = Link.FORWARD
        self.bytes_per_s = 0.0
        """0: as fast as it goes."""
        self.swallowed = 0
        self._changed = asyncio.Event()

    def set(self, link: Link = Link.FORWARD, bytes_per_s: float = 0.0) -> None:
        """Change how this way behaves; without arguments it is as good as new."""
        self.link, self.bytes_per_s = link, bytes_per_s
        self._changed.set()
        self._changed = asyncio.Event()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Move bytes until either end is gone."""
        while True:
            while self.link is Link.STOP_READING:
                await self._changed.wait()
            data = await reader.read(CHUNK)
            if not data:
                return
            await self._pass_on(data, writer)

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while data:
            while self.link is Link.STOP_READING:
                await self._changed.wait()
            if self.link is Link.SWALLOW:
                self.swallowed += len(data)
                return
            if not self.bytes_per_s:
                writer.write(data)
                await writer.drain()
                return
            piece = max(1, int(self.bytes_per_s / 10))
            writer.write(data[:piece])
            await writer.drain()
            data = data[piece:]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(piece / self.bytes_per_s):
                    await self._changed.wait()


class Proxy:
    """Listens on a free port and connects each caller to ``target_port``. ``tls``: end TLS here."""

    def __init__(self, target_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target_port = target_port
        self.tls = tls
        self.port = 0
        self.up = Way()
        self.down = Way()
        self.refusing = False
        self.garbling = False
        self.opened_at: list[float] = []
        """When connections came, in monotonic seconds."""
        self.lost_at: list[float] = []
        """When the charge point's end of one was gone."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What a charge point is configured with."""
        return f"{'wss' if self.tls else 'ws'}://{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_listening()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self) -> None:
        """Take connections, always on the same port. A new ``tls`` counts from here."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, HOST, self.port, ssl=self.tls)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop_listening(self) -> None:
        """Take no more; present connections stay."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def heal(self) -> None:
        """Behave as a good link again."""
        self.up.set()
        self.down.set()
        self.refusing = self.garbling = False

    def cut(self) -> None:
        """Reset every connection, as a router that forgot them does."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.opened_at.append(time.monotonic())
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            return  # cancelled only by __aexit__; the server's own callback would log it as a fault
        finally:
            self.lost_at.append(time.monotonic())
            self._writers.discard(writer)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            return
        if self.garbling:
            writer.write(GARBAGE)
            await writer.drain()
            return
        far_reader, far_writer = await asyncio.open_connection(HOST, self.target_port)
        self._writers.add(far_writer)
        ways = [
            asyncio.create_task(self.up.carry(reader, far_writer)),
            asyncio.create_task(self.down.carry(far_reader, writer)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(far_writer)
            far_writer.transport.abort()
