"""Modbus TCP: frames, transaction ids, and a connection that never blocks and comes back."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.socket import FramerSocket

from hal.drivers.modbus.framing import Mbap
from hal.drivers.modbus.pdu import Answered, Read, Refused, WriteCoil
from hal.drivers.modbus.tcp_line import CONNECT_TIMEOUT_S, TcpLine, check_host
from hal.ports import DeviceError

READ = Read(3, 1000, 1)
PATIENCE_S = 5.0


def mbap(transaction: int, unit: int, pdu: bytes) -> bytes:
    return transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes([unit]) + pdu


def test_frames() -> None:
    framing = Mbap()
    assert framing.frame(255, READ) == bytes.fromhex("0001 0000 0006 FF 03 03E8 0001")
    assert framing.frame(180, WriteCoil(400, True)) == bytes.fromhex("0002 0000 0006 B4 05 0190 FF00")
    assert framing.find(180, WriteCoil(400, True), mbap(2, 180, bytes.fromhex("050190FF00"))) == Answered()
    assert framing.find(180, WriteCoil(400, True), mbap(2, 180, bytes.fromhex("8503"))) == Refused(3)


def test_pymodbus_reads_what_we_write() -> None:
    sent = Mbap().frame(7, READ)
    used, unit, transaction, pdu = FramerSocket(None).decode(sent)  # type: ignore[arg-type]
    assert (used, unit, transaction, pdu) == (len(sent), 7, 1, READ.encode())


def test_a_late_answer_to_an_earlier_request_never_matches() -> None:
    framing = Mbap()
    framing.frame(255, READ)
    framing.frame(255, READ)
    late = mbap(1, 255, bytes.fromhex("03020010"))
    assert framing.find(255, READ, late) is None
    assert framing.find(255, READ, late + mbap(2, 255, bytes.fromhex("03020006"))) == Answered(b"\x00\x06")


@pytest.mark.parametrize(
    "received",
    [
        mbap(1, 254, bytes.fromhex("03020010")),
        mbap(1, 255, bytes.fromhex("04020010")),
        mbap(1, 255, bytes.fromhex("030400100011")),
        mbap(1, 255, bytes.fromhex("030200")),
        mbap(1, 255, bytes.fromhex("03020010"))[:-1],
        b"\x00\x01\x00\x01" + mbap(1, 255, bytes.fromhex("03020010"))[4:],
    ],
)
def test_what_is_no_answer(received: bytes) -> None:
    framing = Mbap()
    framing.frame(255, READ)
    assert framing.find(255, READ, received) is None


def test_what_breaks_the_framing_is_noticed() -> None:
    framing = Mbap()
    half = mbap(1, 255, bytes.fromhex("03020010"))[:7]
    assert framing.rest(mbap(9, 1, b"\x03") + half) == half
    assert not framing.out_of_step(half)
    assert framing.out_of_step(b"HTTP/1.1 400 Bad Request")


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(data: bytes) -> None:
    framing = Mbap()
    framing.frame(255, READ)
    framing.find(255, READ, data)
    framing.rest(data)
    framing.out_of_step(data)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=20)), max_size=5), st.integers(0, 400))
def test_only_whole_frames_are_taken_wherever_the_stream_is_cut(frames: list[tuple[int, bytes]], cut: int) -> None:
    stream = b"".join(mbap(transaction, 1, pdu) for transaction, pdu in frames)
    framing = Mbap()
    rest = framing.rest(stream[:cut])
    assert framing.rest(rest + stream[cut:]) == b""


# ---- the connection


@pytest.fixture
def server() -> Iterator[socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(PATIENCE_S)
    yield listener
    listener.close()


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        select.select([], [], [], 0.002)


def connected(server: socket.socket) -> tuple[TcpLine, socket.socket]:
    line = TcpLine("127.0.0.1", server.getsockname()[1])
    wait(lambda: line.open(0.0))
    host, _ = server.accept()
    return line, host


def test_connects_sends_and_receives(server: socket.socket) -> None:
    line, host = connected(server)
    assert line.trouble == ""
    line.send(b"ab")
    line.send(b"cd")
    host.settimeout(PATIENCE_S)
    assert host.recv(16) == b"abcd"
    host.sendall(b"xyz")
    fd = line.fileno()
    assert fd is not None
    assert select.select([fd], [], [], PATIENCE_S)[0]
    assert line.read() == b"xyz"
    assert line.read() == b""
    assert line.is_open
    line.close()
    host.close()
    assert line.fileno() is None
    assert "closed" in line.trouble


def test_the_end_of_a_connection_is_noticed_and_a_new_one_made(server: socket.socket) -> None:
    line, host = connected(server)
    host.close()
    wait(lambda: line.read() == b"" and not line.is_open)
    assert "ended the connection" in line.trouble
    wait(lambda: line.open(10.0))
    line.close()


def test_a_refused_connection_is_named_and_tried_again_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    line = TcpLine("127.0.0.1", port)
    wait(lambda: not line.open(0.0) and "refuses" in line.trouble)
    assert f"127.0.0.1:{port}" in line.trouble
    assert "tcp_port" in line.trouble
    assert line.next_open_at == 1.0
    assert not line.open(0.5)
    with socket.create_server(("127.0.0.1", port)):
        wait(lambda: line.open(1.0))
    line.close()


def test_a_silent_host_is_given_up() -> None:
    """A listener whose queue is full does not answer, as an address where nobody is."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        line = TcpLine("127.0.0.1", full.getsockname()[1])
        assert not line.open(0.0)
        assert "connecting" in line.trouble
        assert line.next_open_at < 0.1
        assert not line.open(CONNECT_TIMEOUT_S)
        assert "does not answer" in line.trouble
        for each in waiting:
            each.close()
        line.close()


def test_a_host_that_reads_nothing_is_given_up(server: socket.socket) -> None:
    line, host = connected(server)
    for _ in range(100_000):
        line.send(b"x" * 4096)
        if not line.is_open:
            break
    assert "takes no data" in line.trouble
    host.close()


@pytest.mark.parametrize(
    ("host", "wrong"),
    [
        ("192.168.1.50", ""),
        ("10.0.0.1", ""),
        ("127.0.0.1", ""),
        ("fe80::1", ""),
        ("", ""),
        ("wallbox.local", "is no IP address"),
        ("8.8.8.8", "no address of a local network"),
        ("0.0.0.0", "no address of a local network"),
    ],
)
def test_only_addresses_of_the_local_network_are_taken(host: str, wrong: str) -> None:
    assert (wrong in check_host(host)) if wrong else check_host(host) == ""
    line = TcpLine(host, 502)
    if wrong:
        with pytest.raises(DeviceError, match=wrong):
            line.check()
    else:
        line.check()
