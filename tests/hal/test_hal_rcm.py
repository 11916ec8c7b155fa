"""Residual-current monitors over Modbus: the driver against simulated monitors on a pty, in virtual time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hal_rig import Plug, drain, turn_until
from hypothesis import given
from hypothesis import strategies as st

from hal import ports, registry
from hal.drivers import rcm_map
from hal.drivers.map_reading import MapError
from hal.drivers.modbus_rcm import ModbusRcm, ModbusRcmOptions
from hal.drivers.rcm_map import SelfTestMap, Write
from hal.drivers.rcm_monitor import MonitorOptions, MonitorUnit, SelfTestRun
from hal.ports import DeviceError
from hal.values import ResidualCurrentReading, SelfTest
from simulators.rcm.modbus_monitor import RcmLine, Unit
from simulators.rcm.monitor import AC_TIMES_S, DC_TIMES_S, Monitor, TestResult, longest_s

OWN = str(Path(__file__).parents[2] / "docs" / "examples" / "residual-monitor.yaml")


class Line:
    """Monitors at the far end of a pty, and the device that reads them."""

    def __init__(self, folder: Path, *monitors: MonitorOptions) -> None:
        self.plug = Plug(folder)
        self.units = {each.address: Unit(each.address, Monitor()) for each in monitors}
        self.replies: list[bytes] = []
        self.far = RcmLine(self.units, self.replies.append)
        self.device = ModbusRcm("rcm", ModbusRcmOptions(str(self.plug.path), monitors))
        self.now = 0.0
        self._served = -1.0
        self.device.start(0.0)

    def run(self, until: float) -> None:
        master: Any = self.device._master
        while self.now < until:
            self.device.on_timer(self.now)
            if master.busy and self._served != master._deadline:
                self._served = master._deadline
                frame = b""
                while len(frame) < 8 or (frame[1] == 16 and len(frame) < 9 + frame[6]):
                    data = self.plug.receive(wait=True)
                    assert data, "no request came"
                    frame += data
                self.far.receive(frame, self.now)
                if self.replies:
                    self._deliver(self.replies.pop())
            self.now = round(self.now + 0.01, 3)

    def _deliver(self, reply: bytes) -> None:
        master: Any = self.device._master
        self.plug.send(reply)
        turn_until(self.device, lambda: not master.busy or len(master._received) >= len(reply), self.now)

    def unit(self, name: str = "") -> MonitorUnit:
        return self.device.unit(name)

    def reading(self, name: str = "") -> ResidualCurrentReading:
        reading = self.unit(name).residual_current()
        assert reading is not None, self.device.health(self.now)
        return reading


@pytest.fixture
def line_of(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(*monitors: MonitorOptions) -> Line:
        made.append(Line(tmp_path, *monitors))
        return made[-1]

    yield make
    for line in made:
        line.device.close()
        line.plug.close()


def test_the_registry_knows_the_driver_and_its_units() -> None:
    driver = registry.load("modbus-rcm")
    options = ModbusRcmOptions("/dev/null", (MonitorOptions(1, "rcmb300", "a"), MonitorOptions(2, OWN, "b")))
    kinds = frozenset({ports.PortKind.RESIDUAL_CURRENT_MONITOR})
    assert driver.units(options) == {"a": kinds, "b": kinds}
    device = driver.create("rcm", options)
    assert isinstance(device.unit("a"), ports.ResidualCurrentMonitor)
    with pytest.raises(KeyError, match="'a', 'b'"):
        device.unit("attic")


def feed(unit: MonitorUnit, words: dict[int, str], now: float = 1.0) -> ResidualCurrentReading | None:
    memory = {address + n // 4: text[n : n + 4] for address, text in words.items() for n in range(0, len(text), 4)}
    unit.identified = True
    unit.begin(now)
    for block in unit.map.blocks:
        registers = (memory.get(block.address + n, "0000") for n in range(block.count))
        unit.take(block, bytes.fromhex("".join(registers)), now)
    unit.finish(now)
    return unit.residual_current()


QUIET = {8000: "00000000", 8002: "00000000", 8004: "00000000", 8006: "447F8000", 8014: "00000000"}  # 1022: none


@pytest.mark.parametrize(
    ("words", "tripped"),
    [
        ({}, False),
        ({8002: "3BC49BA6"}, False),  # 6 mA, and the monitor has not tripped
        ({8014: "00000010"}, True),  # DC, relay 1
        ({8014: "00080000"}, True),  # AC, relay 2
        ({8014: "00000020"}, True),  # RMS, relay 1
        ({8014: "00000005"}, False),  # start alarm and manual self-test are no trip
        ({8014: "00000002"}, True),  # device error
        ({8006: "42E60000"}, True),  # 115: device error
        ({8006: "441D0000"}, False),  # 628: unknown
    ],
)
def test_words_by_hand_of_the_rcmb300(words: dict[int, str], tripped: bool) -> None:
    unit = MonitorUnit(MonitorOptions(1, "rcmb300"), rcm_map.load("rcmb300"))
    reading = feed(unit, QUIET | words)
    assert reading == ResidualCurrentReading(1.0, tripped, SelfTest.UNSUPPORTED)


def test_currents_are_in_milliampere_and_may_trip_by_our_own_limit() -> None:
    options = MonitorOptions(1, "rcmb300", trip_dc_ma=6.0, trip_rms_ma=30.0)
    unit = MonitorUnit(options, rcm_map.load("rcmb300"))
    reading = feed(unit, QUIET | {8002: "BBC49BA6"})  # −6 mA: smooth direct current has two directions
    assert unit.current_ma == pytest.approx({"ac_ma": 0.0, "dc_ma": -6.0, "rms_ma": 0.0})
    assert reading is not None
    assert reading.tripped
    reading = feed(unit, QUIET | {8002: "3BA3D70A", 8004: "3CF5C28F"}, 2.0)  # 5 mA, 30 mA
    assert reading is not None
    assert reading.tripped
    reading = feed(unit, QUIET | {8002: "3BA3D70A"}, 3.0)
    assert reading is not None
    assert not reading.tripped


def test_a_monitor_is_read_and_its_trip_is_seen(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, "rcmb300"))
    line.run(0.5)
    assert not line.reading().tripped
    assert line.device.health(line.now).ok
    line.units[1].monitor.dc_ma = 60.0
    line.run(1.2)
    assert line.reading().tripped
    assert line.unit().current_ma["dc_ma"] == pytest.approx(60.0)
    line.units[1].monitor.dc_ma = 0.0
    line.run(2.0)
    assert not line.reading().tripped
    assert 1.7 <= line.reading().at <= 2.0


def test_silence_is_never_restamped(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, "rcmb300"))
    line.run(0.5)
    at = line.reading().at
    line.units[1].silent = True
    line.run(3.0)
    assert line.reading().at <= at + 0.2
    assert "monitor (address 1): does not answer" in line.device.health(3.0).detail
    line.units[1].silent = False
    line.run(4.0)
    assert line.reading().at > 3.5
    assert line.device.health(4.0).ok


@pytest.mark.parametrize("fault", ["bad_crc", "foreign", "swapped_words", "nan"])
def test_what_is_not_sound_makes_no_reading(line_of: Callable[..., Line], fault: str) -> None:
    line = line_of(MonitorOptions(1, "rcmb300"))
    setattr(line.units[1], fault, True)
    line.run(2.0)
    assert line.unit().residual_current() is None
    detail = line.device.health(2.0).detail
    words = {"bad_crc": "does not answer", "nan": "holds no number"}.get(fault, "is no Bender RCMB300 series, or sends")
    assert words in detail
    setattr(line.units[1], fault, False)
    line.run(3.0)
    assert not line.reading().tripped


def test_a_monitor_that_reports_its_own_fault_counts_as_tripped(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, "rcmb300"))
    line.units[1].monitor.broken = True
    line.run(0.5)
    assert line.reading().tripped
    assert "reports a fault of its own; replace it" in line.device.health(0.5).detail


def test_a_self_test_by_command_passes_and_ends_at_its_time(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, OWN))
    line.unit().start_self_test(0.0)  # nothing is known of it yet: nothing is sent
    line.run(0.5)
    assert line.reading().self_test is SelfTest.NOT_RUN
    line.unit().start_self_test(line.now)
    line.unit().start_self_test(line.now)  # control asks again while it runs
    line.run(0.9)
    assert line.reading().self_test is SelfTest.RUNNING
    assert line.reading().tripped  # the test current's own trip
    line.run(2.5)
    reading = line.reading()
    assert reading.self_test is SelfTest.PASSED
    assert reading.self_test_at is not None
    assert 1.0 <= reading.self_test_at <= 1.5
    assert not reading.tripped


def test_a_self_test_that_fails_or_is_refused_is_failed(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, OWN))
    line.run(0.5)
    line.units[1].monitor.test_broken = True
    line.unit().start_self_test(line.now)
    line.run(2.5)
    assert line.reading().self_test is SelfTest.FAILED
    line.units[1].deaf = True
    line.unit().start_self_test(line.now)
    line.run(3.5)
    assert line.reading().self_test is SelfTest.FAILED
    assert line.reading().self_test_at == pytest.approx(2.5, abs=0.2)


def test_a_reset_is_a_command_of_the_map(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, OWN))
    monitor = line.units[1].monitor
    monitor.stuck, monitor.dc_ma = True, 100.0
    line.run(1.0)
    monitor.dc_ma = 0.0
    line.run(1.5)
    assert line.reading().tripped
    line.unit().reset_residual_current(line.now)
    line.run(2.2)
    assert not line.reading().tripped


def test_two_monitors_share_a_line(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, "rcmb300", "left"), MonitorOptions(2, OWN, "right"))
    line.units[1].silent = True
    line.units[2].monitor.dc_ma = 60.0
    line.run(3.0)
    assert line.unit("left").residual_current() is None
    assert line.reading("right").tripped
    assert line.reading("right").at > 2.0
    assert "right" not in line.device.health(3.0).detail


def test_unplugged_in_the_middle_of_a_test_and_plugged_in_again(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, OWN))
    line.run(0.5)
    line.unit().start_self_test(line.now)
    line.run(0.6)
    line.plug.pull()
    turn_until(line.device, lambda: line.device.fileno() is None, line.now)
    old = line.reading()
    assert "was unplugged" in line.device.health(line.now).detail
    line.device.on_timer(3.0)
    assert line.reading() is old
    line.plug.plug_in()
    line.now = 6.0
    line.run(7.0)
    assert line.reading().at > 6.0
    assert line.reading().self_test is SelfTest.NOT_RUN  # control asks anew


def test_close_is_final(line_of: Callable[..., Line]) -> None:
    line = line_of(MonitorOptions(1, OWN))
    line.run(0.5)
    line.device.close()
    line.device.close()
    line.unit().start_self_test(1.0)
    line.device.on_readable(1.0)
    assert line.device.on_timer(2.0) > 2.0
    assert line.device.fileno() is None
    assert not line.device.health(2.0).ok


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6))
def test_garbage_gives_no_reading(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    plug = Plug(tmp_path_factory.mktemp("rcm"))
    device = ModbusRcm("rcm", ModbusRcmOptions(str(plug.path), (MonitorOptions(1, "rcmb300"),)))
    device.start(0.0)
    for count, piece in enumerate(pieces):
        plug.send(piece)
        drain(device, 0.01 * count)
        device.on_timer(0.01 * count)
    assert device.unit("").residual_current() is None
    device.close()
    plug.close()


@pytest.mark.parametrize(
    ("monitors", "message"),
    [
        ((), "at least one"),
        ((MonitorOptions(1, OWN), MonitorOptions(2, OWN, "b")), "each needs a 'name'"),
        ((MonitorOptions(1, OWN, "a"), MonitorOptions(1, OWN, "b")), "address 1 is given twice"),
        ((MonitorOptions(1, "rcmb999"),), "no monitor map 'rcmb999'; there are: rcmb300"),
    ],
)
def test_what_can_never_work_is_refused(monitors: tuple[MonitorOptions, ...], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        ModbusRcm("rcm", ModbusRcmOptions("/nowhere", monitors)).start(0.0)


MINIMAL: dict[str, Any] = {"trips": [{"address": 1, "type": "uint16", "equals": [1]}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "give keys and values"),
        ({}, "give 'trips', or 'values'"),
        ({**MINIMAL, "colour": 1}, "unknown: colour"),
        ({"trips": 5}, "trips: give a list"),
        ({"trips": [{"address": 1, "type": "uint16"}]}, "give 'equals' or 'any_bits'"),
        ({"trips": [{"address": 1, "type": "uint16", "equals": ["x"]}]}, "equals: give a list of numbers"),
        ({**MINIMAL, "reset": [{"address": 1, "values": []}]}, "one to 32 registers"),
        ({**MINIMAL, "reset": [{"address": 1, "values": [70000]}]}, "whole number from 0 to 65535"),
        ({**MINIMAL, "self_test": {"start": []}}, "start: give what is to be written"),
        ({**MINIMAL, "self_test": {"start": [{"address": 1, "values": [1]}]}}, "either 'result' or 'trips_within_s'"),
        (
            {
                **MINIMAL,
                "self_test": {"start": [{"address": 1, "values": [1]}], "result": {"address": 2, "type": "uint16"}},
            },
            "passed: give the values",
        ),
        ({**MINIMAL, "self_test": {"start": [{"address": 1, "values": [1]}], "trips_within_s": 99}}, "from 0 to 60"),
    ],
)
def test_broken_maps_are_refused_with_reason(content: Any, message: str) -> None:
    with pytest.raises(MapError, match=message) as caught:
        rcm_map.parse(content, "mine.yaml")
    assert "mine.yaml" in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("values: [")
    assert "is not YAML" in rcm_map.check(str(bad))
    bad.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in rcm_map.check(str(bad))
    assert rcm_map.check("rcmb300") == rcm_map.check(OWN) == ""


BY_TRIP = SelfTestMap((Write(1, (1,)),), trips_within_s=2.0, clears_within_s=3.0)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ([(1.0, False), (2.5, False)], SelfTest.FAILED),  # no trip in time
        ([(1.0, True), (2.0, True)], SelfTest.RUNNING),
        ([(1.0, True), (2.0, False)], SelfTest.PASSED),
        ([(1.0, True), (4.5, True)], SelfTest.FAILED),  # it does not clear
        ([(1.0, True), (2.0, False), (9.0, True)], SelfTest.PASSED),  # what comes later is no part of it
    ],
)
def test_a_test_that_is_seen_by_its_trip(seen: list[tuple[float, bool]], state: SelfTest) -> None:
    run = SelfTestRun(BY_TRIP, 0.0, written=True)
    for now, tripped in seen:
        run.update(tripped, None, now)
    assert run.state is state


def test_an_old_result_is_not_taken_for_the_new_ones() -> None:
    by_result = rcm_map.load(OWN).self_test
    assert by_result is not None
    run = SelfTestRun(by_result, 10.0, written=True)
    run.update(False, 2.0, 10.1)  # still the last test's
    assert run.state is SelfTest.RUNNING
    run.update(False, 2.0, 11.1)
    assert (run.state, run.ended_at) == (SelfTest.PASSED, 11.1)
    unheard = SelfTestRun(by_result, 10.0)
    unheard.update(False, 2.0, 12.0)  # the command was never acknowledged
    assert unheard.state is SelfTest.RUNNING
    unheard.update(False, 2.0, 19.0)
    assert unheard.state is SelfTest.FAILED


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.sampled_from([None, 0.0, 1.0, 2.0, 3.0])), max_size=30))
def test_no_test_runs_for_ever_and_none_changes_its_mind(steps: list[tuple[float, bool, float | None]]) -> None:
    for described in (BY_TRIP, rcm_map.load(OWN).self_test):
        assert described is not None
        run, now, ended = SelfTestRun(described, 0.0, written=True), 0.0, None
        for step_s, tripped, result in steps:
            now += step_s
            run.update(tripped, result, now)
            if ended is not None:
                assert run.state is ended
            ended = None if run.state is SelfTest.RUNNING else run.state
            assert run.state is not SelfTest.RUNNING or now <= 8.0


# The simulated monitor keeps the times of the standard


@pytest.mark.parametrize(("limit_ma", "within_s"), [*DC_TIMES_S])
def test_direct_current_trips_in_time(limit_ma: float, within_s: float) -> None:
    monitor = Monitor()
    monitor.dc_ma = -limit_ma
    monitor.step(0.0)
    assert not monitor.tripped
    monitor.step(within_s)
    assert monitor.tripped


def test_what_is_below_never_trips_and_alternating_current_has_its_own_times() -> None:
    assert longest_s(5.9, 29.0) is None
    assert longest_s(6.0, 0.0) == 10.0
    assert longest_s(0.0, 30.0) == dict(AC_TIMES_S)[30.0]
    assert longest_s(6.0, 150.0) == 0.04
    monitor = Monitor()
    monitor.dc_ma = 5.9
    for now in range(1000):
        monitor.step(float(now))
    assert not monitor.tripped
    assert monitor.result is TestResult.NONE


def test_the_vectors_are_what_they_say() -> None:
    assert struct.unpack(">f", bytes.fromhex("3BC49BA6"))[0] == pytest.approx(0.006)
    assert struct.unpack(">f", bytes.fromhex("447F8000"))[0] == 1022.0
