"""The local API over a real unix socket: good clients, bad ones, many, slow, and none at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent import __version__
from agent.local.client import CallError, LocalClient, UnreachableError
from agent.local.methods import Caller, observe
from agent.local.roles import Role, Roles, peer_of
from agent.local.server import MAX_CLIENTS, MAX_LINE_BYTES, LocalApiError, LocalServer
from agent.local.status import document
from agent.local.topics import MAX_WAITING, Published
from agent.station.documents import moment

Story = Callable[[LocalServer], Awaitable[None]]


def play(path: Path, source: Any, story: Story, **options: Any) -> None:
    async def run() -> None:
        server = LocalServer(path, source, **options)
        await server.start()
        try:
            async with asyncio.timeout(60):
                await story(server)
        finally:
            await server.close()

    asyncio.run(run())


def request(method: str, params: Any = None, identity: Any = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params or {}}).encode() + b"\n"


async def exchange(path: Path, data: bytes) -> list[Any]:
    """Send bytes, end, and return every answer."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**20)
    writer.write(data)
    writer.write_eof()
    answers = [json.loads(line) for line in (await reader.read()).splitlines()]
    writer.close()
    await writer.wait_closed()
    return answers


def test_the_client_calls(folder: Path, source: Any) -> None:
    path = folder / "run" / "api.sock"

    def use() -> None:
        with LocalClient(path) as client:
            assert client.call("status") == source.document
            assert client.call("version") == {"name": "evse-agent", "version": __version__}
            assert client.call("link.set", online=False) == {"online": False}
            assert client.call("link.set", online=True) == {"online": True}
            with pytest.raises(CallError, match="must be true or false") as caught:
                client.call("link.set", online="no")
            assert caught.value.code == -32602
            with pytest.raises(CallError, match=r"there are: link\.set, status, subscribe, unsubscribe, version"):
                client.call("nothing")

    async def story(server: LocalServer) -> None:
        await asyncio.to_thread(use)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    play(path, source, story)
    assert source.online == [False, True]
    assert not path.exists()


def test_garbage_is_answered_and_forgotten(folder: Path, source: Any) -> None:
    path = folder / "api.sock"

    async def story(server: LocalServer) -> None:
        answers = await exchange(path, b"\n \n\xff\xfe\n{\n" + request("version", identity="x") + b"unfinished")
        assert [answer.get("error", {}).get("code") for answer in answers] == [-32700, -32700, None]
        assert answers[2]["id"] == "x"

    play(path, source, story)


def test_an_endless_line_ends_the_connection(folder: Path, source: Any) -> None:
    path = folder / "api.sock"

    async def story(server: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"x" * (MAX_LINE_BYTES * 2 + 10))
        line = json.loads(await reader.readline())
        assert line["error"] == {"code": -32600, "message": f"a request is one line of at most {MAX_LINE_BYTES} bytes"}
        with contextlib.suppress(ConnectionError):  # the server hung up with our bytes unread
            assert await reader.read() == b""
        writer.transport.abort()
        assert (await exchange(path, request("version")))[0]["result"]["name"] == "evse-agent"

    play(path, source, story)


def test_a_client_that_does_not_read_is_dropped(folder: Path, source: Any) -> None:
    path = folder / "api.sock"
    calls = 0

    def big() -> str:
        nonlocal calls
        calls += 1
        return "x" * 100_000

    async def dropped(server: LocalServer) -> None:
        await asyncio.gather(*[client.task for client in server._clients if client.task is not None])

    async def story(server: LocalServer) -> None:
        with socket.socket(socket.AF_UNIX) as slow:
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, str(path))
            await loop.sock_sendall(slow, request("big") * 500)
            assert (await exchange(path, request("version")))[0]["result"]["name"] == "evse-agent"
            await dropped(server)
            assert not server._clients
        assert 0 < calls < 100, "answers must not pile up"
        assert (await exchange(path, request("version")))[0]["result"]["name"] == "evse-agent"

    play(path, source, story, extra={"big": observe(big)}, slow_client_s=0.2)


def test_the_most_silent_client_gives_way(folder: Path, source: Any) -> None:
    path = folder / "api.sock"

    async def story(server: LocalServer) -> None:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(MAX_CLIENTS)]
        for reader, writer in [held[0], *held[2:]]:
            writer.write(request("version"))
            assert await reader.readline()
        assert (await exchange(path, request("version")))[0]["id"] == 1
        assert await held[1][0].read() == b"", "number 1 never spoke"
        held[0][1].write(request("version"))
        assert await held[0][0].readline()
        assert len(server._clients) <= MAX_CLIENTS
        for _, writer in held:
            writer.transport.abort()

    play(path, source, story)


