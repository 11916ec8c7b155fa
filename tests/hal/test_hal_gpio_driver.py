"""The pin device over a simulated chip, in virtual time: what each unit does, and what it does when lines are lost."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hal_rig import settle_lines

from hal import ports, registry
from hal.drivers.gpio import pins as pins_module
from hal.drivers.gpio.contactor import ContactorOptions
from hal.drivers.gpio.driver import GpioDevice, GpioOptions
from hal.drivers.gpio.lights import LedOptions, RingOptions
from hal.drivers.gpio.lock import LockOptions
from hal.drivers.gpio.residual_current import ResidualCurrentOptions
from hal.drivers.gpio.s0_meter import S0MeterOptions
from hal.drivers.gpio.switches import ButtonOptions, EmergencyStopOptions, EnclosureOptions
from hal.drivers.gpio.watchdog import WatchdogOptions
from hal.drivers.gpio.wiegand import WiegandOptions
from hal.ports import DeviceError, PortKind
from hal.values import ButtonPress, Indication, SelfTest
from simulators.gpio.chip import SimGpioChip

NAMES = ("K1", "K1_NC", "K2", "K2_NC", "LOCK", "FREE", "BOLT", "TRIP", "TEST", "ESTOP", "DOOR", "BTN")
LINES = (*NAMES, "R", "G", "B", "D0", "D1", "S0", "WD")
PATIENCE_S = 5.0


class Bench:
    """A chip, a device on it, and the virtual clock that both live by."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.chip = SimGpioChip(folder / "pins", LINES, clock=lambda: self.now)
        self.chip.open()
        self.devices: list[GpioDevice] = []

    def line(self, name: str, extra: str = "") -> str:
        return f"sim:{self.chip.path}:{name} {extra}".strip()

    def device(self, **sections: Any) -> GpioDevice:
        device = GpioDevice("pins", GpioOptions(**{kind: {"u": unit} for kind, unit in sections.items()}))
        device.start(self.now)
        self.devices.append(device)
        settle_lines(device, self.now)
        return device

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass in steps of 5 ms, the devices reading and ticking as the loop would have them."""
        end = self.now + seconds
        while True:
            for device in self.devices:
                device.on_readable(self.now)
                device.on_timer(self.now)
                settle_lines(device, self.now)
            if self.now >= end:
                return
            self.now = min(self.now + 0.005, end)
            self.chip.settle()

    def shows(self, name: str, level: bool | None) -> None:
        """Wait, in real time, until the chip's thread has put that level on the line."""
        deadline = time.monotonic() + PATIENCE_S
        while self.chip.output(name) is not level:
            assert time.monotonic() < deadline, f"{name} never became {level}"
            time.sleep(0.001)

    def close(self) -> None:
        for device in self.devices:
            device.close()
        self.chip.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


# Contactor


def test_a_contactor_begins_open_and_tells_by_its_mirror(bench: Bench) -> None:
    bench.chip.drive("K1_NC", False)  # circuit closed to ground: contacts open
    device = bench.device(
        contactors=ContactorOptions(bench.line("K1", "active-low"), mirror=bench.line("K1_NC", "active-low pull-up"))
    )
    unit = device.unit("u")
    assert bench.chip.output("K1") is True  # active low: at rest from the first moment
    assert unit.contactor().closed is False
    unit.set_contactor(True, bench.now)
    bench.shows("K1", False)
    assert unit.contactor().closed is False, "told by the contacts, not by the command"
    bench.chip.drive("K1_NC", None)
    bench.turn(0.01)
    assert unit.contactor().closed is True
    unit.set_contactor(False, bench.now)
    bench.shows("K1", True)
    told = unit.contactor()
    bench.turn(0.5)
    assert unit.contactor().closed is True, "welded is seen as closed"
    assert bench.now - unit.contactor().at <= 0.1 < bench.now - told.at


def test_a_broken_mirror_wire_reads_closed(bench: Bench) -> None:
    device = bench.device(
        contactors=ContactorOptions(bench.line("K1"), mirror=bench.line("K1_NC", "active-low pull-up"))
    )
    assert device.unit("u").contactor().closed is True


