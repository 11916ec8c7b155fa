"""The simulated electronics around the pins: monitor, cabinet, Wiegand frames, pulses. Virtual time."""

from __future__ import annotations

import pytest

from hal.drivers.gpio.wiegand import decode_card
from simulators.gpio.cabinet import WATCHDOG_S, Cabinet
from simulators.gpio.front_end import ntc_ohm
from simulators.gpio.monitor import RELEASE_S, TEST_TRIP_S, ResidualMonitor
from simulators.gpio.wiegand_kind import frame_of


class Pins:
    """Levels by name, as a chip keeps them."""

    def __init__(self) -> None:
        self.outputs: dict[str, bool] = {}
        self.driven: dict[str, bool | None] = {}

    def drive(self, name: str, level: bool | None) -> None:
        self.driven[name] = level

    def output(self, name: str) -> bool | None:
        return self.outputs.get(name)

    def active(self, name: str) -> bool:
        return self.driven[name] is False


class Room:
    def __init__(self) -> None:
        self.pins = Pins()
        self.now = 0.0
        self.cabinet = Cabinet(self.pins, self.now)

    def run(self, seconds: float, *, beating: bool = True) -> None:
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            if beating and round(self.now / 0.01) % 20 == 0:
                self.pins.outputs["HEARTBEAT"] = not self.pins.outputs.get("HEARTBEAT", False)
            self.cabinet.step(self.now)


@pytest.mark.parametrize(
    ("dc_ma", "ac_ma", "within_s"),
    [(6.0, 0.0, 10.0), (60.0, 0.0, 0.3), (200.0, 0.0, 0.1), (0.0, 30.0, 0.04), (5.9, 29.0, None)],
)
def test_the_monitor_trips_in_its_time_and_not_below_its_current(
    dc_ma: float, ac_ma: float, within_s: float | None
) -> None:
    monitor, now = ResidualMonitor(), 0.0
    monitor.dc_ma, monitor.ac_ma = dc_ma, ac_ma
    while not monitor.tripped and now < 20.0:
        now += 0.005
        monitor.step(False, now)
    assert monitor.tripped == (within_s is not None)
    assert within_s is None or now <= within_s
    monitor.dc_ma = monitor.ac_ma = 0.0
    for _ in range(60):
        now += 0.005
        monitor.step(False, now)
    assert not monitor.tripped


def test_the_monitors_self_test_and_a_broken_one() -> None:
    for broken in (False, True):
        monitor, seen = ResidualMonitor(), []
        monitor.broken = broken
        for step in range(100):
            monitor.step(step < 30, step * 0.01)
            seen.append(monitor.tripped)
        assert any(seen) is not broken
        assert not seen[-1]
        if not broken:
            assert seen.index(True) * 0.01 == pytest.approx(TEST_TRIP_S, abs=0.011)
            assert seen.count(True) * 0.01 < 0.3 + RELEASE_S + TEST_TRIP_S


def test_coils_have_supply_only_while_the_heart_beats() -> None:
    room = Room()
    room.pins.outputs["K1"] = True
    room.run(0.5, beating=False)
    assert not room.cabinet.first.coil
    room.run(0.5)
    assert room.cabinet.poles == (True, False, False)
    assert not room.pins.active("K1_NC")
    room.run(WATCHDOG_S + 0.3, beating=False)
    assert room.cabinet.poles == (False, False, False)
    assert room.cabinet.reason == "the watchdog saw no heartbeat"
    assert room.pins.active("K1_NC")


def test_the_emergency_stop_cuts_the_coil_by_itself() -> None:
    room = Room()
    room.pins.outputs.update(K1=True, K2=True)
    room.run(0.5)
    assert room.cabinet.poles == (True, True, True)
    room.cabinet.stopped = True
    room.run(0.05)
    assert room.cabinet.poles == (False, False, False)
    assert not room.pins.active("STOP")
    assert room.cabinet.reason == "the emergency stop is pressed"


def test_the_bolt_moves_with_the_bridge_and_a_lost_mirror_reads_closed() -> None:
    room = Room()
    room.pins.outputs["LOCK"] = True
    room.run(0.5)
    assert room.pins.active("BOLT")
    room.pins.outputs.update(LOCK=False, UNLOCK=True)
    room.run(0.5)
    assert not room.pins.active("BOLT")
    room.cabinet.mirror_lost = True
    room.run(0.05)
    assert not room.pins.active("K1_NC")


def test_frames_are_read_by_the_driver() -> None:
    for uid in (b"\x01\x00\x01", b"\xde\xad\xbe\xef", bytes(4)):
        assert decode_card([int(bit) for bit in frame_of(uid)], (26, 34)) == uid


def test_the_temperature_sensor_has_its_nominal_resistance() -> None:
    assert ntc_ohm(25.0) == pytest.approx(10_000.0)
    assert ntc_ohm(95.0) < ntc_ohm(70.0) < 2000.0
