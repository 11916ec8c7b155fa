"""The proxy forwards as a link does, and fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from simulators.proxy import Link, Proxy

Talk = Callable[[Proxy, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


def through(talk: Talk) -> None:
    async def main() -> None:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            async with asyncio.timeout(20):
                await talk(proxy, reader, writer)
            writer.close()

    asyncio.run(main())


def test_forwards() -> None:
    async def talk(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert len(proxy.opened_at) == 1

    through(talk)


def test_what_is_swallowed_is_lost_and_what_is_held_is_not() -> None:
    async def talk(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.up.set(Link.SWALLOW)
        writer.write(b"lost")
        while proxy.up.swallowed < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        proxy.up.set(Link.STOP_READING)
        writer.write(b"held")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        proxy.heal()
        assert await reader.readexactly(4) == b"held"

    through(talk)


def test_trickles() -> None:
    async def talk(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.down.set(bytes_per_s=10)
        writer.write(b"0123456789" * 100)
        assert await reader.readexactly(3) == b"012"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.readexactly(200)
        proxy.heal()
        assert len(await reader.readexactly(700)) == 700

    through(talk)


@pytest.mark.parametrize("garbling", [True, False])
def test_new_connections_are_refused_or_garbled(garbling: bool) -> None:
    async def talk(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.refusing, proxy.garbling = not garbling, garbling
        other, other_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            assert (len(await other.read()) > 0) is garbling
        except ConnectionResetError:
            assert not garbling
        other_writer.close()
        proxy.cut()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)

    through(talk)
