"""The pin device before the simulated electronics of a charger: what each fault of them looks like to control."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hal_rig import settle_lines

from hal import registry
from hal.conformance.findings import Verdict
from hal.conformance.kit import examine_alone
from hal.conformance.subject import Subject
from hal.drivers.gpio.contactor import ContactorOptions
from hal.drivers.gpio.driver import GpioDevice, GpioOptions
from hal.drivers.gpio.lock import LockOptions
from hal.drivers.gpio.residual_current import ResidualCurrentOptions
from hal.drivers.gpio.switches import EmergencyStopOptions, EnclosureOptions
from hal.drivers.gpio.watchdog import WatchdogOptions
from hal.drivers.linux_pilot.options import LinuxPilotOptions
from hal.values import SelfTest
from simulators.gpio.cabinet import LINES, Cabinet
from simulators.gpio.chip import SimGpioChip

PATIENCE_S = 5.0


def options_for(chip: str) -> GpioOptions:
    def line(name: str, extra: str = "active-low pull-up") -> str:
        return f"sim:{chip}:{name} {extra}".strip()

    return GpioOptions(
        contactors={"k1": ContactorOptions(line("K1", ""), line("K1_NC"), "", line("K2", ""), line("K2_NC"))},
        locks={"bolt": LockOptions(line("LOCK", ""), line("BOLT"), line("UNLOCK", ""))},
        residual_current_monitors={
            "rcm": ResidualCurrentOptions(line("RCM_TRIP", "pull-up"), test=line("RCM_TEST", ""), test_ms=300)
        },
        emergency_stops={"stop": EmergencyStopOptions(line("STOP"))},
        enclosures={"box": EnclosureOptions(line("COVER"), line("UPRIGHT"))},
        watchdogs={"heartbeat": WatchdogOptions(line("HEARTBEAT", ""))},
    )


class Charger:
    """Device, chip and cabinet on one virtual clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 50.0
        self.chip = SimGpioChip(folder / "pins", LINES, clock=lambda: self.now)
        self.chip.open()
        self.cabinet = Cabinet(self.chip, self.now)
        self.cabinet.step(self.now)
        self.device = GpioDevice("pins", options_for(str(self.chip.path)))
        self.device.start(self.now)
        settle_lines(self.device, self.now)
        self.run(0.5)

    def unit(self, name: str) -> Any:
        return self.device.unit(name)

    def run(self, seconds: float) -> None:
        """Let time pass; what the device sets is awaited in real time, so that virtual time does not run ahead."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.01
            self.device.on_readable(self.now)
            self.device.on_timer(self.now)
            settle_lines(self.device, self.now)
            self._settle()
            self.cabinet.step(self.now)
            self.chip.settle()

    def _settle(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        for _, pin in self.device._pins():
            while pin.settings.is_output and pin.is_open and self.chip.output(pin.address.line) is not pin.level:
                assert time.monotonic() < deadline, f"{pin.address} was never set"
                time.sleep(0.0005)

    def close(self, phases: int = 3) -> None:
        self.unit("k1").set_phases(phases, self.now)
        self.unit("k1").set_contactor(True, self.now)
        self.run(0.3)


@pytest.fixture
def charger(tmp_path: Path) -> Iterator[Charger]:
    charger = Charger(tmp_path)
    yield charger
    charger.device.close()
    charger.chip.close()


def test_one_and_three_phases(charger: Charger) -> None:
    assert charger.unit("k1").contactor().closed is False
    for phases in (1, 3):
        charger.close(phases)
        assert sum(charger.cabinet.poles) == phases
        reading = charger.unit("k1").contactor()
        assert (reading.closed, reading.phases) == (True, phases)
        charger.unit("k1").set_contactor(False, charger.now)
        charger.run(0.05)
        assert charger.cabinet.poles == (False, False, False)
        charger.run(0.1)
        assert charger.unit("k1").contactor().closed is False


@pytest.mark.parametrize("which", ["first", "rest"])
def test_a_welded_contactor_reads_closed_for_ever(charger: Charger, which: str) -> None:
    charger.close()
    getattr(charger.cabinet, which).welded = True
    charger.unit("k1").set_contactor(False, charger.now)
    charger.run(2.0)
    assert charger.unit("k1").contactor().closed is True
    assert charger.now - charger.unit("k1").contactor().at <= 0.11


def test_a_stuck_contactor_reads_open_and_its_partner_stays_open(charger: Charger) -> None:
    charger.cabinet.first.stuck_open = True
    charger.close()
    charger.run(1.0)
    assert charger.unit("k1").contactor().closed is False
    assert charger.cabinet.poles == (False, False, False)


def test_late_feedback_is_told_when_it_comes(charger: Charger) -> None:
    charger.cabinet.first.late_feedback = True
    charger.close()
    assert charger.unit("k1").contactor().closed is False
    charger.run(2.0)
    assert charger.unit("k1").contactor().closed is True


def test_a_broken_mirror_wire(charger: Charger) -> None:
    charger.cabinet.mirror_lost = True
    charger.run(0.1)
    assert charger.unit("k1").contactor().closed is True


def test_the_lock_and_its_troubles(charger: Charger) -> None:
    charger.unit("bolt").set_lock(True, charger.now)
    charger.run(1.0)
    assert charger.unit("bolt").lock().locked is True
    charger.cabinet.lock.feedback_lost = True
    charger.run(0.1)
    assert charger.unit("bolt").lock().locked is False
    charger.cabinet.lock.feedback_lost = False
    charger.cabinet.lock.stuck = True
    charger.unit("bolt").set_lock(False, charger.now)
    charger.run(2.0)
    assert charger.unit("bolt").lock().locked is True, "it did not move"
    assert not charger.chip.output("UNLOCK")


def test_the_monitor_trips_passes_and_fails(charger: Charger) -> None:
    rcm = charger.unit("rcm")
    rcm.start_self_test(charger.now)
    charger.run(1.0)
    assert rcm.residual_current().self_test is SelfTest.PASSED
    charger.cabinet.monitor.dc_ma = 60.0
    charger.run(0.4)
    assert rcm.residual_current().tripped
    charger.cabinet.monitor.dc_ma = 0.0
    charger.run(0.4)
    assert not rcm.residual_current().tripped
    charger.cabinet.monitor.broken = True
    rcm.start_self_test(charger.now)
    charger.run(1.0)
    assert rcm.residual_current().self_test is SelfTest.FAILED


def test_stop_cover_and_tilt(charger: Charger) -> None:
    stop, box = charger.unit("stop"), charger.unit("box")
    assert (stop.emergency_stop().pressed, box.enclosure().open, box.enclosure().tilted) == (False, False, False)
    charger.close()
    charger.cabinet.stopped = charger.cabinet.open_cover = charger.cabinet.tilted = True
    charger.run(0.05)
    assert (stop.emergency_stop().pressed, box.enclosure().open, box.enclosure().tilted) == (True, True, True)
    assert charger.cabinet.poles == (False, False, False), "the loop cuts the coil by itself"


def test_a_loop_that_stands_still_loses_the_coil(charger: Charger) -> None:
    charger.close()
    assert charger.cabinet.first.closed
    for _ in range(130):
        charger.now += 0.01
        charger.cabinet.step(charger.now)
    assert not charger.cabinet.first.closed


@pytest.mark.parametrize("name", ["gpio", "linux-pilot"])
def test_the_kit_finds_nothing_wrong_with_it_alone(name: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "gpio": options_for(str(tmp_path / "nowhere")),
        "linux-pilot": LinuxPilotOptions(f"{tmp_path}/pwmchip0:0", f"sim:{tmp_path}/adc", proximity_channel=1),
    }
    findings = examine_alone(Subject("device", registry.load(name), options[name]))
    assert [finding for finding in findings if finding.verdict is Verdict.FAIL] == []
    assert any(finding.verdict is Verdict.PASS for finding in findings)