def test_a_flood_leaves_turns_for_others(folder: Path, source: Any) -> None:
    path = folder / "api.sock"
    order: list[str] = []
    begun = asyncio.Event()

    def note(name: str) -> None:
        order.append(name)
        begun.set()

    async def story(server: LocalServer) -> None:
        flood = asyncio.create_task(exchange(path, request("note", {"name": "flood"}) * 800))
        await begun.wait()
        await exchange(path, request("note", {"name": "calm"}))
        await flood
        assert order.count("flood") == 800
        assert order.index("calm") < 600

    play(path, source, story, extra={"note": observe(note)})


def test_the_peer_is_who_connects(folder: Path, source: Any) -> None:
    path = folder / "api.sock"

    def who(caller: Caller) -> list[int]:
        return [caller.peer.pid, caller.peer.uid, caller.peer.gid]

    async def story(server: LocalServer) -> None:
        answers = await exchange(path, request("who"))
        assert answers[0]["result"] == [os.getpid(), os.getuid(), os.getgid()]

    play(path, source, story, extra={"who": observe(who)})


def test_clients_are_dropped_at_the_end(folder: Path, source: Any) -> None:
    path = folder / "api.sock"

    async def story(server: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(request("version"))
        assert await reader.readline()
        await server.close()
        assert await reader.read() == b""
        writer.transport.abort()

    play(path, source, story)


def test_a_socket_left_behind_is_replaced_but_a_live_one_is_not(folder: Path, source: Any) -> None:
    path = folder / "api.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def story(server: LocalServer) -> None:
        with pytest.raises(LocalApiError, match="another agent runs already"):
            await LocalServer(path, source).start()
        assert (await exchange(path, request("version")))[0]["id"] == 1

    play(path, source, story)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file", "exists and is no socket"),
        ("file/api.sock", "check paths.runtime_dir"),
        ("x" * 120, "AF_UNIX path too long"),
    ],
)
def test_a_socket_that_cannot_be(folder: Path, source: Any, place: str, message: str) -> None:
    (folder / "file").write_text("")
    with pytest.raises(LocalApiError, match=message):
        asyncio.run(LocalServer(folder / place, source).start())
    assert (folder / "file").exists()


def test_no_agent(folder: Path) -> None:
    with pytest.raises(UnreachableError, match="no agent runs there"):
        LocalClient(folder / "api.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "api.sock"))
    with pytest.raises(UnreachableError, match="no agent runs there"):
        LocalClient(folder / "api.sock")
    with pytest.raises(UnreachableError):
        LocalClient(folder / ("x" * 200))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"garbage\n", "not JSON-RPC"),
        (b"[]\n", "not JSON-RPC"),
        (b'{"id":1,"error":3}\n', "not JSON-RPC"),
        (b'{"id":99,"result":3}\n', "not JSON-RPC"),
        (b"", "closed the connection"),
        (None, "does not answer in time"),
    ],
)
def test_a_server_that_is_not_ours(folder: Path, answer: bytes | None, message: str) -> None:
    path = folder / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with LocalClient(path, timeout_s=0.2 if answer is None else 10) as client:
            connection, _ = listener.accept()
            with connection:
                if answer:
                    connection.sendall(answer)
                if answer is not None:
                    connection.shutdown(socket.SHUT_WR)
                with pytest.raises(UnreachableError, match=message):
                    client.call("version")


def test_the_document_joins_its_parts() -> None:
    config: Any = SimpleNamespace(
        identity="N-1",
        station=SimpleNamespace(vendor="Nord", model="X"),
        ocpp=SimpleNamespace(url="ws://h"),
    )
    report: Any = SimpleNamespace(state=SimpleNamespace(value="pending"), since_utc_s=0.0, last_error="no", url="")
    figures: Any = SimpleNamespace(pending=3, parked=1, oldest_utc_s=1.5)
    now: Any = SimpleNamespace(synced=False, utc_s=2.0)
    made = document(config, report, figures, "", now, [])
    assert made["station"]["version"] == __version__
    assert made["uplink"] == {
        "state": "pending",
        "url": "ws://h",
        "since": "1970-01-01T00:00:00.000Z",
        "last_error": "no",
        "queue": {"pending": 3, "oldest_at": "1970-01-01T00:00:01.500Z", "parked": 1},
    }
    assert made["control"] == {"connected": False, "instance": ""}
    assert made["clock"] == {
        "synced": False,
        "utc": "1970-01-01T00:00:02.000Z",
        "local": "1970-01-01T00:00:02+00:00",
    }