def test_without_feedback_nothing_is_claimed(bench: Bench) -> None:
    device = bench.device(contactors=ContactorOptions(bench.line("K1")))
    bench.turn(0.3)
    reading = device.unit("u").contactor()
    assert (reading.closed, reading.phases) == (None, None)
    assert bench.now - reading.at <= 0.1


def test_phases_two_and_three_follow_the_first_and_open_with_it(bench: Bench) -> None:
    for mirror in ("K1_NC", "K2_NC"):
        bench.chip.drive(mirror, True)
    device = bench.device(
        contactors=ContactorOptions(bench.line("K1"), bench.line("K1_NC"), "", bench.line("K2"), bench.line("K2_NC"))
    )
    unit = device.unit("u")
    unit.set_contactor(True, bench.now)
    bench.turn(0.05)
    bench.shows("K1", True)
    assert bench.chip.output("K2") is False
    bench.chip.drive("K1_NC", False)
    bench.turn(0.01)
    bench.shows("K2", True)
    bench.chip.drive("K2_NC", False)
    bench.turn(0.01)
    assert (unit.contactor().closed, unit.contactor().phases) == (True, 3)
    unit.set_phases(1, bench.now)
    unit.set_contactor(True, bench.now)
    assert bench.chip.output("K2") is True, "phases never change while closed"
    unit.set_contactor(False, bench.now)
    bench.shows("K1", False)
    bench.shows("K2", False)
    bench.chip.drive("K1_NC", True)
    bench.turn(0.01)
    assert unit.contactor().closed is True, "the second one is still closed"
    bench.chip.drive("K2_NC", True)
    bench.turn(0.01)
    unit.set_phases(1, bench.now)
    unit.set_contactor(True, bench.now)
    bench.chip.drive("K1_NC", False)
    bench.turn(0.3)
    bench.shows("K1", True)
    assert bench.chip.output("K2") is False
    assert unit.contactor().phases == 1


def test_a_chip_that_goes_and_comes_back_finds_the_coil_at_rest(bench: Bench) -> None:
    device = bench.device(contactors=ContactorOptions(bench.line("K1"), feedback=bench.line("K1_NC")))
    unit = device.unit("u")
    unit.set_contactor(True, bench.now)
    bench.shows("K1", True)
    last = unit.contactor()
    bench.chip.close()
    unit.set_contactor(True, bench.now)
    bench.turn(0.2)
    assert not device.health(bench.now).ok
    assert "pins" in device.health(bench.now).detail
    assert unit.contactor() == last, "an old reading keeps its old time"
    assert device.fileno() is None
    bench.chip.open()
    bench.turn(1.2)
    assert device.health(bench.now).ok, device.health(bench.now)
    assert bench.chip.output("K1") is False, "what was commanded before counts no more"
    assert unit.contactor().at > last.at
    unit.set_contactor(True, bench.now)
    bench.shows("K1", True)


def test_a_chip_that_does_not_answer_makes_readings_old(bench: Bench) -> None:
    device = bench.device(contactors=ContactorOptions(bench.line("K1"), feedback=bench.line("K1_NC")))
    unit = device.unit("u")
    unit.set_contactor(True, bench.now)
    bench.shows("K1", True)
    bench.chip.drive("K1_NC", True)
    bench.turn(0.2)
    bench.chip.cut = True
    bench.chip.drive("K1_NC", False)
    bench.turn(3.0)
    assert bench.now - unit.contactor().at > 2.5
    assert "does not answer" in device.health(bench.now).detail
    bench.chip.cut = False
    bench.chip.refresh()
    bench.turn(1.2)
    assert unit.contactor().closed is False
    assert bench.chip.output("K1") is False
    assert device.health(bench.now).ok


def test_closing_the_device_opens(bench: Bench) -> None:
    device = bench.device(contactors=ContactorOptions(bench.line("K1")))
    device.unit("u").set_contactor(True, bench.now)
    bench.shows("K1", True)
    device.close()
    bench.shows("K1", False)
    device.unit("u").set_contactor(True, bench.now)
    device.on_readable(bench.now)
    assert device.on_timer(bench.now) > bench.now
    assert bench.chip.output("K1") is False
    assert device.fileno() is None
    assert not device.health(bench.now).ok


