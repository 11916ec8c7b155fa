"""The Modbus meter driver against units on a pty: an in-test one in virtual time, and pymodbus as a stranger."""

from __future__ import annotations

import asyncio
import os
import select
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hal_rig import PATIENCE_S, Plug, drain, turn_until
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer

from hal import ports, registry
from hal.drivers import modbus_rtu as rtu
from hal.drivers.metering import CONFIRMATIONS, EnergyCheck, energy_wh, float32_step
from hal.drivers.modbus_meter import MeterOptions, MeterUnit, ModbusMeter, ModbusMeterOptions
from hal.ports import DeviceError
from hal.values import Quality

SDM630 = {
    0x00: 230.1,
    0x02: 231.2,
    0x04: 232.3,
    0x06: 16.01,
    0x08: 15.02,
    0x0A: 14.03,
    0x34: 10_432.5,
    0x3E: 0.998,
    0x46: 49.98,
    0x48: 1234.567,
    0x4A: 0.5,
}


def floats(values: dict[int, float], size: int = 0x60) -> bytearray:
    memory = bytearray(2 * size)
    for address, value in values.items():
        struct.pack_into(">f", memory, 2 * address, value)
    return memory


class Line:
    """Units on the far end and the device that masters them."""

    def __init__(self, folder: Path, *meters: MeterOptions, **options: object) -> None:
        self.plug = Plug(folder)
        self.memory = {meter.address: floats(SDM630) for meter in meters}
        self.device = ModbusMeter("meters", ModbusMeterOptions(str(self.plug.path), meters, **options))  # type: ignore[arg-type]
        self.asked: list[rtu.ReadRequest] = []
        self.spoil: Callable[[rtu.ReadRequest, bytes], bytes] = lambda request, answer: answer
        self.now = 0.0
        self._served = -1.0

    def request(self) -> rtu.ReadRequest:
        """Wait for the next request of the master."""
        frame = b""
        while len(frame) < rtu.REQUEST_SIZE:
            data = self.plug.receive(wait=True)
            assert data, "no request came"
            frame += data
        request = rtu.parse_request(frame)
        assert request is not None
        self.asked.append(request)
        return request

    def answer(self, request: rtu.ReadRequest) -> int:
        """Answer, as ``spoil`` has it; return how many bytes that was."""
        memory = self.memory[request.unit]
        registers = bytes(memory[2 * request.address : 2 * (request.address + request.count)])
        sent = self.spoil(request, rtu.encode_answer(request, registers))
        self.plug.send(sent)
        return len(sent)

    def is_asking(self) -> bool:
        return self.device._master.busy

    def run(self, until: float) -> None:
        """Let the virtual time pass; every request is answered (as ``spoil`` has it) as soon as it is out."""
        while self.now < until:
            self.device.on_timer(self.now)
            if self.is_asking() and self._served != self.device._master._deadline:
                self._served = self.device._master._deadline
                sent = self.answer(self.request())
                turn_until(self.device, lambda sent=sent: self._has_read(sent), self.now)  # type: ignore[misc]
            self.now = round(self.now + 0.01, 3)

    def _has_read(self, count: int) -> bool:
        return not self.is_asking() or len(self.device._master._received) >= count


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path, MeterOptions(1, "sdm630"))
    yield line
    line.device.close()
    line.plug.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path, MeterOptions(1, "sdm630", "left"), MeterOptions(2, "sdm120", "right"))
    line.memory[2] = floats({0x00: 229.0, 0x06: 6.0, 0x0C: 1374.0, 0x1E: 1.0, 0x46: 50.0, 0x48: 7.0, 0x4A: 0.0})
    yield line
    line.device.close()
    line.plug.close()


def test_registry_knows_the_driver_and_its_units() -> None:
    driver = registry.load("modbus-meter")
    options = ModbusMeterOptions("/dev/null", (MeterOptions(1, "sdm630", "grid"), MeterOptions(2, "sdm120", "ev")))
    assert driver.units(options) == {
        "grid": frozenset({ports.PortKind.POWER_METER}),
        "ev": frozenset({ports.PortKind.POWER_METER}),
    }
    device = driver.create("meters", options)
    assert isinstance(device.unit("grid"), ports.PowerMeter)
    with pytest.raises(KeyError, match="'grid', 'ev'"):
        device.unit("attic")