def test_moments() -> None:
    assert moment(None) is None
    assert moment(float("inf")) is None
    assert moment(1e20) is None


def notifications(lines: list[Any]) -> list[Any]:
    return [line["params"] for line in lines if line.get("method") == "event"]


def test_a_subscriber_hears_of_each_change_and_of_each_event(folder: Path, source: Any) -> None:
    path = folder / "api.sock"
    watched: list[bool] = []
    all_gone = asyncio.Event()

    def watch(on: bool) -> None:
        watched.append(on)
        if len(watched) == 4:
            all_gone.set()

    async def story(server: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))

        async def hear() -> Any:
            return json.loads(await reader.readline())

        writer.write(request("subscribe", {"topic": "status", "period_s": 0.1}))
        assert await hear() == {"jsonrpc": "2.0", "id": 1, "result": {"subscription": 1}}
        assert (await hear())["params"] == {"subscription": 1, "topic": "status", "value": source.document}
        source.document = {**source.document, "clock": {"synced": False, "utc": ""}}
        assert (await hear())["params"]["value"]["clock"]["synced"] is False
        writer.write(request("subscribe", {"topic": "trace"}, 2))
        assert (await hear())["result"] == {"subscription": 2}
        assert watched == [True]
        server.topics.publish("trace", "one")
        server.topics.publish("trace", "two")
        assert [(await hear())["params"]["value"] for _ in range(2)] == ["one", "two"]
        writer.write(request("unsubscribe", {"subscription": 2}, 3))
        assert (await hear())["id"] == 3
        assert watched == [True, False]
        server.topics.publish("trace", "three")
        for topic, why in (("no", "there are: status, trace"), ("trace", "period_s")):
            writer.write(request("subscribe", {"topic": topic, "period_s": 0.0}, 4))
            assert why in (await hear())["error"]["message"]
        writer.write(request("subscribe", {"topic": "trace"}, 5))
        assert (await hear())["id"] == 5
        writer.close()
        await writer.wait_closed()
        await all_gone.wait()  # its end is noticed without a word
        assert watched == [True, False, True, False]

    play(path, source, story, topics={"trace": Published("frames", watch)})


def test_a_slow_subscriber_is_told_what_it_missed_and_a_dead_one_is_dropped(folder: Path, source: Any) -> None:
    path = folder / "api.sock"

    async def story(server: LocalServer) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=2**24)
        writer.write(request("subscribe", {"topic": "trace"}))
        assert json.loads(await reader.readline())["result"]
        for number in range(MAX_WAITING + 50):
            server.topics.publish("trace", number)
        first = json.loads(await reader.readline())["params"]
        assert (first["value"], first["missed"]) == (50, 50)
        for number in range(51, MAX_WAITING + 50):
            assert json.loads(await reader.readline())["params"]["value"] == number
        # It stops reading: its buffers fill, then it is gone, and the agent has never waited.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        big = "x" * 100_000
        for _ in range(MAX_WAITING):
            server.topics.publish("trace", big)
        await gone.wait()
        writer.transport.abort()

    gone = asyncio.Event()
    frames = Published("frames", lambda on: None if on else gone.set())
    play(path, source, story, topics={"trace": frames}, slow_client_s=0.2)


def test_the_kernel_tells_groups_too(folder: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.getuid(), os.getgid())
    assert peer.groups == frozenset((os.getgid(), *os.getgroups()))


def test_who_has_no_role_learns_only_the_version(folder: Path, source: Any) -> None:
    path = folder / "api.sock"
    roles = Roles({})
    roles.of = lambda peer: Role.NONE  # type: ignore[method-assign]

    async def story(server: LocalServer) -> None:
        answers = await exchange(
            path, request("version") + request("status") + request("subscribe", {"topic": "status"})
        )
        assert "result" in answers[0]
        assert [answer["error"]["code"] for answer in answers[1:]] == [-32001, -32001]

    play(path, source, story, roles=roles)