def test_lines_that_are_not_there_are_looked_for_one_per_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    device = bench.device(
        contactors=ContactorOptions(bench.line("K1"), bench.line("K1_NC"), "", bench.line("K2"), bench.line("K2_NC"))
    )
    looked: list[object] = []
    seek = pins_module.seek
    monkeypatch.setattr(pins_module, "seek", lambda *asked: (looked.append(asked), seek(*asked))[1])
    bench.chip.close()
    bench.turn(0.2)
    for _ in range(200):
        looked.clear()
        bench.now += 0.01
        device.on_timer(bench.now)
        assert len(looked) <= 1
    bench.chip.open()
    bench.turn(1.2)
    assert device.health(bench.now).ok


def test_a_chip_that_takes_its_time_holds_nobody(bench: Bench) -> None:
    device = bench.device(contactors=ContactorOptions(bench.line("K1"), bench.line("K1_NC")))
    bench.chip.close()
    device.on_readable(bench.now)
    device.on_timer(bench.now)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:  # accepts, and never says a word
        mute.bind(str(bench.chip.path))
        mute.listen(16)
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        for _ in range(200):
            bench.now += 0.01
            device.on_timer(bench.now)
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw == switches
        assert "does not answer in time" in device.health(bench.now).detail
    bench.chip.open()
    bench.turn(1.2)
    assert device.health(bench.now).ok


def test_a_line_that_another_has_is_named_with_its_owner(bench: Bench) -> None:
    bench.device(contactors=ContactorOptions(bench.line("K1")))
    second = bench.device(contactors=ContactorOptions(bench.line("K1")))
    assert "in use by 'evse pins'" in second.health(bench.now).detail
    second.unit("u").set_contactor(True, bench.now)
    assert second.unit("u").contactor() is None
    assert bench.chip.output("K1") is False


# Lock


def _lock(bench: Bench) -> Any:
    return bench.device(
        locks=LockOptions(bench.line("LOCK"), bench.line("BOLT", "10ms"), bench.line("FREE"), pulse_ms=600)
    ).unit("u")


def _drives(bench: Bench, seconds: float) -> list[tuple[str, float]]:
    """Which half of the bridge is driven, and for how long, while time passes."""
    found: list[tuple[str, float]] = []
    began = {"LOCK": None, "FREE": None}
    for _ in range(round(seconds / 0.005)):
        bench.turn(0.005)
        levels = {
            name: next(p for p in bench.devices[0]._units["u"].pins if name in str(p.address)).level for name in began
        }
        assert not (levels["LOCK"] and levels["FREE"]), "never both halves at once"
        for name, level in levels.items():
            if level and began[name] is None:
                began[name] = bench.now
            elif not level and began[name] is not None:
                found.append((name, round(bench.now - began[name], 2)))
                began[name] = None
    return found


def test_the_motor_is_driven_for_its_time_and_never_longer(bench: Bench) -> None:
    unit = _lock(bench)
    assert unit.lock().locked is False
    for _ in range(3):
        unit.set_lock(True, bench.now)
    assert unit.lock().locked is None
    drives = _drives(bench, 2.0)
    assert drives == [("LOCK", pytest.approx(0.6, abs=0.011))]
    assert unit.lock().locked is False, "it did not arrive: the switch says so"
    unit.set_lock(True, bench.now)
    assert _drives(bench, 1.0) == [], "a repeated command does not drive again"
    unit.set_lock(False, bench.now)
    bench.turn(0.2)
    unit.set_lock(True, bench.now)
    drives = _drives(bench, 1.5)
    assert [name for name, _ in drives] == ["LOCK"], "the other half was cut short"
    bench.chip.drive("BOLT", True)
    bench.turn(0.5)
    assert unit.lock().locked is True


def test_a_lock_that_is_closed_down_stops_its_motor(bench: Bench) -> None:
    _lock(bench).set_lock(True, bench.now)
    bench.shows("LOCK", True)
    bench.devices[0].close()
    bench.shows("LOCK", False)