def test_one_cycle_gives_a_complete_reading(line: Line) -> None:
    line.device.start(0.0)
    line.device.on_timer(0.01)  # the line has been silent for a gap
    line.answer(line.request())
    turn_until(line.device, lambda: not line.is_asking(), 0.25)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.at == 0.25
    assert reading.energy_import_wh == 1_234_567.0
    assert reading.energy_export_wh == 500.0
    assert reading.power_w == 10_432.5
    assert reading.voltage_v == (230.1, 231.2, 232.3)
    assert reading.current_a == (16.01, 15.02, 14.03)
    assert (reading.frequency_hz, reading.power_factor) == (49.98, 0.998)
    assert reading.quality is Quality.GOOD
    assert line.asked == [rtu.ReadRequest(1, 4, 0, 76)]
    assert line.device.health(0.3).ok


def test_polls_at_its_interval_and_never_restamps(line: Line) -> None:
    line.device.start(0.0)
    line.run(2.5)
    assert len(line.asked) == 3
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.at == pytest.approx(2.0, abs=0.05)
    at = reading.at
    line.spoil = lambda request, answer: b""
    line.run(5.0)
    old = line.device.unit("").meter()
    assert old is not None
    assert old.at == at
    assert "does not answer" in line.device.health(5.0).detail


def test_one_byte_at_a_time(line: Line) -> None:
    line.device.start(0.0)
    line.device.on_timer(0.01)
    request = line.request()
    for byte in rtu.encode_answer(request, bytes(line.memory[1][: 2 * request.count])):
        line.plug.send(bytes([byte]))
        drain(line.device, 0.1)
    turn_until(line.device, lambda: not line.is_asking(), 0.1)
    assert line.device.unit("").meter() is not None


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda request, answer: request.encode() + answer, id="echo"),
        pytest.param(lambda request, answer: b"\x00\xff\x01\x04" + answer, id="noise before"),
        pytest.param(lambda request, answer: answer + b"\xff\x00", id="noise behind"),
    ],
)
def test_noise_and_echo_are_passed_over(line: Line, spoil: Callable[[rtu.ReadRequest, bytes], bytes]) -> None:
    line.spoil = spoil
    line.device.start(0.0)
    line.run(0.2)
    assert line.device.unit("").meter() is not None
    assert len(line.asked) == 1


BROKEN = [
    pytest.param(lambda request, answer: answer[:-1] + bytes([answer[-1] ^ 1]), id="checksum"),
    pytest.param(lambda request, answer: rtu.seal(b"\x09" + answer[1:-2]), id="wrong unit"),
    pytest.param(lambda request, answer: answer[:20], id="cut off"),
    pytest.param(lambda request, answer: b"", id="silence"),
    pytest.param(lambda request, answer: request.encode(), id="echo only"),
    pytest.param(lambda request, answer: rtu.encode_answer(request, answer[3:-4]), id="too short"),
    pytest.param(lambda request, answer: bytes(range(256)) * 3, id="babble"),
]


@pytest.mark.parametrize("spoil", BROKEN)
def test_broken_answers_give_no_reading_and_the_next_sound_one_does(
    line: Line, spoil: Callable[[rtu.ReadRequest, bytes], bytes]
) -> None:
    line.spoil = spoil
    line.device.start(0.0)
    line.run(2.9)
    assert line.device.unit("").meter() is None
    health = line.device.health(2.9)
    assert not health.ok
    assert "meter (address 1): does not answer" in health.detail
    line.spoil = lambda request, answer: answer
    line.run(4.5)
    assert line.device.unit("").meter() is not None
    assert line.device.health(4.5).ok


def test_a_lost_answer_is_asked_for_again(line: Line) -> None:
    line.device.start(0.0)
    line.run(0.5)
    line.asked.clear()
    spoiled: list[int] = []

    def spoil(request: rtu.ReadRequest, answer: bytes) -> bytes:
        spoiled.append(1)
        return b"" if len(spoiled) <= 2 else answer

    line.spoil = spoil
    line.run(2.0)
    assert len(line.asked) == 2
    assert line.device.health(2.0).ok  # not yet trouble
    line.run(2.5)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.at > 2.0
    assert line.device.health(2.5).ok


def test_exception_names_register_and_remedy(line: Line) -> None:
    line.spoil = lambda request, answer: rtu.encode_exception(request, 4)
    line.device.start(0.0)
    line.run(0.3)
    assert "exception 4 (device failure) to register 0x0000; check 'map'" in line.device.health(0.3).detail


def test_an_exception_is_a_life_sign(line: Line) -> None:
    line.spoil = lambda request, answer: rtu.encode_exception(request, 4)
    line.device.start(0.0)
    line.run(0.1)
    assert line.device.health(0.1).last_heard_at == 0.01


def test_a_busy_meter_is_asked_again(line: Line) -> None:
    line.device.start(0.0)
    line.run(0.5)
    busy: list[int] = []

    def spoil(request: rtu.ReadRequest, answer: bytes) -> bytes:
        busy.append(1)
        return rtu.encode_exception(request, 6) if len(busy) == 1 else answer

    line.spoil = spoil
    line.run(1.5)
    assert len(busy) == 2
    assert line.device.health(1.5).ok
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.at > 1.0


