"""The examples of docs/extending.md do what the page says: the driver by an entry point, the meter by its map alone."""

from __future__ import annotations

import importlib.metadata
import os
import select
import struct
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config import check, load
from hal import ports, registry
from hal.drivers import modbus_rtu
from hal.drivers.modbus_meter import MeterOptions, ModbusMeter, ModbusMeterOptions
from hal.ports import Device, DeviceError, PortKind
from hal.values import TokenKind

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PATIENCE_S = 5.0


class FarEnd:
    """The other end of a serial line, under a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        path.symlink_to(os.ttyname(self._slave))

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size and select.select([self._master], [], [], PATIENCE_S)[0]:
            data += os.read(self._master, size - len(data))
        return data

    def pull(self) -> None:
        self.path.unlink()
        os.close(self._slave)
        os.close(self._master)


@pytest.fixture
def far_end(tmp_path: Path) -> Iterator[FarEnd]:
    end = FarEnd(tmp_path / "tty")
    yield end
    if end.path.is_symlink():
        end.pull()


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package had been installed that registers the example."""
    monkeypatch.syspath_prepend(EXAMPLES)
    point = importlib.metadata.EntryPoint("line-reader", "line_reader:DRIVER", registry.ENTRY_POINT_GROUP)

    def entry_points(*, group: str, name: str | None = None) -> list[importlib.metadata.EntryPoint]:
        return [point] if group == registry.ENTRY_POINT_GROUP and name in (None, "line-reader") else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def _create(path: Path) -> Device:
    driver = registry.load("line-reader")
    return driver.create("door", driver.options(str(path)))


def _read_until(device: Device, condition: Callable[[], bool], now: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        fd = device.fileno()
        if fd is None or select.select([fd], [], [], 0.05)[0]:
            device.on_readable(now)


@pytest.mark.usefixtures("_installed")
def test_the_driver_is_found_and_its_options_are_checked(tmp_path: Path) -> None:
    assert "line-reader" in registry.names()
    example = (Path(__file__).parents[2] / "config.example.yaml").read_text(encoding="utf-8")
    begin, end = example.index("  rfid:\n"), example.index("\n\n# The outlets")
    path = tmp_path / "config.yaml"
    path.write_text(
        example[:begin] + "  rfid:\n    driver: line-reader\n    port: /dev/ttyS4\n" + example[end:], encoding="utf-8"
    )
    assert load(path).devices["rfid"].options.baud == 9600
    path.write_text(path.read_text(encoding="utf-8").replace("line-reader\n", "line-reader\n    baud: 7\n"), "utf-8")
    assert [finding for finding in check(path) if "devices.rfid.baud" in str(finding)]


@pytest.mark.usefixtures("_installed")
def test_the_driver_keeps_the_contract(far_end: FarEnd, tmp_path: Path) -> None:
    driver = registry.load("line-reader")
    assert driver.units(driver.options("x")) == {"": frozenset({PortKind.TOKEN_READER})}
    device = _create(far_end.path)
    reader = device.unit("")
    assert isinstance(reader, ports.TokenReader)
    with pytest.raises(KeyError, match="attic"):
        device.unit("attic")
    assert device.fileno() is None
    assert not device.health(0.0).ok
    device.start(0.0)
    assert device.health(0.0).ok
    far_end.send(b"noise\xff\r\n04A1B2C3\r\n04d4")
    _read_until(device, lambda: device.health(1.0).last_heard_at is not None, 1.0)
    assert [(token.at, token.uid, token.kind) for token in reader.take_tokens()] == [
        (1.0, "04A1B2C3", TokenKind.ISO14443)
    ]
    assert reader.take_tokens() == []
    far_end.send(b"e5f6\n")
    _read_until(device, lambda: device.health(2.0).last_heard_at == 2.0, 2.0)
    assert [token.uid for token in reader.take_tokens()] == ["04D4E5F6"]
    far_end.pull()
    _read_until(device, lambda: device.fileno() is None, 3.0)
    assert str(far_end.path) in device.health(3.0).detail
    assert device.on_timer(9.0) > 9.0
    device.close()
    device.close()
    assert device.on_timer(20.0) > 20.0
    assert device.fileno() is None
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DeviceError, match="is not a serial port"):
        _create(file).start(0.0)


def test_a_meter_by_its_map_alone(far_end: FarEnd) -> None:
    values = {2500: 229.0, 2502: 230.0, 2504: 231.0, 2516: 16.0, 2518: 15.0, 2520: 14.0, 2536: 10_350.0, 2584: 50.0}
    values |= {2752: 1_234_567.0, 2756: 3.0}
    meter = MeterOptions(1, str(EXAMPLES / "finder-7m38.yaml"))
    device = ModbusMeter("grid", ModbusMeterOptions(str(far_end.path), (meter,)))
    device.start(0.0)
    now, unit = 0.01, device.unit("")
    device.on_timer(now)
    while unit.meter() is None:
        request = modbus_rtu.parse_request(far_end.receive(modbus_rtu.REQUEST_SIZE))
        assert request is not None
        assert request.function == 4
        words = {a + i: struct.pack(">f", v)[2 * i : 2 * i + 2] for a, v in values.items() for i in range(2)}
        addresses = range(request.address, request.address + request.count)
        far_end.send(modbus_rtu.encode_answer(request, b"".join(words.get(each, b"\0\0") for each in addresses)))
        before = unit.answered_at
        now += 0.01
        _read_until(device, lambda before=before: unit.answered_at != before, now)
        now += 0.05
        device.on_timer(now)
    reading = unit.meter()
    assert reading is not None
    assert (reading.energy_import_wh, reading.energy_export_wh, reading.power_w) == (1_234_567.0, 3.0, 10_350.0)
    assert reading.voltage_v == (229.0, 230.0, 231.0)
    assert reading.current_a == (16.0, 15.0, 14.0)
    device.close()
