"""Meters behind Modbus TCP: the same maps over a socket, against a simulated meter, in virtual time."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config import check
from hal.drivers.modbus_meter import MeterOptions, ModbusMeter, ModbusMeterOptions
from hal.drivers.modbus_rtu import crc16
from hal.ports import DeviceError
from hal.values import MeterReading, Quality
from simulators.meters.layouts import LAYOUTS
from simulators.meters.modbus_line import ModbusLine, Slave
from simulators.meters.register import MeterCore, Sample
from simulators.oracle import EventLog

PATIENCE_S = 5.0


class Gateway:
    """A gateway on loopback with meters on its serial side."""

    def __init__(self, *maps: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answers: list[bytes] = []
        self.slaves = {n: Slave(n, name, MeterCore(1_234_500), EventLog()) for n, name in enumerate(maps, 1)}
        for each in self.slaves.values():
            each.core.integrate(0.0, Sample((230.0, 231.0, 232.0), (16.0, 15.0, 14.0)))
        self._line = ModbusLine(self.slaves, lambda data, _: self.answers.append(data))
        self._host: socket.socket | None = None
        meters = tuple(MeterOptions(n, name, f"m{n}") for n, name in enumerate(maps, 1))
        options = ModbusMeterOptions(host="127.0.0.1", tcp_port=self.listener.getsockname()[1], meters=meters)
        self.device = ModbusMeter("meters", options)
        self.now = 0.0
        self.wrong_transaction = False

    def run(self, until: float) -> None:
        """Let virtual time pass; each request that is under way is answered at once."""
        while self.now < until:
            self.device.on_timer(self.now)
            if self.device._master.busy:
                self._serve()
            self.now = round(self.now + 0.01, 3)

    def connect(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.device.fileno() is None:
            assert time.monotonic() < deadline
            self.now = round(self.now + 0.05, 3)
            self.device.on_timer(self.now)
        self._host, _ = self.listener.accept()
        self._host.settimeout(PATIENCE_S)

    def _serve(self) -> None:
        assert self._host is not None
        if not select.select([self._host], [], [], 0.05)[0]:
            return  # answered already, or not at all: virtual time runs on to its end
        head = self._host.recv(7, socket.MSG_WAITALL)
        pdu = self._host.recv(int.from_bytes(head[4:6], "big") - 1, socket.MSG_WAITALL)
        body = head[6:7] + pdu
        self._line.receive(body + crc16(body).to_bytes(2, "little"), self.now)
        if not self.answers:
            return
        answer = self.answers.pop()[:-2]
        transaction = b"\xee\xee" if self.wrong_transaction else head[:2]
        self._host.sendall(transaction + b"\0\0" + len(answer).to_bytes(2, "big") + answer)
        fd = self.device.fileno()
        assert fd is not None
        assert select.select([fd], [], [], PATIENCE_S)[0]
        self.device.on_readable(self.now)

    def hang_up(self) -> None:
        assert self._host is not None
        self._host.close()
        fd = self.device.fileno()
        assert fd is not None
        assert select.select([fd], [], [], PATIENCE_S)[0]
        self.device.on_readable(self.now)

    def reading(self, name: str = "m1") -> MeterReading | None:
        return self.device.unit(name).meter()

    def close(self) -> None:
        self.device.close()
        if self._host is not None:
            self._host.close()
        self.listener.close()


@pytest.fixture
def gateway_of() -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(*maps: str) -> Gateway:
        made.append(Gateway(*maps))
        made[-1].device.start(0.0)
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def test_every_family_is_read_through_one_gateway(gateway_of: Callable[..., Gateway]) -> None:
    gateway = gateway_of(*LAYOUTS)
    gateway.connect()
    gateway.run(gateway.now + 2.0)
    readings = [gateway.reading(f"m{n}") for n in gateway.slaves]
    assert [reading.energy_import_wh for reading in readings if reading is not None] == [1_234_500.0] * len(LAYOUTS)
    assert all(reading is not None and reading.quality is Quality.GOOD for reading in readings)
    assert gateway.device.health(gateway.now).ok


def test_an_answer_to_another_transaction_is_none(gateway_of: Callable[..., Gateway]) -> None:
    gateway = gateway_of("sdm630")
    gateway.connect()
    gateway.wrong_transaction = True
    gateway.run(gateway.now + 2.0)
    assert gateway.reading() is None
    assert "meter 'm1' (address 1): does not answer" in gateway.device.health(gateway.now).detail
    gateway.wrong_transaction = False
    gateway.run(gateway.now + 2.0)
    assert gateway.reading() is not None


def test_a_connection_that_ends_is_told_and_made_anew(gateway_of: Callable[..., Gateway]) -> None:
    gateway = gateway_of("em340")
    gateway.connect()
    gateway.run(gateway.now + 0.5)
    first = gateway.reading()
    assert first is not None
    gateway.hang_up()
    assert gateway.device.fileno() is None
    health = gateway.device.health(gateway.now)
    assert not health.ok
    assert "has ended the connection" in health.detail
    assert gateway.reading() is first
    gateway.connect()
    gateway.run(gateway.now + 1.5)
    again = gateway.reading()
    assert again is not None
    assert again.at > first.at


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ModbusMeterOptions("/dev/x", (MeterOptions(1, "sdm630"),), host="127.0.0.1"), "give either 'port'"),
        (ModbusMeterOptions(meters=(MeterOptions(1, "sdm630"),)), "give either 'port'"),
        (ModbusMeterOptions(host="8.8.8.8", meters=(MeterOptions(1, "sdm630"),)), "no address of a local network"),
        (ModbusMeterOptions(host="127.0.0.1"), "name at least one meter"),
    ],
)
def test_what_can_never_work_is_refused(options: ModbusMeterOptions, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        ModbusMeter("m", options).start(0.0)


CONFIG = """
station: {{vendor: Nord, model: X2, serial_number: N1}}
installation: {{max_current_a: 32, phases: 3, nominal_voltage_v: 230, residual_current_profile: iec}}
devices:
  board: {{driver: mcu-board, port: /dev/ttyS1, variant: yeti}}
  grid: {{driver: modbus-meter, {grid}}}
evses:
  - {{id: 1, connector: socket, board: board, meter: grid, max_current_a: 32, phases: 3}}
ocpp: {{url: "", identity: N1}}
"""


@pytest.mark.parametrize(
    ("grid", "finding"),
    [
        ("host: 192.168.1.50, meters: [{address: 1, map: em340}]", ""),
        ("host: meter.local, meters: [{address: 1, map: em340}]", "is no IP address"),
        ("host: 192.168.1.50, meters: []", "name at least one meter"),
        ("host: 192.168.1.50", "name at least one meter"),
    ],
)
def test_the_configuration_is_judged(tmp_path: Path, grid: str, finding: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(grid=grid), encoding="utf-8")
    findings = [str(each) for each in check(path)]
    assert bool(findings) == bool(finding), findings
    assert all(finding in each for each in findings)