def test_an_answer_that_comes_too_late_is_thrown_away(line: Line) -> None:
    line.device.start(0.0)
    line.device.on_timer(0.01)
    request = line.request()
    assert line.device.on_timer(5.0) > 5.0  # given up
    line.plug.send(rtu.encode_answer(request, bytes(floats({0x48: 999.0})[: 2 * request.count])))
    fd = line.device.fileno()
    assert fd is not None
    assert select.select([fd], [], [], PATIENCE_S)[0]
    line.device.on_timer(6.0)  # asks again without having read it
    line.answer(line.request())
    turn_until(line.device, lambda: not line.is_asking(), 6.1)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.energy_import_wh == 1_234_567.0


def test_a_meter_that_refuses_unused_registers_is_read_piece_by_piece(line: Line) -> None:
    line.spoil = lambda request, answer: rtu.encode_exception(request, 2) if request.count > 12 else answer
    line.device.start(0.0)
    line.run(0.9)
    assert [(request.address, request.count) for request in line.asked] == [
        (0, 76),
        (0, 12),
        (0x34, 2),
        (0x3E, 2),
        (0x46, 6),
    ]
    assert line.device.unit("").meter() is not None
    line.asked.clear()
    line.run(1.9)
    assert len(line.asked) == 4


def test_illegal_address_in_a_needed_register_is_trouble(line: Line) -> None:
    line.spoil = lambda request, answer: rtu.encode_exception(request, 2)
    line.device.start(0.0)
    line.run(2.5)
    assert "illegal data address" in line.device.health(2.5).detail
    assert line.device.unit("").meter() is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_reading_with_a_number_that_is_none_is_rejected(line: Line, value: float) -> None:
    line.device.start(0.0)
    line.run(0.5)
    first = line.device.unit("").meter()
    struct.pack_into(">f", line.memory[1], 2 * 0x02, value)
    line.run(1.5)
    assert line.device.unit("").meter() is first
    assert "register 0x0002 (voltage_v) holds no number" in line.device.health(1.5).detail


def test_an_optional_register_may_hold_none(line: Line) -> None:
    struct.pack_into(">f", line.memory[1], 2 * 0x3E, float("nan"))
    line.device.start(0.0)
    line.run(0.5)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.power_factor is None


def test_a_silent_meter_does_not_take_the_line_from_the_other(pair: Line) -> None:
    pair.spoil = lambda request, answer: b"" if request.unit == 1 else answer
    pair.device.start(0.0)
    pair.run(5.0)
    right = pair.device.unit("right").meter()
    assert right is not None
    assert right.at > 3.9
    assert right.energy_import_wh == 7000.0
    assert (right.voltage_v, right.power_w) == ((229.0,), 1374.0)
    assert pair.device.unit("left").meter() is None
    assert "meter 'left' (address 1)" in pair.device.health(5.0).detail
    assert "right" not in pair.device.health(5.0).detail


def test_register_running_backwards_is_suspect_once_and_good_again(line: Line) -> None:
    line.device.start(0.0)
    line.run(0.5)
    struct.pack_into(">f", line.memory[1], 2 * 0x48, 1000.0)
    line.run(1.5)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert (reading.energy_import_wh, reading.quality) == (1_000_000.0, Quality.SUSPECT)
    struct.pack_into(">f", line.memory[1], 2 * 0x48, 1234.57)
    line.run(2.5)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.quality is Quality.GOOD


def test_energy_check_accepts_a_new_level_after_enough_agreeing_readings() -> None:
    check = EnergyCheck()
    assert check.judge(50_000.0, 0.0) is Quality.GOOD
    judged = [check.judge(10.0 + n, 1.0 + n) for n in range(CONFIRMATIONS + 2)]
    assert judged == [Quality.SUSPECT] * CONFIRMATIONS + [Quality.GOOD] * 2


@pytest.mark.parametrize(
    ("energy", "at", "quality"),
    [
        (1000.0, 10.0, Quality.GOOD),
        (1061.0, 3600.0 + 10.0, Quality.GOOD),
        (1000.0 + 22_000.0, 3610.0, Quality.GOOD),
        (1000.0 + 150_000.0, 3610.0, Quality.SUSPECT),
        (1050.0, 10.5, Quality.SUSPECT),
        (999.0, 11.0, Quality.SUSPECT),
        (-5.0, 11.0, Quality.SUSPECT),
    ],
)
def test_energy_check(energy: float, at: float, quality: Quality) -> None:
    check = EnergyCheck()
    check.judge(1000.0, 10.0)
    assert check.judge(energy, at) is quality