def test_a_bolt_on_one_line_is_held(bench: Bench) -> None:
    unit = bench.device(locks=LockOptions(bench.line("LOCK"), bench.line("BOLT"))).unit("u")
    unit.set_lock(True, bench.now)
    bench.turn(5.0)
    bench.shows("LOCK", True)
    unit.set_lock(False, bench.now)
    bench.shows("LOCK", False)


# Residual current


def test_a_monitor_is_tested_by_its_lines(bench: Bench) -> None:
    unit = bench.device(
        residual_current_monitors=ResidualCurrentOptions(bench.line("TRIP"), test=bench.line("TEST", "active-low"))
    ).unit("u")
    assert unit.residual_current().self_test is SelfTest.NOT_RUN
    unit.start_self_test(bench.now)
    bench.shows("TEST", False)
    bench.turn(0.3)
    bench.shows("TEST", True)
    bench.chip.drive("TRIP", True)
    bench.turn(0.2)
    assert (unit.residual_current().tripped, unit.residual_current().self_test) == (False, SelfTest.RUNNING)
    bench.chip.drive("TRIP", None)
    bench.turn(0.1)
    assert unit.residual_current().self_test is SelfTest.PASSED
    bench.chip.drive("TRIP", True)
    bench.turn(0.01)
    assert unit.residual_current().tripped
    unit.start_self_test(bench.now)
    assert unit.residual_current().self_test is SelfTest.PASSED, "no test while it is tripped"


def test_a_monitor_that_latches_is_reset_of_its_test_but_never_of_a_trip(bench: Bench) -> None:
    unit = bench.device(
        residual_current_monitors=ResidualCurrentOptions(
            bench.line("TRIP"), test=bench.line("TEST"), reset=bench.line("LOCK")
        )
    ).unit("u")
    unit.start_self_test(bench.now)
    bench.chip.drive("TRIP", True)
    bench.turn(0.2)
    bench.shows("LOCK", False)  # the latch is left alone while TEST is active
    bench.turn(0.1)
    bench.shows("LOCK", True)
    bench.chip.drive("TRIP", None)
    bench.turn(0.3)
    assert unit.residual_current().self_test is SelfTest.PASSED
    bench.shows("LOCK", False)
    bench.chip.drive("TRIP", True)
    bench.turn(2.0)
    bench.shows("LOCK", False)
    assert unit.residual_current().tripped, "a trip stays until control has it reset"
    unit.reset_residual_current(bench.now)
    bench.shows("LOCK", True)


def test_a_monitor_that_stays_tripped_after_its_test_is_reset_once(bench: Bench) -> None:
    unit = bench.device(
        residual_current_monitors=ResidualCurrentOptions(
            bench.line("TRIP"), test=bench.line("TEST"), reset=bench.line("LOCK")
        )
    ).unit("u")
    unit.start_self_test(bench.now)
    bench.chip.drive("TRIP", True)
    bench.turn(0.6)
    bench.shows("LOCK", False)
    bench.turn(1.5)
    assert (unit.residual_current().tripped, unit.residual_current().self_test) == (True, SelfTest.FAILED)
    bench.shows("LOCK", False)


def test_a_monitor_whose_lines_vanish_in_mid_test_has_not_passed(bench: Bench) -> None:
    unit = bench.device(
        residual_current_monitors=ResidualCurrentOptions(bench.line("TRIP"), test=bench.line("TEST"))
    ).unit("u")
    unit.start_self_test(bench.now)
    bench.chip.close()
    bench.turn(0.2)
    assert unit.residual_current().self_test is SelfTest.NOT_RUN


# Switches


def test_a_broken_loop_is_a_pressed_button_at_once(bench: Bench) -> None:
    bench.chip.drive("ESTOP", False)
    device = bench.device(emergency_stops=EmergencyStopOptions(bench.line("ESTOP", "active-low pull-up")))
    unit = device.unit("u")
    assert unit.emergency_stop().pressed is False
    bench.chip.drive("ESTOP", None)
    assert device.fileno() is not None
    device.on_readable(bench.now)  # by the edge, not by the next poll
    assert unit.emergency_stop().pressed is True
    bench.chip.drive("ESTOP", False)
    bench.turn(0.01)
    assert unit.emergency_stop().pressed is False
    bench.chip.close()
    bench.turn(0.2)
    assert unit.emergency_stop().pressed is True, "a loop that cannot be read counts as pressed"


