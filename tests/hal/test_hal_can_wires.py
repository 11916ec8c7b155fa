"""CAN drivers over wires: slcan on a pty, udp_multicast between processes, and SocketCAN as python-can tells it."""

from __future__ import annotations

import asyncio
import errno
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import can
import pytest

from hal.can import python_can_link
from hal.can.frames import BusState, Frame
from hal.can.link import BATCH, CanOptions, describe, open_link
from hal.can.slcan_link import SlcanLink
from hal.drivers.can_board.driver import CanBoard, CanBoardOptions
from hal.ports import DeviceError
from simulators.can.adapter import SlcanPort
from simulators.can.board_kind import TABLE

PATIENCE_S = 20.0
KEY = (0x123, False)


# A serial adapter


class Adapter:
    """The simulated adapter on a pty, on an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.heard: list[tuple[int, bool, bytes]] = []
        self.port = SlcanPort(folder / "can", 250_000, lambda *frame: self.heard.append(frame))
        self.port.open(self.loop)

    def turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0.001))

    def close(self) -> None:
        self.port.close()
        self.loop.close()


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Adapter]:
    made = Adapter(tmp_path)
    yield made
    made.close()


@pytest.fixture
def link(adapter: Adapter) -> Iterator[SlcanLink]:
    options = CanOptions(channel=str(adapter.port.link), interface="slcan", bitrate=250_000)
    made = open_link(options, frozenset({KEY}))
    assert isinstance(made, SlcanLink)
    made.open(0.0)
    until(adapter, lambda: adapter.port.on_bus)
    yield made
    made.close()


def until(adapter: Adapter, condition: Callable[[], Any], turn: Callable[[], Any] = lambda: None) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        adapter.turn()
        turn()
    return result


def test_frames_pass_both_ways_and_those_of_others_are_left_out(adapter: Adapter, link: SlcanLink) -> None:
    link.send(Frame(0x321, b"\x01\x02"))
    link.send(Frame(0x18FF1000, b"", extended=True))
    until(adapter, lambda: len(adapter.heard) == 2)
    assert adapter.heard == [(0x321, False, b"\x01\x02"), (0x18FF1000, True, b"")]
    got: list[Frame] = []
    adapter.port.send(0x124, b"x")
    adapter.port.send(0x123, b"ext", extended=True)
    adapter.port.send(0x123, b"mine")
    until(adapter, lambda: got, lambda: got.extend(link.read(0.0)))
    assert got == [Frame(0x123, b"mine")]


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("bus_off", BusState.BUS_OFF, "bus-off"),
        ("passive", BusState.PASSIVE, "error-passive"),
        ("cut", BusState.PASSIVE, "error-passive"),
    ],
)
def test_the_adapters_state_is_asked_for(
    adapter: Adapter, link: SlcanLink, fault: str, state: BusState, words: str
) -> None:
    now = 0.0

    def ask() -> None:
        nonlocal now
        now += 1.1
        link.on_timer(now)
        link.read(now)

    setattr(adapter.port, fault, True)
    until(adapter, lambda: link.state is state, ask)
    assert words in describe(link, "the bus")
    setattr(adapter.port, fault, False)
    until(adapter, lambda: link.state is BusState.ACTIVE, ask)
    assert describe(link, "the bus") == ""


@pytest.mark.parametrize("fault", ["garbage", "half_frames"])
def test_what_the_adapter_garbles_is_no_frame_of_ours_and_the_next_is_read(
    adapter: Adapter, link: SlcanLink, fault: str
) -> None:
    setattr(adapter.port, fault, True)
    got: list[Frame] = []
    for count in range(50):
        adapter.port.send(0x123, bytes([count, 0x55, 0xAA, 0x0F]))
        adapter.turn()
        got += link.read(0.0)
    assert {frame.data[1:] for frame in got} <= {b"\x55\xaa\x0f"}
    setattr(adapter.port, fault, False)

    def again() -> None:
        adapter.port.send(0x123, b"well")
        got.extend(link.read(0.0))

    until(adapter, lambda: Frame(0x123, b"well") in got, again)


def test_an_unplugged_adapter_is_told_and_opened_anew_with_its_bit_rate(adapter: Adapter, link: SlcanLink) -> None:
    adapter.port.close()
    until(adapter, lambda: not link.is_open, lambda: link.read(1.0))
    assert "was unplugged; plug it in again" in link.trouble
    assert not link.open(1.1) or link.is_open
    adapter.port.open(adapter.loop)
    until(adapter, lambda: link.open(50.0))
    until(adapter, lambda: adapter.port.on_bus)


def test_an_adapter_belongs_to_one_device(adapter: Adapter, link: SlcanLink) -> None:
    options = CanOptions(channel=str(adapter.port.link), interface="slcan", bitrate=250_000)
    second = open_link(options, frozenset({KEY}))
    assert not second.open(0.0)
    assert "in use by another program" in second.trouble
    assert link.is_open


def test_no_serial_node_is_refused_by_the_options_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    options = CanOptions(channel=str(tmp_path / "file"), interface="slcan", bitrate=250_000)
    with pytest.raises(DeviceError, match="is not a serial port; set 'channel'"):
        open_link(options, frozenset()).check()


def test_an_echoing_adapter_is_a_second_master_to_a_board(adapter: Adapter) -> None:
    options = CanBoardOptions(channel=str(adapter.port.link), interface="slcan", bitrate=250_000, table=TABLE)
    device = CanBoard("board", options)
    adapter.port.echo = True
    device.start(0.0)
    now = [0.0]

    def turn() -> None:
        now[0] += 0.05
        device.on_timer(now[0])
        device.on_readable(now[0])

    until(adapter, lambda: "somebody else sends id 0x210" in device.health(now[0]).detail, turn)
    device.close()


def test_a_flooded_adapter_is_read_in_batches_and_nothing_is_lost(adapter: Adapter, link: SlcanLink) -> None:
    for count in range(100):
        adapter.port.send(0x123, bytes(7) + bytes([count]))
    got: list[Frame] = []
    most = 0

    def take() -> None:
        nonlocal most
        batch = link.read(0.0)
        most = max(most, len(batch))
        got.extend(batch)

    until(adapter, lambda: len(got) == 100, take)
    assert [frame.data[7] for frame in got] == list(range(100))
    assert most <= BATCH + 1


# Two processes

CHILD = """
import sys, time
import can
bus = can.Bus(interface="udp_multicast", channel="239.74.163.7", port=int(sys.argv[1]), ignore_config=True)
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    message = bus.recv(timeout=0.2)
    if message is not None and message.arbitration_id == 0x321:
        bus.send(can.Message(arbitration_id=0x123, data=bytes(message.data)[::-1], is_extended_id=False))
        break