def test_energy_tolerates_the_registers_own_step() -> None:
    step = float32_step(20_000_000.0)
    assert step == 2.0
    check = EnergyCheck()
    check.judge(20_000_000.0, 0.0)
    assert check.judge(20_000_000.0 - step, 1.0) is Quality.GOOD
    assert EnergyCheck(step_wh=100.0)._plausible((1000.0, 0.0), 910.0, 1.0)


@pytest.mark.parametrize("kwh", [0.01, 12.3, 999.99, 1600.55])
def test_energy_shows_no_noise_of_the_float_register(kwh: float) -> None:
    raw = struct.unpack(">f", struct.pack(">f", kwh))[0]
    assert energy_wh(raw * 1000) == pytest.approx(kwh * 1000, abs=0.05)
    assert energy_wh(raw * 1000) == round(kwh * 1000, 1)


def test_unplugged_and_plugged_in_again(line: Line) -> None:
    line.device.start(0.0)
    line.run(0.5)
    first = line.device.unit("").meter()
    line.plug.pull()
    turn_until(line.device, lambda: line.device.fileno() is None, 0.6)
    assert "was unplugged" in line.device.health(0.6).detail
    line.device.on_timer(1.6)
    assert "is not there" in line.device.health(1.6).detail
    assert line.device.unit("").meter() is first
    line.plug.plug_in()
    line.now = 3.0
    line.run(3.5)
    reading = line.device.unit("").meter()
    assert reading is not None
    assert reading.at >= 3.0


def test_a_map_that_does_not_exist_can_never_work() -> None:
    device = ModbusMeter("m", ModbusMeterOptions("/nowhere", (MeterOptions(1, "sdm999"),)))
    with pytest.raises(DeviceError, match="no register map 'sdm999'"):
        device.start(0.0)


@pytest.mark.parametrize(
    ("meters", "message"),
    [
        ((), "at least one"),
        ((MeterOptions(1, "sdm630"), MeterOptions(2, "sdm630", "b")), "each needs a 'name'"),
        ((MeterOptions(1, "sdm630", "a"), MeterOptions(2, "sdm630", "a")), "name a is given twice"),
        ((MeterOptions(1, "sdm630", "a"), MeterOptions(1, "sdm630", "b")), "address 1 is given twice"),
    ],
)
def test_meters_that_cannot_share_a_line(meters: tuple[MeterOptions, ...], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        ModbusMeter("m", ModbusMeterOptions("/nowhere", meters)).start(0.0)


def test_a_unit_labels_itself() -> None:
    device = ModbusMeter("m", ModbusMeterOptions("/nowhere", (MeterOptions(7, "sdm120", "roof"),)))
    unit = device.unit("roof")
    assert isinstance(unit, MeterUnit)
    assert unit.label == "meter 'roof' (address 7)"


class Stranger(threading.Thread):
    """pymodbus as the unit on the line, on a real clock."""

    def __init__(self, port: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        memory = floats(SDM630)
        words = [int.from_bytes(memory[at : at + 2], "big") for at in range(0, len(memory), 2)]
        context = ModbusServerContext(
            devices={5: ModbusDeviceContext(ir=ModbusSequentialDataBlock(1, words))}, single=False
        )
        server = ModbusSerialServer(context, framer=FramerType.RTU, port=self._port, baudrate=9600)
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        self.ready.set()
        await self._over.wait()
        await server.shutdown()
        await asyncio.gather(task, return_exceptions=True)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self.join()


def test_against_pymodbus(tmp_path: Path) -> None:
    ours, theirs = Plug(tmp_path), None
    (tmp_path / "b").mkdir()
    theirs = Plug(tmp_path / "b")
    stranger = Stranger(os.path.realpath(theirs.path))
    stranger.start()
    assert stranger.ready.wait(PATIENCE_S)
    device = ModbusMeter(
        "m", ModbusMeterOptions(str(ours.path), (MeterOptions(5, "sdm630"),), poll_interval_s=0.2, response_timeout_s=1)
    )
    device.start(time.monotonic())
    end = time.monotonic() + PATIENCE_S
    while device.unit("").meter() is None and time.monotonic() < end:
        device.on_timer(time.monotonic())
        for a, b in ((ours, theirs), (theirs, ours)):
            data = a.receive()
            if data:
                b.send(data)
        drain(device, time.monotonic())
        time.sleep(0.002)
    stranger.stop()
    reading = device.unit("").meter()
    device.close()
    ours.close()
    theirs.close()
    assert reading is not None
    assert (reading.energy_import_wh, reading.voltage_v) == (1_234_567.0, (230.1, 231.2, 232.3))
