"""The wires that stand in between: they pass on what comes, and cut, spoil and unplug as told."""

from __future__ import annotations

import os
import select
import socket
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hal.conformance.findings import CHECKS, WIDTH, Finding, Report, Verdict
from hal.conformance.timing import BUDGET_S, REPEATS, Stopwatch
from hal.conformance.wires import NodeError, Trick, Wire, claimed, interpose
from hal.conformance.wires.chip_relay import ChipRelay
from hal.conformance.wires.direct import Direct
from hal.conformance.wires.serial_relay import SerialRelay
from hal.conformance.wires.spi_relay import SpiRelay
from hal.conformance.wires.tcp_relay import TcpRelay
from hal.drivers.serial_line import SerialLine, SerialSettings
from hal.gpio.address import parse_spec
from hal.gpio.lines import Line, LineError, LineSettings
from hal.gpio.seek import seek
from hal.gpio.spi import SpiError, open_spi
from hal.options import option
from simulators.gpio.chip import SimGpioChip
from simulators.gpio.front_end import PilotFrontEnd

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class SerialOptions:
    port: str = option(help="node", exclusive="serial port")
    parity: str = option("E", help="parity")


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    host: str = option(help="host")
    tcp_port: int = option(502, help="port")


@dataclass(frozen=True, slots=True)
class Pin:
    line: str = option(help="line", exclusive="GPIO line")


@dataclass(frozen=True, slots=True)
class PinOptions:
    pins: dict[str, Pin] = option(help="pins")
    more: tuple[Pin, ...] = option((), help="more pins")