bus.shutdown()
"""


@pytest.mark.process
def test_two_processes_over_udp_multicast() -> None:
    port = 20_000 + time.monotonic_ns() // 1000 % 40_000
    options = CanOptions(channel=f"239.74.163.7:{port}", interface="udp_multicast")
    link = open_link(options, frozenset({KEY, (0x321, False)}))
    assert link.open(0.0), link.trouble
    got: list[Frame] = []
    with subprocess.Popen([sys.executable, "-c", CHILD, str(port)]) as child:
        deadline = time.monotonic() + PATIENCE_S
        while not got and time.monotonic() < deadline:
            link.send(Frame(0x321, b"abc"))
            fd = link.fileno()
            assert fd is not None
            if select.select([fd], [], [], 0.1)[0]:
                got += link.read(0.0)
        assert child.wait(PATIENCE_S) == 0
    assert got == [Frame(0x123, b"cba")]  # and not our own 0x321, which multicast hands back
    link.close()
    assert link.fileno() is None


# What SocketCAN answers, as python-can's bus tells it


class FakeBus:
    """Python-can's SocketcanBus. ``arriving``: messages, or errors to raise; ``refuses``: what a send meets."""

    def __init__(self) -> None:
        self.arriving: list[Any] = []
        self.refuses: Exception | None = None
        self.sent: list[tuple[int, bytes]] = []
        self.was_shut = False

    def recv(self, timeout: float | None = None) -> Any:
        assert timeout == 0
        if not self.arriving:
            return None
        item = self.arriving.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def send(self, message: Any, timeout: float | None = None) -> None:
        assert timeout == 0
        if self.refuses is not None:
            raise self.refuses
        self.sent.append((message.arbitration_id, bytes(message.data)))

    def fileno(self) -> int:
        return 7

    def shutdown(self) -> None:
        self.was_shut = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeBus:
    bus = FakeBus()
    monkeypatch.setattr(can, "Bus", lambda **_: bus)
    return bus


def socketcan() -> Any:
    link = open_link(CanOptions(channel="can0"), frozenset({KEY}))
    link.open(0.0)
    return link


def message(number: int = 0x123, data: bytes = b"x", **more: Any) -> Any:
    return can.Message(arbitration_id=number, data=data, is_extended_id=False, **more)