def test_cover_and_tilt(bench: Bench) -> None:
    unit = bench.device(enclosures=EnclosureOptions(bench.line("DOOR"), bench.line("BTN"))).unit("u")
    assert (unit.enclosure().open, unit.enclosure().tilted) == (True, True)
    bench.chip.drive("DOOR", True)
    bench.turn(0.01)
    assert (unit.enclosure().open, unit.enclosure().tilted) == (False, True)


def test_short_and_long_presses(bench: Bench) -> None:
    bench.chip.drive("BTN", True)
    unit = bench.device(buttons=ButtonOptions(bench.line("BTN", "5ms"), long_press_s=1.0)).unit("u")
    bench.turn(2.0)
    bench.chip.drive("BTN", False)
    bench.turn(0.1)
    assert unit.take_presses() == [], "held since before the start"
    bench.chip.drive("BTN", True)
    bench.turn(0.003)
    bench.chip.drive("BTN", False)
    bench.turn(0.3)
    assert unit.take_presses() == [], "bounce"
    bench.chip.drive("BTN", True)
    bench.turn(0.3)
    bench.chip.drive("BTN", False)
    bench.turn(0.05)
    short = unit.take_presses()
    assert [press.long for press in short] == [False]
    bench.chip.drive("BTN", True)
    bench.turn(1.2)
    assert [press.long for press in unit.take_presses()] == [True], "told while it is still held"
    bench.chip.drive("BTN", False)
    bench.turn(0.1)
    assert unit.take_presses() == []
    assert isinstance(short[0], ButtonPress)


# Lights, heartbeat


def test_leds_keep_the_rhythm_and_the_colour(bench: Bench) -> None:
    unit = bench.device(leds=LedOptions(bench.line("R"), bench.line("G"), bench.line("B"))).unit("u")
    unit.set_indication(Indication.AVAILABLE, bench.now)
    bench.shows("G", True)
    unit.set_indication(Indication.FAULTED, bench.now)
    levels = []
    for _ in range(80):
        bench.turn(0.01)
        levels.append(unit.pins[0].level)
    assert levels.count(True) == pytest.approx(40, abs=4)
    bench.shows("G", False)
    assert bench.devices[0].on_timer(bench.now) - bench.now <= 0.1


def test_one_lamp_is_enough(bench: Bench) -> None:
    unit = bench.device(leds=LedOptions(single=bench.line("R"))).unit("u")
    unit.set_indication(Indication.FINISHING, bench.now)
    bench.turn(0.5)
    assert unit.pins[0].level is True
    bench.turn(1.0)
    assert unit.pins[0].level is False


def test_the_heartbeat_beats_only_while_the_loop_does(bench: Bench) -> None:
    device = bench.device(watchdogs=WatchdogOptions(bench.line("WD"), interval_ms=100))
    edges, last = 0, None
    for _ in range(100):
        bench.turn(0.01)
        level = device._units["u"].pins[0].level
        edges += level is not last
        last = level
    assert edges == pytest.approx(11, abs=2)


def test_a_ring_whose_bus_is_missing_is_told_and_harms_nothing(bench: Bench) -> None:
    device = bench.device(rings=RingOptions("/nowhere/spidev0.0", 12))
    device.unit("u").set_indication(Indication.CHARGING, bench.now)
    bench.turn(1.5)
    assert "/nowhere/spidev0.0" in device.health(bench.now).detail


# Wiegand


def _send_card(bench: Bench, frame: str, gap_s: float = 0.002) -> None:
    for bit in frame:
        for level in (False, None):
            bench.chip.drive(f"D{bit}", level)
            bench.now += 50e-6
        bench.now += gap_s
        bench.devices[0].on_readable(bench.now)


