"""The driver of pilot boards against a peer on a pty, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hal_rig import Plug, drain, turn_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hal import ports, registry
from hal.drivers import serial_line
from hal.drivers.mcu_board import messages as m
from hal.drivers.mcu_board import wire
from hal.drivers.mcu_board.driver import McuBoard, McuBoardOptions
from hal.drivers.mcu_board.unit import BoardUnit
from hal.values import BoardError, Cable, PilotState, Quality, SelfTest

HELLO = m.KeepAliveLo(
    hw_type=2,
    hw_revision=3,
    protocol_version_major=1,
    protocol_version_minor=4,
    sw_version_string="2.1",
    hwcap_max_current=32.0,
    hwcap_min_current=6.0,
    hwcap_max_phase_count=3,
    hwcap_min_phase_count=1,
    supports_changing_phases_during_charging=True,
)
MARKER = m.KeepAlive(time_stamp=4711)
SAFE = [m.AllowPowerOn(False), m.PwmDutyCycle(0)]


class Board:
    """A board on the far end, and the device that drives it."""

    def __init__(self, folder: Path, variant: m.Variant = m.Variant.YETI, **options: object) -> None:
        self.plug = Plug(folder)
        self.variant = variant
        self.device = McuBoard("board", McuBoardOptions(str(self.plug.path), variant, **options))  # type: ignore[arg-type]
        self.unit = self.device.unit("")
        self._reader = wire.FrameReader()

    def tell(self, *messages: m.FromBoard, now: float) -> None:
        """The board tells, and the device has read it."""
        for message in messages:
            self.plug.send(wire.frame(wire.encode_from_board(self.variant, message)))
        reading = self.unit.board()
        before = None if reading is None else reading.at
        if before == now:
            drain(self.device, now)
        turn_until(self.device, lambda: (r := self.unit.board()) is not None and r.at == now, now)
        drain(self.device, now)

    def heard(self) -> list[m.ToBoard]:
        """What the host has said since the last call: all before a marker that is sent behind it."""
        if self.device.fileno() is not None:
            self.device._send(MARKER)
        said = []
        while True:
            data = self.plug.receive(wait=True)
            assert data, "nothing comes any more"
            for payload in self._reader.feed(data):
                message = wire.decode_to_board(self.variant, payload)
                if message == MARKER:
                    return said
                said.append(message)
            if self.device.fileno() is None and len(said) >= len(SAFE):
                return said

    def introduce(self, now: float) -> None:
        """Start, be reset, introduce itself; everything said up to here is forgotten."""
        self.device.start(now)
        self.tell(m.ResetReport(m.ResetReason.USER), HELLO, now=now)
        self.heard()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path)
    yield board
    board.device.close()
    board.plug.close()


@pytest.fixture
def tida(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path, m.Variant.TIDA)
    yield board
    board.device.close()
    board.plug.close()


def test_registry_knows_the_driver_and_its_units() -> None:
    driver = registry.load("mcu-board")
    yeti = driver.units(McuBoardOptions("/dev/null"))[""]
    tida = driver.units(McuBoardOptions("/dev/null", m.Variant.TIDA))[""]
    assert ports.PortKind.POWER_METER in yeti - tida
    assert ports.PortKind.TEMPERATURE_SENSOR in tida - yeti
    unit = driver.create("x", McuBoardOptions("/dev/null")).unit("")
    for port in (ports.ControlPilot, ports.Contactor, ports.ProximityPilot, ports.CableLock, ports.PowerMeter):
        assert isinstance(unit, port)
    for port in (ports.ResidualCurrentMonitor, ports.TemperatureSensor, ports.Board):
        assert isinstance(unit, port)


def test_first_words_are_safe_then_a_reset(board: Board) -> None:
    board.device.start(0.0)
    assert board.heard() == [*SAFE, m.Reset(), m.KeepAlive(sw_version_string="evse-agent")]


def test_opening_reset_can_be_left_out(tmp_path: Path) -> None:
    board = Board(tmp_path, reset_on_open=False)
    board.device.start(0.0)
    assert m.Reset() not in board.heard()
    board.device.close()
    board.plug.close()


def test_nothing_energises_before_the_board_has_introduced_itself(board: Board) -> None:
    board.device.start(0.0)
    board.heard()
    board.unit.set_pilot(26.67, 0.0)
    board.unit.set_pilot(100.0, 0.0)
    board.unit.set_contactor(True, 0.0)
    board.unit.set_lock(True, 0.0)
    assert board.heard() == []
    board.device.on_timer(1.0)
    assert board.heard() == [m.KeepAlive(sw_version_string="evse-agent"), *SAFE]


def test_commands_leave_at_once_and_repeats_are_filtered(board: Board) -> None:
    board.introduce(0.0)
    for _ in range(3):
        board.unit.set_pilot(26.67, 0.1)
        board.unit.set_contactor(True, 0.1)
        board.unit.set_lock(True, 0.1)
        board.unit.set_phases(1, 0.1)
    said = board.heard()
    assert said == [m.PwmDutyCycle(2667), m.AllowPowerOn(True), m.ConnectorLock(True), m.SetNumberOfPhases(False)]


def test_opening_is_one_write_at_once(board: Board) -> None:
    board.introduce(0.0)
    board.unit.set_contactor(True, 0.0)
    board.heard()
    board.unit.set_contactor(False, 0.1)
    # No callback of the device has run since.
    assert board.plug.receive(wait=True) == wire.frame(wire.encode_to_board(m.Variant.YETI, m.AllowPowerOn(False)))


def test_what_control_holds_is_repeated_each_second(board: Board) -> None:
    board.introduce(0.0)
    board.unit.set_pilot(100.0, 0.1)
    board.unit.set_contactor(True, 0.1)
    board.heard()
    wake = board.device.on_timer(0.5)
    assert wake == pytest.approx(1.0)
    assert board.heard() == []
    board.device.on_timer(1.0)
    keep_alive = m.KeepAlive(sw_version_string="evse-agent")
    assert board.heard() == [keep_alive, m.AllowPowerOn(True), m.PwmDutyCycle(10_000)]


@pytest.mark.parametrize(
    ("duty_pct", "steps"),
    [
        (26.67, 2667),
        (28.31, 2831),
        (28.319, 2831),
        (100.0, 10_000),
        (5.0, 500),
        (-1.0, 0),
        (101.0, 0),
        (float("nan"), 0),
    ],
)
def test_duty_cycle_is_rounded_down_and_nonsense_is_f(duty_pct: float, steps: int) -> None:
    said: list[m.ToBoard] = []
    unit = BoardUnit(m.Variant.YETI, said.append)
    unit.verified = True
    unit.set_pilot(50.0, 0.0)
    unit.set_pilot(duty_pct, 0.0)
    assert said[-1] == m.PwmDutyCycle(steps)


@pytest.mark.parametrize("state", list(m.CpState))
def test_pilot_state_is_a_reading_at_once(board: Board, state: m.CpState) -> None:
    board.introduce(0.0)
    board.tell(m.CpStateReport(state), now=0.25)
    reading = board.unit.pilot()
    assert reading is not None
    assert (reading.at, reading.state) == (0.25, PilotState[state.name])
    assert reading.high_v is None


def test_unknown_pilot_state_is_invalid(board: Board) -> None:
    board.introduce(0.0)
    board.plug.send(wire.frame(bytes.fromhex("B00609")))
    turn_until(board.device, lambda: board.unit.pilot() is not None, 1.0)
    reading = board.unit.pilot()
    assert reading is not None
    assert reading.state is PilotState.INVALID


def test_states_of_contacts_lock_and_cable(board: Board) -> None:
    board.introduce(0.0)
    assert board.unit.contactor() is None
    board.tell(m.RelaisState(True), m.LockStateReport(m.LockState.LOCKED), m.PpStateReport(m.PpState.A70), now=1.0)
    contactor, lock, proximity = board.unit.contactor(), board.unit.lock(), board.unit.proximity()
    assert contactor is not None
    assert lock is not None
    assert proximity is not None
    assert (contactor.closed, lock.locked, proximity.cable) == (True, True, Cable.A63)
    board.tell(m.LockStateReport(m.LockState.UNDEFINED), m.PpStateReport(m.PpState.FAULT), now=2.0)
    lock, proximity = board.unit.lock(), board.unit.proximity()
    assert lock is not None
    assert proximity is not None
    assert (lock.locked, proximity.cable) == (None, Cable.FAULT)


def test_only_a_valid_frame_renews_a_reading(board: Board) -> None:
    board.introduce(0.0)
    board.tell(m.CpStateReport(m.CpState.B), m.RelaisState(False), now=1.0)
    board.device.on_timer(2.0)
    damaged = bytearray(wire.frame(wire.encode_from_board(m.Variant.YETI, HELLO)))
    damaged[5] ^= 1
    board.plug.send(bytes(damaged) + b"\x00" + b"noise\x00")
    turn_until(board.device, lambda: board.device._reader.damaged >= 2, 2.5)
    pilot, contactor = board.unit.pilot(), board.unit.contactor()
    assert pilot is not None
    assert contactor is not None
    assert (pilot.at, contactor.at) == (1.0, 1.0)
    board.tell(HELLO, now=3.0)
    pilot, contactor = board.unit.pilot(), board.unit.contactor()
    assert pilot is not None
    assert contactor is not None
    assert (pilot.at, contactor.at) == (3.0, 3.0)


def test_silence_ages_readings_and_takes_back_every_command(board: Board) -> None:
    board.introduce(0.0)
    board.tell(m.CpStateReport(m.CpState.C), now=0.5)
    board.unit.set_pilot(50.0, 0.5)
    board.unit.set_contactor(True, 0.5)
    for now in (1.0, 2.0, 3.0, 4.0, 5.0):
        board.device.on_timer(now)
    assert board.device.health(5.4).ok
    board.heard()
    board.device.on_timer(5.5)
    assert board.heard() == SAFE
    health = board.device.health(6.0)
    assert not health.ok
    assert "silent" in health.detail
    assert health.last_heard_at == 0.5
    board.unit.set_contactor(True, 5.6)
    assert board.heard() == []
    pilot = board.unit.pilot()
    assert pilot is not None
    assert pilot.at == 0.5


def test_a_board_back_from_silence_tells_everything_anew(board: Board) -> None:
    board.introduce(0.0)
    board.tell(m.CpStateReport(m.CpState.C), now=0.5)
    board.device.on_timer(6.0)
    board.heard()
    board.tell(HELLO, now=7.0)
    assert board.heard()[:3] == [*SAFE, m.Reset()]
    assert board.unit.pilot() is None  # what it was before the silence may have changed unheard
    board.unit.set_contactor(True, 7.0)
    assert board.heard() == []
    board.tell(m.ResetReport(m.ResetReason.USER), m.CpStateReport(m.CpState.B), HELLO, now=7.5)
    assert board.device.health(7.5).ok
    board.heard()
    board.unit.set_contactor(True, 7.5)
    assert board.heard() == [m.AllowPowerOn(True)]


def test_a_board_that_cannot_restart_itself_is_accepted_all_the_same(board: Board) -> None:
    board.device.start(0.0)
    board.tell(HELLO, now=0.5)
    assert not board.device.health(0.5).ok
    board.tell(HELLO, now=1.5)
    assert board.device.health(1.5).ok


def test_reset_report_sends_safe_values_and_forgets(board: Board) -> None:
    board.introduce(0.0)
    board.tell(m.CpStateReport(m.CpState.C), m.RelaisState(True), now=0.5)
    board.unit.set_pilot(50.0, 0.5)
    board.unit.set_contactor(True, 0.5)
    board.heard()
    board.tell(m.ResetReport(m.ResetReason.WATCHDOG), now=1.0)
    assert board.heard()[:2] == SAFE
    reading = board.unit.board()
    assert reading is not None
    assert (reading.resets, reading.last_reset_reason) == (1, "watchdog")
    assert board.unit.pilot() is None
    assert board.unit.contactor() is None
    board.unit.set_contactor(True, 1.0)  # not before it has introduced itself again
    board.device.on_timer(3.0)
    assert m.AllowPowerOn(True) not in board.heard()
    board.tell(HELLO, now=3.1)
    board.unit.set_contactor(True, 3.1)
    assert m.AllowPowerOn(True) in board.heard()


def test_the_reset_that_opening_asks_for_is_not_counted(board: Board) -> None:
    board.introduce(0.0)
    reading = board.unit.board()
    assert reading is not None
    assert reading.resets == 0


def test_reset_on_request(board: Board) -> None:
    board.introduce(0.0)
    board.unit.set_contactor(True, 0.1)
    board.heard()
    board.unit.reset_board(0.2)
    assert board.heard() == [*SAFE, m.Reset()]
    assert not board.unit.verified
    board.tell(m.ResetReport(m.ResetReason.USER), now=1.5)
    reading = board.unit.board()
    assert reading is not None
    assert reading.resets == 1


def test_capabilities(board: Board) -> None:
    board.introduce(0.0)
    reading = board.unit.board()
    assert reading is not None
    caps = reading.capabilities
    assert (caps.hardware, caps.software, caps.protocol) == ("type 2 revision 3", "2.1", "1.4")
    assert (caps.min_current_a, caps.max_current_a, caps.min_phases, caps.max_phases) == (6.0, 32.0, 1, 3)
    assert caps.phase_switch_while_charging


def test_unknown_protocol_version_never_energises(board: Board) -> None:
    board.device.start(0.0)
    board.plug.send(wire.frame(wire.encode_from_board(board.variant, m.KeepAliveLo(protocol_version_major=9))))
    board.plug.send(wire.frame(wire.encode_from_board(board.variant, m.CpStateReport(m.CpState.C))))
    turn_until(board.device, lambda: "protocol version 9.0" in board.device.health(2.0).detail, 2.0)
    drain(board.device, 2.0)
    assert "known is 0 or 1" in board.device.health(2.0).detail
    board.heard()
    board.unit.set_contactor(True, 2.0)
    board.unit.set_pilot(50.0, 2.0)
    board.device.on_timer(3.0)
    assert board.heard() == [m.KeepAlive(sw_version_string="evse-agent"), *SAFE]
    assert board.unit.pilot() is None


@pytest.mark.parametrize(("configured", "real"), [(m.Variant.YETI, m.Variant.TIDA), (m.Variant.TIDA, m.Variant.YETI)])
def test_the_wrong_variant_is_named(tmp_path: Path, configured: m.Variant, real: m.Variant) -> None:
    board = Board(tmp_path, configured)
    board.device.start(0.0)
    for message in (m.CpStateReport(m.CpState.A), HELLO if real is m.Variant.YETI else m.KeepAliveLo(hw_type=1)):
        board.plug.send(wire.frame(wire.encode_from_board(real, message)))
    turn_until(board.device, lambda: f"set 'variant: {real.value}'" in board.device.health(0.1).detail, 0.1)
    board.unit.set_contactor(True, 0.2)
    assert not board.unit.verified
    board.device.close()
    board.plug.close()


def test_error_flags(board: Board) -> None:
    board.introduce(0.0)
    board.tell(m.ErrorFlags(True, True, True, True, True, True, True), now=1.0)
    reading = board.unit.board()
    assert reading is not None
    assert reading.errors == {
        BoardError.DIODE,
        BoardError.RESIDUAL_SELF_TEST,
        BoardError.RESIDUAL_CURRENT,
        BoardError.VENTILATION,
        BoardError.LOCK,
        BoardError.PILOT,
        BoardError.OVER_CURRENT,
    }
    residual = board.unit.residual_current()
    assert residual is not None
    assert (residual.tripped, residual.self_test) == (True, SelfTest.FAILED)
    board.tell(m.ErrorFlags(), now=2.0)
    reading, residual = board.unit.board(), board.unit.residual_current()
    assert reading is not None
    assert residual is not None
    assert reading.errors == frozenset()
    assert (residual.tripped, residual.self_test) == (False, SelfTest.UNSUPPORTED)


def test_yeti_has_no_self_test_to_start(board: Board) -> None:
    board.introduce(0.0)
    board.unit.start_self_test(1.0)
    board.unit.reset_residual_current(1.0)
    assert board.heard() == []
    residual = board.unit.residual_current()
    assert residual is not None
    assert residual.self_test is SelfTest.UNSUPPORTED


def test_self_test_passes_when_the_monitor_trips_and_clears(tida: Board) -> None:
    tida.introduce(0.0)
    tida.unit.start_self_test(1.0)
    assert tida.heard() == [m.RcdCommand(test=True)]
    tida.unit.set_contactor(True, 1.1)  # not while the test runs
    tida.tell(m.ErrorFlags(rcd_triggered=True), now=1.5)
    assert tida.heard() == [m.RcdCommand(reset=True)]
    residual, reading = tida.unit.residual_current(), tida.unit.board()
    assert residual is not None
    assert reading is not None
    assert (residual.tripped, residual.self_test) == (False, SelfTest.RUNNING)
    assert reading.errors == frozenset()
    tida.tell(m.ErrorFlags(), now=2.0)
    residual = tida.unit.residual_current()
    assert residual is not None
    assert (residual.tripped, residual.self_test, residual.self_test_at) == (False, SelfTest.PASSED, 2.0)
    tida.unit.set_contactor(True, 2.1)
    assert tida.heard() == [m.AllowPowerOn(True)]


def test_self_test_fails_when_nothing_trips(tida: Board) -> None:
    tida.introduce(0.0)
    tida.unit.start_self_test(1.0)
    tida.heard()
    tida.device.on_timer(3.5)
    assert m.RcdCommand() in tida.heard()
    residual = tida.unit.residual_current()
    assert residual is not None
    assert residual.self_test is SelfTest.FAILED


def test_self_test_fails_when_the_trip_does_not_clear(tida: Board) -> None:
    tida.introduce(0.0)
    tida.unit.start_self_test(1.0)
    tida.tell(m.ErrorFlags(rcd_triggered=True), now=1.5)
    tida.device.on_timer(4.6)
    residual = tida.unit.residual_current()
    assert residual is not None
    assert (residual.tripped, residual.self_test) == (True, SelfTest.FAILED)


def test_no_self_test_while_power_is_permitted(tida: Board) -> None:
    tida.introduce(0.0)
    tida.unit.set_contactor(True, 0.5)
    tida.heard()
    tida.unit.start_self_test(1.0)
    assert tida.heard() == []


def test_telemetry_gives_volts_and_temperatures(tida: Board) -> None:
    tida.introduce(0.0)
    tida.tell(m.CpStateReport(m.CpState.B), now=1.0)
    tida.tell(m.TelemetryTida(9.0, -12.0, 41.5, float("nan")), now=1.5)
    pilot = tida.unit.pilot()
    assert pilot is not None
    assert (pilot.at, pilot.state, pilot.high_v, pilot.low_v) == (1.5, PilotState.B, 9.0, -12.0)
    assert [(t.at, t.value_c) for t in tida.unit.temperatures()] == [(1.5, 41.5), (1.5, None)]
    tida.tell(m.CpStateReport(m.CpState.C), now=1.6)
    pilot = tida.unit.pilot()
    assert pilot is not None
    assert (pilot.state, pilot.high_v) == (PilotState.C, None)  # the volts are older than the change
    tida.tell(m.KeepAliveLo(), now=2.0)
    assert [t.at for t in tida.unit.temperatures()] == [1.5, 1.5]


def test_meter_of_the_board(board: Board) -> None:
    board.introduce(0.0)
    meter = m.PowerMeter(
        vrms_l1=230.0,
        vrms_l2=231.0,
        vrms_l3=232.0,
        irms_l1=16.0,
        total_watt_hr=1234.56,
        watt_l1=3680.0,
        freq_l1=50.0,
    )
    board.tell(meter, now=1.0)
    reading = board.unit.meter()
    assert reading is not None
    assert (reading.at, reading.energy_import_wh, reading.power_w, reading.frequency_hz) == (1.0, 1234.6, 3680.0, 50.0)
    assert reading.voltage_v == (230.0, 231.0, 232.0)
    board.tell(m.PowerMeter(total_watt_hr=float("nan")), now=2.0)
    assert board.unit.meter() is reading
    board.tell(m.PowerMeter(total_watt_hr=10.0), now=3.0)
    reading = board.unit.meter()
    assert reading is not None
    assert reading.quality is Quality.SUSPECT


def test_unplugged_and_plugged_in_again(board: Board) -> None:
    board.introduce(0.0)
    board.unit.set_contactor(True, 0.1)
    board.plug.pull()
    turn_until(board.device, lambda: board.device.fileno() is None, 0.2)
    assert "was unplugged" in board.device.health(0.2).detail
    assert board.device.on_timer(1.5) == pytest.approx(2.5)
    assert "is not there" in board.device.health(1.5).detail
    board.unit.set_contactor(True, 1.5)
    assert not board.unit.verified
    board.plug.plug_in()
    board.device.on_timer(2.6)
    assert board.heard() == [*SAFE, m.Reset(), m.KeepAlive(sw_version_string="evse-agent")]
    board.tell(m.ResetReport(m.ResetReason.USER), HELLO, now=3.0)
    assert board.device.health(3.0).ok
    assert m.AllowPowerOn(True) not in board.heard()


def test_a_new_line_begins_with_a_delimiter(board: Board) -> None:
    board.device.start(0.0)
    assert board.plug.receive(wait=True)[0] == 0  # ends what a former host may have left half said


def test_a_verified_board_may_say_what_we_do_not_know(board: Board) -> None:
    board.introduce(0.0)
    board.plug.send(wire.frame(wire.encode_from_board(m.Variant.TIDA, m.KeepAliveLo(hw_type=1))))
    board.tell(m.CpStateReport(m.CpState.B), now=1.0)
    assert board.device.health(1.0).ok
    board.unit.set_contactor(True, 1.0)
    assert board.heard() == [m.AllowPowerOn(True)]


def test_opening_overtakes_what_waits_for_the_line(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.introduce(0.0)
    board.unit.set_contactor(True, 0.0)
    board.heard()
    with monkeypatch.context() as patch:
        patch.setattr(serial_line.os, "write", _no_room)
        board.unit.set_pilot(50.0, 0.1)
        board.unit.set_lock(True, 0.1)
        board.unit.set_contactor(False, 0.1)
        assert board.device.on_timer(0.1) <= 0.11
    board.device.on_timer(0.11)
    assert board.heard() == [m.AllowPowerOn(False), m.PwmDutyCycle(5000), m.ConnectorLock(True)]


def _no_room(fd: int, data: bytes) -> int:
    raise BlockingIOError


def test_no_self_test_while_the_contacts_are_closed(tida: Board) -> None:
    tida.introduce(0.0)
    tida.tell(m.RelaisState(True), now=0.5)  # welded: nobody permitted it
    tida.unit.start_self_test(1.0)
    assert tida.heard() == []


def test_close_opens_the_contacts(board: Board) -> None:
    board.introduce(0.0)
    board.unit.set_pilot(50.0, 0.1)
    board.unit.set_contactor(True, 0.1)
    board.heard()
    board.device.close()
    assert board.heard() == SAFE
    assert board.device.fileno() is None
    assert board.device.on_timer(10.0) > 10.0
    assert board.device.fileno() is None


FRAMES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([HELLO, m.CpStateReport(m.CpState.C), m.ResetReport(m.ResetReason.USER), m.RelaisState(True)]).map(
        lambda message: wire.frame(wire.encode_from_board(m.Variant.YETI, message))
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(FRAMES, max_size=12))
def test_no_bytes_raise_and_power_needs_an_introduction(pieces: list[bytes]) -> None:
    device = McuBoard("board", McuBoardOptions("/nowhere"))
    said: list[m.ToBoard] = []
    unit = BoardUnit(m.Variant.YETI, said.append)
    device._unit = unit
    reader = wire.FrameReader()
    for count, piece in enumerate(pieces):
        for payload in reader.feed(piece):
            device._take(payload, float(count))
        unit.set_contactor(True, float(count))
        device.health(float(count))
    if m.AllowPowerOn(True) in said:
        assert unit.board() is not None
        assert any(b"2.1" in piece for piece in pieces)