def pump_until(wire: Wire, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came"
        select.select(wire.filenos(), [], [], 0.02)
        wire.pump()


@pytest.fixture
def real() -> Iterator[tuple[int, str]]:
    """The far end of a real node, and the node's name."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def test_a_serial_relay_passes_both_ways_and_speaks_as_the_driver_set(real: tuple[int, str], tmp_path: Path) -> None:
    far, node = real
    wire = interpose(SerialOptions(node), tmp_path)
    assert isinstance(wire, SerialRelay)
    assert wire.tricks == set(Trick)
    wire.open(connected=True)
    line = SerialLine(SerialSettings(wire.options.port, 57_600, "E", 2))
    assert line.open(0.0)
    line.send(b"ask")
    heard: list[bytes] = []
    pump_until(wire, lambda: heard.append(_read(far)) is None and b"".join(heard) == b"ask")
    assert b"".join(said.data for said in wire.said) == b"ask"
    settings = termios.tcgetattr(far)
    assert settings[2] & termios.CSTOPB
    assert settings[5] == termios.B57600
    os.write(far, b"answer")
    back: list[bytes] = []
    pump_until(wire, lambda: back.append(line.read()) is None and b"".join(back) == b"answer")
    wire.cut = True
    line.send(b"lost")
    os.write(far, b"lost too")
    pump_until(wire, lambda: wire.said[-1].data == b"lost")
    assert line.read() == b""
    assert _read(far) == b""
    wire.cut = False
    wire.inject(b"\xff\x00")
    pump_until(wire, lambda: line.read() == b"\xff\x00")
    wire.unplug()
    assert line.read() == b""
    assert not line.is_open
    assert not Path(wire.node).exists()
    wire.plug_in()
    assert line.open(5.0)
    line.close()
    wire.close()
    wire.close()


def test_a_node_that_another_owns_or_that_is_absent_is_told(real: tuple[int, str], tmp_path: Path) -> None:
    owner = SerialLine(SerialSettings(real[1], 9600))
    assert owner.open(0.0)
    wire = interpose(SerialOptions(real[1]), tmp_path)
    with pytest.raises(NodeError, match="in use by another program"):
        wire.open(connected=True)
    owner.close()
    with pytest.raises(NodeError, match="is not there"):
        interpose(SerialOptions("/dev/pts/none"), tmp_path).open(connected=True)


def test_kept_apart_a_driver_speaks_to_nobody(real: tuple[int, str], tmp_path: Path) -> None:
    wire = interpose(SerialOptions(real[1]), tmp_path)
    wire.open(connected=False)
    line = SerialLine(SerialSettings(wire.options.port, 9600))
    assert line.open(0.0)
    line.send(b"close!")
    pump_until(wire, lambda: bool(wire.said))
    assert _read(real[0]) == b""
    line.close()
    wire.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener


def test_a_tcp_relay_passes_cuts_and_unplugs(server: socket.socket, tmp_path: Path) -> None:
    wire = interpose(NetworkOptions("127.0.0.1", server.getsockname()[1]), tmp_path)
    assert isinstance(wire, TcpRelay)
    assert Trick.OWN not in wire.tricks
    wire.open(connected=True)
    server.accept()[0].close()  # it looked whether there is anybody
    address = (wire.options.host, wire.options.tcp_port)
    with socket.create_connection(address, PATIENCE_S) as near:
        near.setblocking(False)
        pump_until(wire, lambda: len(wire.filenos()) == 3)
        with server.accept()[0] as far:
            far.setblocking(False)
            near.send(b"ask")
            pump_until(wire, lambda: bool(select.select([far], [], [], 0)[0]))
            assert far.recv(99) == b"ask"
            far.send(b"answer")
            pump_until(wire, lambda: bool(select.select([near], [], [], 0)[0]))
            assert near.recv(99) == b"answer"
            wire.cut = True
            near.send(b"lost")
            pump_until(wire, lambda: wire.said[-1].data == b"lost")
            assert not select.select([far], [], [], 0.05)[0]
            wire.cut = False
            wire.inject(b"\xff")
            pump_until(wire, lambda: bool(select.select([near], [], [], 0)[0]))
            assert near.recv(99) == b"\xff"
            wire.unplug()
            assert select.select([near], [], [], PATIENCE_S)[0]
            assert _ended(near)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(address, PATIENCE_S)
    wire.plug_in()
    socket.create_connection(address, PATIENCE_S).close()
    wire.close()


def _ended(end: socket.socket) -> bool:
    try:
        return end.recv(99) == b""
    except ConnectionResetError:
        return True


def test_a_host_that_is_not_there_is_told(server: socket.socket, tmp_path: Path) -> None:
    port = server.getsockname()[1]
    server.close()
    wire = interpose(NetworkOptions("127.0.0.1", port), tmp_path)
    with pytest.raises(NodeError, match=f"127.0.0.1:{port}: .*refused"):
        wire.open(connected=True)
    wire.close()


def test_claims_are_found_at_any_depth_and_what_nobody_can_stand_before_is_taken_straight(tmp_path: Path) -> None:
    options = PinOptions({"k1": Pin("chip0/K1")}, (Pin("chip0/K2"), Pin("")))
    assert claimed(options) == [("chip0/K1", "GPIO line"), ("chip0/K2", "GPIO line")]
    wire = interpose(options, tmp_path)
    assert isinstance(wire, Direct)
    assert wire.options is options
    assert not wire.tricks
    assert "chip0/K1 (GPIO line)" in wire.why_not


def test_another_wire_may_join_by_the_claim(tmp_path: Path) -> None:
    made: list[Any] = []

    def interposed(name: str) -> Wire:
        return interpose(SerialOptions(name), tmp_path, {"serial port": f"{__name__}:Own"})

    globals()["Own"] = lambda options, field, directory: made.append((options, field, directory)) or Direct(options)
    interposed("/dev/ttyS9")
    assert made == [(SerialOptions("/dev/ttyS9"), "port", tmp_path)]


def test_only_what_takes_too_long_each_time_is_the_drivers() -> None:
    watch = Stopwatch()
    late = iter([True, False])

    def check() -> None:
        watch.call("always", time.sleep, 2 * BUDGET_S)
        if next(late, False):
            watch.call("once", time.sleep, 2 * BUDGET_S)

    check()
    blamed = watch.again(check)
    assert list(blamed) == ["always"]
    assert len(blamed["always"]) == 1 + REPEATS
    assert watch.acquitted == 1
    watch.blame(blamed)
    assert list(watch.breaches) == ["always"]
    assert watch.call("raises", int, "x") is None
    assert [name for name, _ in watch.raised] == ["raises"]
    assert watch.quantile_s(1.0) >= 2 * BUDGET_S


def test_a_report_is_readable_and_fits() -> None:
    findings = tuple(
        Finding(check, verdict, "word " * 60, {"measured": 1.5})
        for check, verdict in zip(CHECKS, [*Verdict] * len(CHECKS), strict=False)
    )
    report = Report("board", "toy", "nothing", findings)
    assert not report.passed
    assert set(report.failed) == {finding.check for finding in findings if finding.verdict is Verdict.FAIL}
    wrapped = [line for line in report.text().splitlines() if line.startswith(" " * 20)]
    assert wrapped
    assert max(map(len, report.text().splitlines())) <= WIDTH
    assert '"verdict": "fail"' in report.json()
    with pytest.raises(KeyError):
        report.finding("taste")


@dataclass(frozen=True, slots=True)
class BusOptions:
    spi: str = option(help="bus", exclusive="SPI device")


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[SimGpioChip]:
    chip = SimGpioChip(tmp_path / "pins", ["K1", "K1_NC"])
    chip.open()
    yield chip
    chip.close()


def _opened(wire: Wire, text: str, *, output: bool = False) -> Line:
    spec = parse_spec(text)
    attempt = seek(spec.address, LineSettings(initial=False) if output else spec.settings, "test")
    got: list[Line] = []

    def answered() -> bool:
        line = attempt.step()
        got.extend([] if line is None else [line])
        return bool(got)

    pump_until(wire, answered)
    attempt.close()
    return got[0]


def test_the_chip_relay_passes_levels_both_ways_and_cuts_them(chip: SimGpioChip, tmp_path: Path) -> None:
    line = f"sim:{chip.path}:"
    wire = interpose(PinOptions({"coil": Pin(f"{line}K1")}, (Pin(f"{line}K1_NC pull-up"),)), tmp_path)
    assert isinstance(wire, ChipRelay)
    wire.open(connected=True)
    coil, mirror = _opened(wire, wire.options.pins["coil"].line, output=True), _opened(wire, wire.options.more[0].line)
    coil.set_value(True)
    pump_until(wire, lambda: chip.output("K1") is True)
    assert b'"set"' in wire.said[-1].data
    for level in (True, False):
        chip.drive("K1_NC", level)
        pump_until(wire, lambda level=level: mirror.value() is level)  # type: ignore[misc]
    wire.cut = True
    wire.pump()
    with pytest.raises(LineError, match="does not answer"):
        mirror.value()
    with pytest.raises(LineError, match="does not answer"):
        coil.set_value(False)
    wire.unplug()
    with pytest.raises(LineError, match="plug it in"):
        mirror.value()
    with pytest.raises(LineError, match="is not there"):
        seek(parse_spec(wire.options.pins["coil"].line).address, LineSettings(), "test")
    coil.close()
    mirror.close()
    wire.close()


def test_a_chip_relay_alone_grants_lines_that_reach_nobody(chip: SimGpioChip, tmp_path: Path) -> None:
    wire = interpose(PinOptions({"coil": Pin(f"sim:{chip.path}:K1")}), tmp_path)
    wire.open(connected=False)
    coil = _opened(wire, wire.options.pins["coil"].line, output=True)
    coil.set_value(True)
    wire.pump()
    assert chip.output("K1") is None
    coil.close()
    wire.close()


def test_the_bus_relay_passes_cuts_and_spoils(tmp_path: Path) -> None:
    front = PilotFrontEnd(tmp_path)
    front.open()
    front.sense(12.0, -12.0)
    wire = interpose(BusOptions(f"sim:{front.path}"), tmp_path)
    assert isinstance(wire, SpiRelay)
    wire.open(connected=True)
    spi = open_spi(wire.options.spi, 1_000_000)
    told: list[bytes] = []

    def answered() -> bool:
        told.extend(spi.receive())
        return bool(told)

    spi.exchange([b"\x06\x00\x00"])
    pump_until(wire, answered)
    assert [len(each) for each in told] == [3]
    wire.cut = True
    asked = front.bursts
    spi.exchange([b"\x06\x00\x00"])
    wire.pump()
    wire.pump()
    assert front.bursts == asked
    told.clear()
    wire.inject(b"noise!")
    pump_until(wire, answered)
    assert b"".join(told) == b"noise!"
    wire.unplug()
    with pytest.raises(SpiError, match="is gone"):
        spi.receive()
    spi.close()
    wire.close()
    front.close()
