"""The driver can-board against the example board, in virtual time on a bus inside the process."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import can
import pytest
from can_rig import Bench, VirtualBus, virtual_bus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal import registry
from hal.can import table as tables
from hal.drivers.can_board.driver import CanBoard, CanBoardOptions
from hal.ports import DeviceError, PortKind
from hal.values import BoardError, Cable, PilotState, Quality, SelfTest
from simulators.can.board import CanBoard as SimulatedBoard
from simulators.lab.kinds import Surroundings
from simulators.oracle import EventLog

TABLE = Path(tables.__file__).parents[1] / "drivers" / "can_board" / "example.can.json"
A, B, C = Surroundings(12.0, 12.0), Surroundings(9.0, -12.0, 32), Surroundings(6.0, -12.0, 32)


class Board(Bench):
    """Device and simulated board."""

    def __init__(self, bus: VirtualBus, **options: Any) -> None:
        self.around = A
        self.options = CanBoardOptions(channel=bus.channel, interface="virtual", table=TABLE, **options)
        device = CanBoard("board", self.options)
        offset = self.options.id_offset
        self.board = SimulatedBoard(lambda number, data: bus.send(number + offset, data), EventLog(), 0.0)
        super().__init__(
            bus,
            device,
            lambda frame, now: self.board.receive(frame.id - offset, frame.data, now),
            lambda now: self.board.step(now, self.around),
        )
        self.unit = device.unit("")

    @property
    def detail(self) -> str:
        return str(self.device.health(self.now).detail)

    def closed(self) -> bool:
        return self.board.firmware.contactor.closed

    def charge(self) -> None:
        self.start()
        self.until(lambda: self.unit.verified)
        self.around = C
        self.unit.set_pilot(26.67, self.now)
        self.run(0.3)
        self.unit.set_contactor(True, self.now)
        self.until(lambda: self.closed() and self.unit.contactor() and self.unit.contactor().closed)


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[VirtualBus]:
    with virtual_bus(request.node.name) as opened:
        yield opened


@pytest.fixture
def bench(bus: VirtualBus) -> Iterator[Board]:
    board = Board(bus)
    yield board
    board.device.close()


def permits(bench: Board) -> list[bool]:
    return [frame.data[2] & 3 == 2 for frame in bench.sent]


def test_ports_are_those_that_the_table_offers(bus: VirtualBus) -> None:
    driver = registry.load("can-board")
    units = driver.units(CanBoardOptions(channel=bus.channel, interface="virtual", table=TABLE))
    assert units[""] == {
        PortKind.CONTROL_PILOT,
        PortKind.CONTACTOR,
        PortKind.PROXIMITY_PILOT,
        PortKind.CABLE_LOCK,
        PortKind.RESIDUAL_CURRENT_MONITOR,
        PortKind.POWER_METER,
        PortKind.TEMPERATURE_SENSOR,
        PortKind.EMERGENCY_STOP,
        PortKind.ENCLOSURE,
        PortKind.BOARD,
    }


def test_a_charge(bench: Board) -> None:
    bench.charge()
    assert bench.device.health(bench.now).ok
    pilot = bench.unit.pilot()
    assert (pilot.state, pilot.high_v, pilot.low_v) == (PilotState.C, pytest.approx(6.0), pytest.approx(-12.0))
    assert bench.board.duty_pct == 26.67
    assert bench.unit.proximity().cable is Cable.A32
    bench.unit.set_contactor(False, bench.now)
    bench.pump()
    assert not bench.board.firmware.allowed  # left at once, not with the next cycle
    bench.until(lambda: not bench.unit.contactor().closed, 0.2)


def test_safe_first_and_nothing_that_could_energise_before_the_board_is_heard(bench: Board) -> None:
    bench.bus.cut = True
    bench.start()
    for _ in range(100):
        bench.unit.set_pilot(50.0, bench.now)
        bench.unit.set_contactor(True, bench.now)
        bench.unit.set_lock(True, bench.now)
        bench.run(0.01)
    assert "BoardStatus (id 0x200): not heard yet" in bench.detail
    bench.bus.cut = False
    bench.pump()
    bench.unit.set_contactor(True, bench.now)
    bench.run(0.05)
    assert bench.sent
    assert permits(bench) == [False] * len(bench.sent)
    assert all(frame.data[:2] == b"\0\0" for frame in bench.sent)


def test_command_frames_are_cyclic_with_counter_and_checksum(bench: Board) -> None:
    bench.start()
    bench.run(2.0)
    counters = [frame.data[6] & 15 for frame in bench.sent]
    assert 19 <= len(counters) <= 23
    assert all((after - before) % 16 == 1 for before, after in pairwise(counters))
    assert bench.board.frames_in >= len(counters) - 4  # it boots for a quarter of a second


def test_a_board_that_falls_silent_is_withdrawn_and_commanded_open(bench: Board) -> None:
    bench.charge()
    bench.board.wire_faults.mute = True
    gone = bench.until(lambda: bench.unit.pilot() is None)
    assert gone <= 0.31  # the time-out of its message, plus a step
    assert bench.unit.contactor() is None
    assert not bench.unit.verified
    assert permits(bench)[-1] is False
    bench.until(lambda: not bench.closed(), 0.2)
    assert "not heard for" in bench.detail
    bench.board.wire_faults.mute = False
    bench.run(1.0)
    assert bench.unit.verified
    assert permits(bench)[-1] is False  # nothing is commanded again by itself
    assert not bench.closed()


def test_the_plug_is_not_taken_for_pulled_while_the_board_is_away(bench: Board) -> None:
    bench.charge()
    before = bench.unit.proximity()
    bench.board.wire_faults.mute = True
    bench.run(2.0)
    kept = bench.unit.proximity()
    assert kept.cable is Cable.A32
    assert kept.at - before.at < 0.2
    bench.around = A
    bench.board.wire_faults.mute = False
    bench.until(lambda: bench.unit.proximity().cable is Cable.NONE)


def test_the_board_opens_by_itself_when_we_fall_silent(bench: Board) -> None:
    bench.charge()
    bench.board.wire_faults.deaf = True
    assert bench.until(lambda: not bench.closed()) < 0.6


FAULTS = [("bad_checksum", "BoardStatus: has a wrong checksum"), ("counter_frozen", "its counter stands still")]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_frames_that_prove_nothing_do_not_keep_a_charge_alive(bench: Board, fault: str, words: str) -> None:
    bench.charge()
    setattr(bench.board.wire_faults, fault, True)
    assert bench.until(lambda: not bench.closed()) < 0.6
    assert bench.unit.pilot() is None
    assert words in bench.detail


def test_no_value_is_no_reading(bench: Board) -> None:
    bench.charge()
    bench.board.wire_faults.unknown_values = True
    at = bench.unit.meter().at
    bench.run(1.5)
    assert bench.unit.contactor().closed is None
    assert (bench.unit.pilot().high_v, bench.unit.pilot().low_v) == (None, None)
    assert [reading.value_c for reading in bench.unit.temperatures()] == [None, None]
    assert bench.unit.meter().at - at < 0.5  # an old reading is not made new


def test_an_unknown_pilot_state_is_invalid(bench: Board) -> None:
    bench.charge()
    bench.around = Surroundings(4.0e1, 0.0)
    bench.until(lambda: bench.unit.pilot().state is PilotState.INVALID)
    assert BoardError.PILOT in bench.unit.board().errors


def test_meter_pages_make_one_reading(bench: Board) -> None:
    bench.start()
    bench.around = Surroundings(6.0, -12.0, 32, (16.0, 15.5, 0.0), (230.1, 231.2, 229.3), 12_345.0)
    bench.until(lambda: bench.unit.meter() is not None and bench.unit.meter().current_a)
    meter = bench.unit.meter()
    assert meter.energy_import_wh == 12_345.0
    assert meter.voltage_v == (230.1, 231.2, 229.3)
    assert meter.current_a == (16.0, 15.5, 0.0)
    assert meter.frequency_hz == 50.0
    assert meter.quality is Quality.GOOD


def test_a_register_that_runs_backwards_is_suspect(bench: Board) -> None:
    bench.start()
    bench.around = dataclasses.replace(A, energy_wh=5000.0)
    bench.until(lambda: bench.unit.meter() is not None and bench.unit.verified)
    bench.around = dataclasses.replace(A, energy_wh=4000.0)
    bench.until(lambda: bench.unit.meter().quality is Quality.SUSPECT)
    assert "the energy register went from 5000 to 4000 Wh" in bench.detail


def test_temperature_lock_stop_and_cover(bench: Board) -> None:
    bench.start()
    bench.until(lambda: bench.unit.verified)
    bench.board.temperature_c = (71.0, math.nan)
    bench.board.emergency_stop = bench.board.enclosure_open = True
    bench.unit.set_lock(True, bench.now)
    bench.until(lambda: bench.unit.lock().locked is None)
    bench.until(lambda: bench.unit.lock().locked)
    assert [reading.value_c for reading in bench.unit.temperatures()] == [71.0, None]
    assert bench.unit.emergency_stop().pressed
    assert bench.unit.enclosure().open
    bench.unit.set_lock(False, bench.now)
    bench.until(lambda: bench.unit.lock().locked is False)


@pytest.mark.parametrize(("broken", "result"), [(False, SelfTest.PASSED), (True, SelfTest.FAILED)])
def test_self_test_of_the_residual_current_monitor(bench: Board, broken: bool, result: SelfTest) -> None:
    bench.start()
    bench.until(lambda: bench.unit.verified)
    bench.board.firmware.ailments.self_test_broken = broken
    bench.unit.start_self_test(bench.now)
    bench.until(lambda: bench.unit.residual_current().self_test is SelfTest.RUNNING)
    assert not bench.unit.residual_current().tripped
    bench.until(lambda: bench.unit.residual_current().self_test is result)
    assert bench.unit.residual_current().self_test_at == pytest.approx(bench.now, abs=0.2)
    bench.run(0.5)
    tripped = bench.unit.residual_current().tripped
    assert not tripped


def test_a_trip_opens_is_told_and_is_reset_on_command(bench: Board) -> None:
    bench.charge()
    bench.board.firmware.ailments.residual_current = True
    bench.until(lambda: bench.unit.residual_current().tripped and not bench.closed(), 0.3)
    bench.board.firmware.ailments.residual_current = False
    bench.unit.set_contactor(False, bench.now)
    bench.unit.reset_residual_current(bench.now)
    bench.until(lambda: not bench.unit.residual_current().tripped)
    bench.run(0.5)
    assert bench.sent[-1].data[2] & 0x80 == 0  # the request has ended


def test_no_self_test_while_power_is_permitted(bench: Board) -> None:
    bench.charge()
    bench.unit.start_self_test(bench.now)
    bench.run(0.5)
    assert bench.unit.residual_current().self_test is SelfTest.NOT_RUN


def test_a_reset_of_the_board_is_counted_and_starts_safe(bench: Board) -> None:
    bench.charge()
    bench.board.restart("watchdog", bench.now)
    bench.until(lambda: bench.unit.board() is not None and bench.unit.board().resets == 1)
    assert not bench.unit.verified
    bench.until(lambda: bench.unit.verified)
    bench.run(1.0)
    assert not bench.closed()
    assert permits(bench)[-1] is False
    bench.unit.reset_board(bench.now)
    bench.until(lambda: bench.unit.board() is not None and bench.unit.board().resets == 2)
    bench.run(2.0)
    assert bench.board.resets == 2  # the request is a pulse, not a loop


def test_after_a_reset_the_board_is_taken_up_again_before_its_pilot_counts_as_failed(bench: Board) -> None:
    """It shows F until it is commanded; control calls an F of 1 s a fault that only unplugging clears."""
    bench.charge()
    bench.board.restart("watchdog", bench.now)
    bench.until(lambda: bench.unit.board() is not None and bench.unit.board().resets == 1)
    shown = 0.0

    def command() -> None:
        nonlocal shown
        bench.unit.set_pilot(100.0, bench.now)
        reading = bench.unit.pilot()
        shown += 0.01 if reading is not None and reading.state is PilotState.F else 0.0

    bench.assert_each_step = command
    assert bench.until(lambda: bench.board.duty_pct == 100.0) < 0.5
    bench.run(0.5)
    assert shown < 0.3


def test_nothing_is_read_from_a_board_that_is_not_verified(bench: Board) -> None:
    bench.board.wire_faults.foreign_protocol = True
    bench.start()
    bench.run(2.0)
    for read in ("pilot", "contactor", "lock", "proximity", "residual_current", "emergency_stop", "enclosure"):
        assert getattr(bench.unit, read)() is None


def test_another_firmware_is_never_commanded(bench: Board) -> None:
    bench.charge()
    bench.board.wire_faults.foreign_protocol = True
    bench.until(lambda: not bench.closed())
    bench.unit.set_contactor(True, bench.now)
    bench.run(1.0)
    assert permits(bench)[-1] is False
    assert "BoardInfo.Protocol is 99, expected 1" in bench.detail


def test_bus_off_opens_is_told_and_heals(bench: Board) -> None:
    bench.charge()
    bench.bus.send_error(0x40)
    bench.bus.cut = True
    bench.run(0.05)
    assert "bus-off" in bench.detail
    assert not bench.unit.verified
    assert bench.until(lambda: not bench.closed()) < 0.6
    bench.bus.cut = False
    bench.run(5.0)
    assert bench.unit.verified
    assert bench.device.health(bench.now).ok
    assert permits(bench)[-1] is False


def test_error_passive_is_told_and_does_not_stop_a_charge(bench: Board) -> None:
    bench.charge()
    bench.bus.send_error(0x04, bytes([0, 0x20, 0, 0, 0, 0, 0, 0]))
    bench.run(0.1)
    assert "error-passive" in bench.detail
    assert bench.closed()
    bench.bus.send_error(0x04, bytes([0, 0x40, 0, 0, 0, 0, 0, 0]))
    bench.run(0.1)
    assert bench.device.health(bench.now).ok


def test_a_second_master_makes_both_stand_back(bench: Board) -> None:
    bench.charge()
    rival: Any = can.Bus(interface="virtual", channel=bench.bus.channel, ignore_config=True)
    rival.send(can.Message(arbitration_id=0x210, data=bench.sent[-1].data, is_extended_id=False))
    bench.until(lambda: not bench.closed())
    assert "somebody else sends id 0x210, which is ours; stop the other master" in bench.detail
    bench.unit.set_contactor(True, bench.now)
    bench.run(4.0)
    assert not bench.closed()
    bench.until(lambda: bench.unit.verified)
    assert bench.device.health(bench.now).ok
    rival.shutdown()


def test_close_is_the_safe_word_and_final(bench: Board) -> None:
    bench.charge()
    bench.device.close()
    bench.pump()
    assert permits(bench)[-1] is False
    assert bench.sent[-1].data[:2] == b"\0\0"
    said = len(bench.sent)
    bench.unit.set_contactor(True, bench.now)
    bench.unit.set_pilot(50.0, bench.now)
    bench.run(1.0)
    assert len(bench.sent) == said


def test_boards_of_one_kind_share_a_bus_by_an_offset(bus: VirtualBus) -> None:
    first, second = Board(bus), Board(bus, id_offset=0x40)
    first.start()
    second.start()
    for _ in range(100):
        first.run(0.01)
        second.run(0.01)
    assert first.unit.verified
    assert second.unit.verified
    assert {frame.id for frame in [*first.sent, *second.sent]} == {0x210, 0x250}
    first.device.close()
    second.device.close()


def test_what_can_never_work_is_refused_at_the_start(tmp_path: Path) -> None:
    options = CanBoardOptions(channel="x", interface="virtual", table=tmp_path / "none.can.json")
    device = CanBoard("board", options)
    with pytest.raises(DeviceError, match=r"board: .*none\.can\.json: is not there; write it with: evse-agent can-map"):
        device.start(0.0)
    assert not device.health(0.0).ok
    device.close()
    lifted = CanBoardOptions(channel="x", interface="virtual", table=TABLE, id_offset=0x600)
    with pytest.raises(DeviceError, match="lifts an id beyond what CAN has"):
        CanBoard("board", lifted).start(0.0)
    with pytest.raises(ValueError, match="must be told the bus speed; set 'bitrate'"):
        CanBoardOptions(channel="x", interface="slcan", table=TABLE)


def test_a_missing_interface_is_no_error_and_is_looked_for_again() -> None:
    device = CanBoard("board", CanBoardOptions(channel="no-such-can9", table=TABLE))
    device.start(0.0)
    detail = device.health(0.0).detail
    assert detail.startswith("no-such-can9: ")
    assert "no CAN" in detail or "is not there" in detail
    assert device.fileno() is None
    assert 0.5 < device.on_timer(0.1) <= 1.1
    assert device.unit("").pilot() is None
    device.unit("").set_contactor(True, 0.2)
    device.close()
    with pytest.raises(DeviceError, match="lo: is no CAN interface"):
        CanBoard("board", CanBoardOptions(channel="lo", table=TABLE)).start(0.0)


NUMBERS = st.sampled_from([0x200, 0x201, 0x202, 0x203, 0x210, 0x123])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.lists(st.tuples(NUMBERS, st.binary(max_size=8)), max_size=40))
def test_arbitrary_frames_never_raise_and_never_mislead(frames: list[tuple[int, bytes]]) -> None:
    with virtual_bus("garbage") as bus:
        bench = Board(bus)
        bench.board.wire_faults.mute = True
        bench.start()
        for number, data in frames:
            bus.send(number, data)
            bench.unit.set_contactor(True, bench.now)
            bench.unit.set_pilot(50.0, bench.now)
            bench.run(0.02)
            # Checksums and counters guard these; a hit by chance is one frame in 256 and never two in a row.
            assert not bench.unit.verified
            for read in ("pilot", "contactor", "lock", "proximity", "residual_current", "meter", "board"):
                getattr(bench.unit, read)()
        assert True not in permits(bench)
        bench.device.close()
