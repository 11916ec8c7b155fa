"""The connection against WebSocket servers that misbehave, and the pure parts of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ocpp_fakes import FakeJournal, FakeStation, as_in_file, config
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agent.clock import Clock
from agent.config.schema import Ocpp
from agent.ocpp.back_off import back_off
from agent.ocpp.connection import (
    ConnectError,
    basic_authorisation,
    charge_point_url,
    open_connection,
    tls_context,
)
from agent.ocpp.network_profile import NetworkProfile, configured
from agent.ocpp.ports import UplinkState
from agent.ocpp.tunnel import Tunnel

WAIT_S = 20.0
BOOTED = {"status": "Accepted", "currentTime": "2026-09-21T14:13:20Z", "interval": 300}

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def server(handler: Handler, **options: Any) -> AsyncIterator[str]:
    settings: dict[str, Any] = {"subprotocols": ["ocpp1.6"], "compression": None, "ping_interval": None}
    async with serve(handler, "127.0.0.1", 0, close_timeout=1, **(settings | options)) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ocpp"


async def answer(connection: ServerConnection) -> None:
    """A network that says yes to everything."""
    with contextlib.suppress(ConnectionClosed):
        async for text in connection:
            kind, message_id, *rest = json.loads(text)
            if kind == 2:
                payload = BOOTED if rest[0] == "BootNotification" else {"currentTime": BOOTED["currentTime"]}
                await connection.send(json.dumps([3, message_id, payload if rest[0] != "StatusNotification" else {}]))


class Rig:
    def __init__(self, url: str, ping_s: int = 30, **ocpp: Any) -> None:
        self.station = FakeStation()
        self.station.settings.set("OCPPCommCtrlr.WebSocketPingInterval", str(ping_s))
        self.journal = FakeJournal()
        file = config(url, **ocpp)
        self.tunnel = Tunnel(file, self.journal, as_in_file(self.station.settings, file), self.station, Clock())

    async def __aenter__(self) -> Rig:
        self.task = asyncio.create_task(self.tunnel.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.task.done()
        self.task.cancel()
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, ready: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not ready():  # noqa: ASYNC110 (what is awaited is plain data)
                await asyncio.sleep(0.005)


def way(ocpp: Ocpp, identity: str = "CP1") -> NetworkProfile:
    return configured(replace(config(), ocpp=replace(ocpp, identity=identity)))[0]


async def opening(ocpp: Ocpp, identity: str = "CP1") -> ClientConnection:
    profile = way(ocpp, identity)
    tls = tls_context(profile, None, None) if profile.secure else None
    return await open_connection(profile, ["ocpp1.6"], ocpp.connect_timeout_s, tls)


def test_waits_double_and_stay_with_fresh_jitter() -> None:
    assert list(itertools.islice(back_off(2, 0, 3), 6)) == [2, 4, 8, 16, 16, 16]
    shares = iter([0.0, 1.0, 0.5, 0.25])
    assert list(itertools.islice(back_off(2, 10, 1, lambda: next(shares)), 4)) == [2, 14, 9, 6.5]
    assert all(2 <= wait < 7 for wait in itertools.islice(back_off(2, 5, 0), 100))
    assert len(set(itertools.islice(back_off(2, 5, 0), 100))) > 90


@pytest.mark.parametrize(
    ("url", "identity", "expected"),
    [
        ("ws://h:1/ocpp", "CP1", "ws://h:1/ocpp/CP1"),
        ("ws://h/ocpp/", "CP 1/ä%", "ws://h/ocpp/CP%201%2F%C3%A4%25"),
        ("wss://h", "a?b#c", "wss://h/a%3Fb%23c"),
        ("ws://h/x?token=1", "CP1", "ws://h/x/CP1?token=1"),
        ("ws://[::1]:9000", "..", "ws://[::1]:9000/.."),
    ],
)
def test_the_identity_in_the_address(url: str, identity: str, expected: str) -> None:
    assert charge_point_url(url, identity) == expected


def test_path_identity_and_password_as_the_server_sees_them() -> None:
    async def main() -> None:
        seen: list[tuple[str, str | None, str | None]] = []

        async def handler(connection: ServerConnection) -> None:
            request = connection.request
            assert request is not None
            headers = request.headers
            seen.append((request.path, headers.get("Authorization"), headers.get("Sec-WebSocket-Extensions")))

        async with server(handler) as url:
            ocpp = Ocpp(url=url, password="geheim:ß")
            connection = await opening(ocpp, "CP 1")
            await connection.close()
        assert seen == [("/ocpp/CP%201", basic_authorisation("CP 1", "geheim:ß".encode()), None)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subprotocols": None}, "no sub-protocol"),
        ({"subprotocols": None, "select_subprotocol": lambda c, offered: "ocpp9.9"}, "subprotocol"),
        ({"subprotocols": ["ocpp2.0.1"], "select_subprotocol": lambda c, offered: None}, "no sub-protocol"),
        ({"process_request": lambda c, r: c.respond(401, "")}, "ocpp.password"),
        ({"process_request": lambda c, r: c.respond(404, "")}, "identity"),
        ({"process_request": lambda c, r: c.respond(503, "")}, "not ready"),
    ],
)
def test_refused_connections_say_why(options: dict[str, Any], words: str) -> None:
    async def main() -> None:
        closed: list[int | None] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.wait_closed()
            closed.append(connection.close_code)

        async with server(handler, **options) as url:
            with pytest.raises(ConnectError, match=words):
                await opening(Ocpp(url=url))
        if words == "no sub-protocol":
            assert closed == [1002]

    asyncio.run(main())


def test_a_server_that_never_answers_the_handshake() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
            with pytest.raises(ConnectError, match="connect_timeout_s"):
                await opening(Ocpp(url=url, connect_timeout_s=0.3))

    asyncio.run(main())


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-x\r\n", b"\x00" * 100_000])
def test_a_server_of_something_else(reply: bytes) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(reply)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        async with await asyncio.start_server(handler, "127.0.0.1", 0) as listening:
            url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            with pytest.raises(ConnectError):
                await opening(Ocpp(url=url, connect_timeout_s=5))

    asyncio.run(main())


@pytest.mark.parametrize("url", ["ws://no-such-host.invalid", "ws://", "ws://127.0.0.1:99999", "ws://" + "x" * 70])
def test_addresses_that_lead_nowhere(url: str) -> None:
    with pytest.raises(ConnectError):
        asyncio.run(opening(Ocpp(url=url, connect_timeout_s=5)))


@pytest.mark.parametrize(("ahead_s", "judged"), [(0.0, True), (400 * 86_400.0, False), (-400 * 86_400.0, False)])
def test_dates_are_not_judged_by_a_system_clock_that_we_know_to_be_wrong(ahead_s, judged):
    no_check_time = 0x200000
    context = tls_context(way(Ocpp(url="wss://h")), None, time.time() + ahead_s)
    assert bool(context.verify_flags & no_check_time) is not judged


def test_root_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="ca_file"):
        tls_context(way(Ocpp(url="wss://h", ca_file=tmp_path / "missing.pem")), None, None)
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ConnectError, match="ca_file"):
        tls_context(way(Ocpp(url="wss://h", ca_file=tmp_path / "empty.pem")), None, None)
    context = tls_context(way(Ocpp(url="wss://h")), None, None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_half_open_link_is_found_by_the_missing_pong() -> None:
    async def main() -> None:
        connections = 0
        over = asyncio.Event()

        async def handler(connection: ServerConnection) -> None:
            nonlocal connections
            connections += 1
            if connections == 1:
                await connection.send(json.dumps([3, json.loads(await connection.recv())[1], BOOTED]))
                connection.transport.pause_reading()
                await over.wait()
                return
            await answer(connection)

        async with server(handler) as url, Rig(url, ping_s=1, ping_timeout_s=1.0) as rig:
            await rig.until(lambda: connections == 2)
            await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)
            assert (False,) in rig.station.told("uplink_changed")
            over.set()

    asyncio.run(main())


def test_the_ping_interval_changes_live() -> None:
    async def main() -> None:
        pings = 0

        class Counting(ServerConnection):
            def data_received(self, data: bytes) -> None:
                nonlocal pings
                # An unfragmented, masked ping of four bytes.
                pings += data[:2] == b"\x89\x84"
                super().data_received(data)

        async with server(answer, create_connection=Counting) as url, Rig(url, ping_s=0) as rig:
            await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)
            assert pings == 0
            rig.station.settings.set("OCPPCommCtrlr.WebSocketPingInterval", "1")
            await rig.until(lambda: pings >= 2)

    asyncio.run(main())


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1008, 1011, 1012, 3000, 4999])
def test_close_codes_are_told_and_outlived(code: int) -> None:
    async def main() -> None:
        connections = 0

        async def handler(connection: ServerConnection) -> None:
            nonlocal connections
            connections += 1
            if connections == 1:
                await connection.recv()
                await connection.close(code, "because\n")
            else:
                await answer(connection)

        async with server(handler) as url, Rig(url, back_off_minimum_s=0.1, back_off_random_s=0.0) as rig:
            await rig.until(lambda: str(code) in rig.tunnel.report().last_error)
            assert "\n" not in rig.tunnel.report().last_error
            await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)

    asyncio.run(main())


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff\xff",
        b"\x81\x02\xff\xff",
        b"\x81\x7f" + (10 * 2**20).to_bytes(8, "big") + b"x" * 2**20,
        b"\x01\x02[2",
    ],
    ids=["no frame", "not UTF-8", "ten megabytes", "half a message"],
)
def test_bytes_that_break_the_websocket(raw: bytes) -> None:
    async def main() -> None:
        connections = 0

        async def handler(connection: ServerConnection) -> None:
            nonlocal connections
            connections += 1
            if connections == 1:
                connection.transport.write(raw)
                await asyncio.sleep(0.1)
                connection.transport.abort()
            else:
                await answer(connection)

        async with server(handler) as url, Rig(url) as rig:
            await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)

    asyncio.run(main())


def test_a_flood_of_requests_does_not_fill_the_memory() -> None:
    async def main() -> None:
        flooding = asyncio.Event()
        answered = 0

        async def handler(connection: ServerConnection) -> None:
            nonlocal answered
            await connection.send(json.dumps([3, json.loads(await connection.recv())[1], BOOTED]))
            for number in range(3000):
                await connection.send(f'[2,"r{number}","GetConfiguration",{{}}]')
            flooding.set()
            async for text in connection:
                answered += json.loads(text)[0] == 3
                if answered == 3000:
                    return

        async with server(handler) as url, Rig(url) as rig:
            await rig.until(lambda: answered == 3000)

    asyncio.run(main())


def test_a_peer_that_asks_and_never_reads_is_dropped() -> None:
    async def main() -> None:
        connections = 0
        over = asyncio.Event()

        async def handler(connection: ServerConnection) -> None:
            nonlocal connections
            connections += 1
            if connections > 1:
                await answer(connection)
                return
            await connection.send(json.dumps([3, json.loads(await connection.recv())[1], BOOTED]))
            connection.transport.pause_reading()
            with contextlib.suppress(ConnectionClosed):
                for number in itertools.count():
                    await connection.send(f'[2,"r{number}","GetConfiguration",{{}}]')
            await over.wait()

        async with server(handler) as url, Rig(url, ping_s=1, ping_timeout_s=1.0) as rig:
            await rig.until(lambda: connections == 2)
            await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)
            over.set()

    asyncio.run(main())


def test_one_byte_at_a_time() -> None:
    async def main() -> None:
        async def handler(connection: ServerConnection) -> None:
            text = json.dumps([3, json.loads(await connection.recv())[1], BOOTED]).encode()
            for byte in bytes([0x81, len(text)]) + text:
                connection.transport.write(bytes([byte]))
                await asyncio.sleep(0)
            await answer(connection)

        async with server(handler) as url, Rig(url) as rig:
            await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)

    asyncio.run(main())


def test_leaving_is_bounded_even_if_the_network_is_dead() -> None:
    async def main() -> None:
        connected, over = asyncio.Event(), asyncio.Event()

        async def handler(connection: ServerConnection) -> None:
            await connection.recv()
            connection.transport.pause_reading()
            connected.set()
            await over.wait()

        async with server(handler) as url:
            rig = Rig(url)
            task = asyncio.create_task(rig.tunnel.run())
            await connected.wait()
            task.cancel()
            async with asyncio.timeout(10):
                with pytest.raises(asyncio.CancelledError):
                    await task
            over.set()

    asyncio.run(main())


PKI = Path(__file__).parent / "pki"


def tls_server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PKI / "server.pem", PKI / "server.key")
    return context


def test_tls_with_the_roots_of_the_configuration() -> None:
    async def main() -> None:
        async with server(answer, ssl=tls_server()) as url:
            secure = url.replace("ws:", "wss:")
            async with Rig(secure, ca_file=PKI / "ca.pem") as rig:
                await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)
            with pytest.raises(ConnectError, match="certificate was refused"):
                await opening(Ocpp(url=secure))
            other_name = secure.replace("127.0.0.1", "127.0.0.2")
            with pytest.raises(ConnectError):
                await opening(Ocpp(url=other_name, ca_file=PKI / "ca.pem"))

    asyncio.run(main())


def test_tls_towards_a_server_that_has_none() -> None:
    async def main() -> None:
        async with server(answer) as url:
            with pytest.raises(ConnectError):
                await opening(Ocpp(url=url.replace("ws:", "wss:")))

    asyncio.run(main())


def test_a_station_that_breaks_within_a_call_back_does_not_end_the_uplink(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with server(answer) as url:
            rig = Rig(url)

            def explode() -> None:
                rig.station.on = {}
                raise RuntimeError("boom")

            rig.station.on = {"uplink_changed": explode}
            async with rig:
                await rig.until(lambda: rig.station.told("uplink_changed")[1:])
                await rig.until(lambda: rig.tunnel.report().state is UplinkState.ACCEPTED)

    asyncio.run(main())
    assert "boom" in caplog.text
