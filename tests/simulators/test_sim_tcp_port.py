"""A device on the network, over real sockets: it answers who asked, is cut, noisy, full, and unplugged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from simulators.tcp_port import Reply, TcpPort, own_address

PATIENCE_S = 10.0


def echo(data: bytes, reply: Reply) -> None:
    reply(b"<" + data + b">")


async def connect(port: TcpPort) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.wait_for(asyncio.open_connection(port.host, port.port), PATIENCE_S)


async def ask(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], data: bytes) -> bytes:
    stream[1].write(data)
    return await asyncio.wait_for(stream[0].read(100), PATIENCE_S)


async def turned_away(port: TcpPort) -> None:
    """Connect: the reset comes at once, or in the first read."""
    stream = await connect(port)
    try:
        await asyncio.wait_for(stream[0].read(1), PATIENCE_S)
    finally:
        stream[1].close()


def play(tmp_path: Path, story: Callable[[TcpPort], Awaitable[None]], most: int = 4) -> None:
    async def run() -> None:
        port = TcpPort(tmp_path / "device", echo, most=most)
        port.open(asyncio.get_running_loop())
        try:
            await story(port)
        finally:
            port.close()

    asyncio.run(run())


def test_an_answer_goes_to_the_host_that_asked(tmp_path: Path) -> None:
    async def story(port: TcpPort) -> None:
        one, other = await connect(port), await connect(port)
        assert await ask(one, b"one") == b"<one>"
        assert await ask(other, b"other") == b"<other>"
        for _, writer in (one, other):
            writer.close()

    play(tmp_path, story)


def test_unplugged_it_resets_its_hosts_and_refuses_until_it_is_back_at_the_same_place(tmp_path: Path) -> None:
    async def story(port: TcpPort) -> None:
        place = (port.host, port.port)
        one = await connect(port)
        assert await ask(one, b"x") == b"<x>"
        port.close()
        assert not port.is_open
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(one[0].read(1), PATIENCE_S)
        one[1].close()
        with pytest.raises(ConnectionRefusedError):
            await connect(port)
        port.open(asyncio.get_running_loop())
        port.open(asyncio.get_running_loop())
        assert (port.host, port.port) == place
        again = await connect(port)
        assert await ask(again, b"y") == b"<y>"
        again[1].close()

    play(tmp_path, story)


def test_cut_it_keeps_its_hosts_and_is_deaf_and_mute(tmp_path: Path) -> None:
    async def story(port: TcpPort) -> None:
        one = await connect(port)
        assert await ask(one, b"x") == b"<x>"
        port.cut = True
        heard: list[bytes] = []
        port.on_bytes = lambda data, _: heard.append(data)
        one[1].write(b"lost")
        other = await connect(port)  # it is there, and says nothing
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one[0].read(1), 0.2)
        assert heard == []
        port.cut, port.on_bytes = False, echo
        assert await ask(one, b"y") == b"<y>"
        for _, writer in (one, other):
            writer.close()

    play(tmp_path, story)


def test_noise_damages_both_ways(tmp_path: Path) -> None:
    async def story(port: TcpPort) -> None:
        one = await connect(port)
        port.noise = 1.0
        answer = await ask(one, b"\x00\x00")
        assert len(answer) == 4
        assert answer[0] != ord("<")
        one[1].close()

    play(tmp_path, story)


def test_one_host_too_many_is_turned_away(tmp_path: Path) -> None:
    async def story(port: TcpPort) -> None:
        one = await connect(port)
        assert await ask(one, b"x") == b"<x>"
        with pytest.raises(ConnectionResetError):
            await turned_away(port)
        assert port.connections == 1
        assert await ask(one, b"y") == b"<y>"
        one[1].close()
        await one[1].wait_closed()

    play(tmp_path, story, most=1)


def test_each_name_has_an_address_of_its_own(tmp_path: Path) -> None:
    addresses = {own_address(tmp_path / f"device{number}") for number in range(100)}
    assert len(addresses) == 100
    assert all(address.startswith("127.") and not address.startswith("127.0.") for address in addresses)
    assert own_address(tmp_path / "device1") in addresses
