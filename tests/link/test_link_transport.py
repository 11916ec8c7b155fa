"""The link's sockets: whole packets, no blocking, and a clear end whichever side fails."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.link.codec import decode_to_agent, decode_to_control
from agent.link.messages import MAX_MESSAGE_BYTES, DeviceReport, Hello, Withdraw
from agent.link.transport import Channel, LinkClosedError, Listener, connect


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


@pytest.fixture
def pair(path: Path) -> Iterator[tuple[Channel, Channel]]:
    """Control's end and the agent's end."""
    listener = Listener(path)
    agent = connect(path)
    control = listener.accept()
    assert control is not None
    yield control, agent
    for end in (control, agent, listener):
        end.close()


def test_messages_come_whole_and_in_order(pair: tuple[Channel, Channel]) -> None:
    control, agent = pair
    for number in range(20):
        agent.send(Withdraw(number, "x" * number * 10))
    got = []
    while (data := control.receive()) is not None:
        got.append(decode_to_control(data))
    assert got == [Withdraw(number, "x" * number * 10) for number in range(20)]
    control.send(DeviceReport("board1", True, 1.0, ""))
    data = agent.receive()
    assert data is not None
    assert decode_to_agent(data) == DeviceReport("board1", True, 1.0, "")


def test_nothing_there_is_none_and_does_not_block(pair: tuple[Channel, Channel]) -> None:
    control, agent = pair
    assert control.receive() is None
    assert agent.receive() is None


def test_a_peer_that_is_gone_is_told_to_reader_and_writer(pair: tuple[Channel, Channel]) -> None:
    control, agent = pair
    agent.send(Hello(1, "last words"))
    agent.close()
    assert control.receive() is not None
    with pytest.raises(LinkClosedError):
        control.receive()
    with pytest.raises(LinkClosedError):
        control.send(DeviceReport("board1", True, 1.0, ""))


def test_a_peer_that_does_not_read_is_given_up_without_blocking(pair: tuple[Channel, Channel]) -> None:
    control, _agent = pair
    report = DeviceReport("board1", True, 1.0, "x" * 4000)

    def send_for_ever() -> None:
        while True:
            control.send(report)

    with pytest.raises(LinkClosedError):
        send_for_ever()


def test_a_packet_over_the_limit_is_seen_as_too_long(pair: tuple[Channel, Channel], path: Path) -> None:
    control, agent = pair
    raw = socket.socket(fileno=os.dup(agent.fileno()))
    with raw:
        raw.send(b"x" * (MAX_MESSAGE_BYTES * 2))
    data = control.receive()
    assert data is not None
    assert len(data) > MAX_MESSAGE_BYTES


def test_the_peer_is_known(pair: tuple[Channel, Channel]) -> None:
    control, _agent = pair
    assert control.peer() == (os.getpid(), os.getuid())


def test_a_dead_process_leaves_a_file_that_does_not_matter(path: Path) -> None:
    first = Listener(path)
    second = Listener(path)  # as after kill -9: the file is still there
    agent = connect(path)
    select.select([second], [], [], 5.0)
    channel = second.accept()
    assert channel is not None
    for end in (agent, channel, second, first):
        end.close()


def test_nobody_listens(path: Path) -> None:
    path.parent.mkdir()
    with pytest.raises(OSError, match="No such file"):
        connect(path)
    listener = Listener(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    listener.close()
    assert not path.exists()


def test_accept_without_a_caller(path: Path) -> None:
    listener = Listener(path)
    assert listener.accept() is None
    listener.close()