def _reader(bench: Bench, **options: Any) -> Any:
    lines = (bench.line("D0", "active-low pull-up"), bench.line("D1", "active-low pull-up"))
    return bench.device(wiegand_readers=WiegandOptions(*lines, **options)).unit("u")


CARD = "1" + "00000001" + "0000000000000001" + "0"


def test_a_card_is_read_once_however_often_it_is_sent(bench: Bench) -> None:
    unit = _reader(bench)
    _send_card(bench, CARD)
    assert unit.take_tokens() == []
    bench.turn(0.1)
    assert [token.uid for token in unit.take_tokens()] == ["010001"]
    _send_card(bench, CARD)
    bench.turn(0.1)
    assert unit.take_tokens() == []
    bench.turn(2.0)
    _send_card(bench, CARD)
    bench.turn(0.1)
    assert len(unit.take_tokens()) == 1


def test_a_damaged_frame_is_no_card(bench: Bench) -> None:
    unit = _reader(bench)
    for frame in (CARD[:-1], "0" + CARD[1:], CARD + "1", ""):
        _send_card(bench, frame)
        bench.turn(0.1)
    assert unit.take_tokens() == []
    # A loop that stood still while two frames came in sees them apart.
    for frame in (CARD, CARD.replace("00000001", "00000010", 1)):
        for bit in frame:
            for level in (False, None):
                bench.chip.drive(f"D{bit}", level)
                bench.now += 50e-6
            bench.now += 0.002
        bench.now += 0.05
    bench.turn(0.1)
    assert [token.uid for token in unit.take_tokens()] == ["010001", "020001"]


def test_a_lost_pulse_spoils_the_frame(bench: Bench) -> None:
    unit = _reader(bench)
    _send_card(bench, CARD[:10])
    line = next(line for line in bench.chip._lines if line.name == "D0")
    line.serial += 2  # two pulses that the kernel had no room for
    _send_card(bench, CARD[12:] + "00")
    bench.turn(0.1)
    assert unit.take_tokens() == []
    _send_card(bench, CARD)
    bench.turn(0.1)
    assert len(unit.take_tokens()) == 1


def test_keys_make_a_token(bench: Bench) -> None:
    unit = _reader(bench, keypad=True)
    for key in (1, 2, 10, 4, 7, 1, 1, 11):
        _send_card(bench, f"{key:04b}")
        bench.turn(0.2)
    assert [token.uid for token in unit.take_tokens()] == ["4711"]


# S0


def _meter(bench: Bench, folder: Path) -> Any:
    return bench.device(s0_meters=S0MeterOptions(bench.line("S0"), 1000.0, folder / "s0" / "count", 5000.0)).unit("u")


def _pulse(bench: Bench, count: int, every_s: float = 0.1) -> None:
    for _ in range(count):
        bench.chip.drive("S0", True)
        bench.chip.drive("S0", False)
        bench.now += every_s
        bench.turn()