def test_the_kernel_is_asked_for_our_frames_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(can, "Bus", lambda **given: asked.update(given) or FakeBus())  # type: ignore[func-returns-value]
    link = open_link(CanOptions(channel="can0"), frozenset({KEY, (0x18FF1000, True)}))
    assert link.open(0.0)
    assert link.fileno() == 7
    assert asked["can_filters"] == [
        {"can_id": 0x123, "can_mask": 0x7FF, "extended": False},
        {"can_id": 0x18FF1000, "can_mask": 0x1FFFFFFF, "extended": True},
    ]
    assert (asked["interface"], asked["channel"], asked["receive_own_messages"]) == ("socketcan", "can0", False)
    assert asked["ignore_config"] is True  # nothing in the environment turns this into another bus


def test_an_interface_that_goes_down_is_told_and_opened_anew(fake: FakeBus) -> None:
    link = socketcan()
    fake.arriving = [message(), can.CanOperationError("Error receiving: Network is down", errno.ENETDOWN)]
    assert link.read(0.5) == [Frame(0x123, b"x")]
    assert not link.is_open
    assert fake.was_shut
    assert link.trouble.startswith("can0: is down; have the system bring it up")
    assert not link.open(0.9)
    assert link.open(1.0)
    assert link.trouble == ""


def test_a_full_queue_keeps_the_latest_word_of_each_message(fake: FakeBus) -> None:
    link = socketcan()
    for refusal in (
        can.CanOperationError("Failed to transmit", errno.ENOBUFS),
        can.CanOperationError("Transmit buffer full"),
    ):
        fake.refuses = refusal
        link.send(Frame(1, b"close"))
        link.send(Frame(2, b"beat"))
        link.send(Frame(1, b"open"), urgent=True)
        assert link.is_open
        assert link.has_pending
        fake.refuses = None
        link.on_timer(0.1)
        assert fake.sent == [(1, b"open"), (2, b"beat")]
        assert not link.has_pending
        fake.sent.clear()


def test_a_send_that_meets_a_dead_interface_loses_the_link(fake: FakeBus) -> None:
    link = socketcan()
    fake.refuses = can.CanOperationError("Failed to transmit", errno.ENETDOWN)
    link.send(Frame(1, b"open"))
    assert not link.is_open
    link.send(Frame(1, b"open"))
    assert "is down" in link.trouble


def test_bus_off_queues_nothing_in_the_kernel_and_is_left_by_a_restart_or_by_opening_anew(fake: FakeBus) -> None:
    link = socketcan()
    off = message(0x40, bytes(8), is_error_frame=True)
    fake.arriving = [off]
    link.read(1.0)
    assert link.state is BusState.BUS_OFF
    link.send(Frame(1, b"now"))
    link.on_timer(1.5)
    assert fake.sent == []
    fake.arriving = [message(0x100, bytes(8), is_error_frame=True)]
    link.read(1.6)
    assert link.state is BusState.ACTIVE
    link.on_timer(1.6)
    assert fake.sent == [(1, b"now")]
    fake.arriving = [off]
    link.read(2.0)
    link.on_timer(4.1)  # no restart was told
    assert not link.is_open
    assert "bus-off" in link.trouble
    assert link.open(5.2)


def test_a_flood_is_taken_in_batches(fake: FakeBus) -> None:
    link = socketcan()
    fake.arriving = [message() for _ in range(BATCH * 3)]
    assert len(link.read(0.0)) == BATCH
    fake.arriving = [message(is_remote_frame=True), message(is_fd=True), message(0x124), message()]
    assert link.read(0.0) == [Frame(0x123, b"x")]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENODEV, "No such device"), "is not there; check the adapter"),
        (OSError(errno.EAFNOSUPPORT, "Address family not supported"), "this kernel has no CAN; load the modules"),
        (OSError(errno.EPERM, "Operation not permitted"), "may not be opened"),
        (can.CanInitializationError("strange"), "strange; check the adapter and the option 'channel'"),
    ],
)
def test_what_cannot_be_opened_is_told_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def refuse(**_: Any) -> Any:
        raise error

    monkeypatch.setattr(can, "Bus", refuse)
    link = open_link(CanOptions(channel="can0"), frozenset({KEY}))
    assert not link.open(0.0)
    assert words in link.trouble
    assert link.next_open_at == 1.0


def test_another_bit_rate_than_configured_is_not_joined(fake: FakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_can_link.netlink, "bitrate", lambda channel: 500_000)
    link = open_link(CanOptions(channel="can0", bitrate=250_000), frozenset({KEY}))
    assert not link.open(0.0)
    assert "can0: runs at 500000 bit/s, configured is 250000" in link.trouble
    assert open_link(CanOptions(channel="can0", bitrate=500_000), frozenset({KEY})).open(0.0)