def _settle(bench: Bench, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        bench.turn(0.5)
        time.sleep(0.002)


def test_pulses_are_counted_and_kept(bench: Bench, tmp_path: Path) -> None:
    unit = _meter(bench, tmp_path)
    assert unit.meter().energy_import_wh == 5000.0
    _pulse(bench, 20)
    assert unit.meter().power_w == pytest.approx(36_000, rel=0.01)
    _settle(bench, lambda: unit.meter().energy_import_wh == 5020.0)
    assert bench.now - unit.meter().at <= 0.1
    line = next(line for line in bench.chip._lines if line.name == "S0")
    line.serial += 5
    _pulse(bench, 1)
    _settle(bench, lambda: unit.meter().energy_import_wh == 5026.0)
    bench.devices.pop().close()
    again = _meter(bench, tmp_path)
    assert again.meter().energy_import_wh == 5026.0
    bench.turn(400.0)
    assert again.meter().power_w is None


def test_a_register_that_cannot_be_written_grows_old(bench: Bench, tmp_path: Path) -> None:
    unit = _meter(bench, tmp_path)
    (tmp_path / "s0" / "count.new").mkdir()
    _pulse(bench, 3)
    _settle(bench, lambda: not bench.devices[0].health(bench.now).ok)
    bench.turn(10.0)
    assert unit.meter().energy_import_wh == 5000.0
    assert bench.now - unit.meter().at > 5.0
    (tmp_path / "s0" / "count.new").rmdir()
    _settle(bench, lambda: unit.meter().energy_import_wh == 5003.0)
    _settle(bench, lambda: bench.devices[0].health(bench.now).ok)


def test_a_counter_that_cannot_be_this_meters_stops_the_start(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "s0").mkdir()
    (tmp_path / "s0" / "count").write_text("{")
    with pytest.raises(DeviceError, match="does not hold a count"):
        _meter(bench, tmp_path)


# The contract


def _everything(bench: Bench, folder: Path) -> dict[str, Any]:
    line = bench.line
    return {
        "contactors": {"k": ContactorOptions(line("K1"), line("K1_NC"), "", line("K2"), line("K2_NC"))},
        "locks": {"l": LockOptions(line("LOCK"), line("BOLT"), line("FREE"))},
        "residual_current_monitors": {"rcm": ResidualCurrentOptions(line("TRIP"), test=line("TEST"))},
        "emergency_stops": {"stop": EmergencyStopOptions(line("ESTOP"))},
        "enclosures": {"box": EnclosureOptions(line("DOOR"))},
        "buttons": {"b": ButtonOptions(line("BTN"))},
        "leds": {"led": LedOptions(line("R"), line("G"), line("B"))},
        "wiegand_readers": {"w": WiegandOptions(line("D0"), line("D1"))},
        "s0_meters": {"s0": S0MeterOptions(line("S0"), 1000.0, folder / "count")},
        "watchdogs": {"wd": WatchdogOptions(line("WD"))},
    }


def test_every_unit_implements_its_port_and_survives_everything(bench: Bench, tmp_path: Path) -> None:
    driver = registry.load("gpio")
    options = GpioOptions(**_everything(bench, tmp_path))
    bench.chip.close()
    device = driver.create("pins", options)
    units = driver.units(options)
    assert set().union(*units.values()) == set(PortKind) - {
        PortKind.CONTROL_PILOT,
        PortKind.PROXIMITY_PILOT,
        PortKind.SIGNING_METER,
        PortKind.TEMPERATURE_SENSOR,
        PortKind.BOARD,
        PortKind.CHARGE_CONTROLLER,
    }
    for name, kinds in units.items():
        for kind in kinds:
            assert isinstance(device.unit(name), ports.PROTOCOLS[kind])
    with pytest.raises(KeyError, match="attic"):
        device.unit("attic")
    assert device.fileno() is None
    bench.devices.append(device)  # type: ignore[arg-type]
    device.start(bench.now)
    assert not device.health(bench.now).ok
    for _ in range(3):
        for command, arguments in (("set_contactor", (True,)), ("set_lock", (True,)), ("start_self_test", ())):
            for name in units:
                if hasattr(device.unit(name), command):
                    getattr(device.unit(name), command)(*arguments, bench.now)
        bench.turn(1.1)
        bench.chip.open()
        bench.turn(1.1)
        assert device.health(bench.now).ok, device.health(bench.now)
        assert bench.chip.output("K1") is False
        bench.chip.close()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, "names no unit"),
        ({"buttons": {"k": ButtonOptions("c:1")}, "leds": {"k": LedOptions("c:2")}}, "the name is taken"),
        ({"buttons": {"a": ButtonOptions("c:1"), "b": ButtonOptions("c:1 pull-up")}}, "is used by"),
    ],
)
def test_rules_across_units(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        GpioOptions(**change)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: ContactorOptions("c:1", "c:2", "c:3"), "mirror and feedback"),
        (lambda: ContactorOptions("c:1", mirror_l2_l3="c:2"), "is missing"),
        (lambda: EnclosureOptions(), "no contact"),
        (lambda: LedOptions(), "give single"),
        (lambda: LedOptions("c:1", single="c:2"), "give single"),
    ],
)
def test_rules_within_a_unit(make: Callable[[], object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()
