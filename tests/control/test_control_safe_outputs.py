"""``evse-control --safe`` opens what a dead control left closed, and no driver keeps it from the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.config.loader import load
from agent.control.device_state import DeviceState
from agent.control.safe_outputs import open_everything
from hal.values import Health
from simulators.lab import Lab

BOUND_S = 0.2


class FakeDevice:
    def __init__(self, name: str, stuck: str = "") -> None:
        self.name = name
        self.did: list[str] = []
        self._stuck = stuck

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what == self._stuck:
            time.sleep(60.0)

    def start(self, now: float) -> None:
        self._do("start")

    def on_timer(self, now: float) -> float:
        self._do("timer")
        return now + 60.0

    def on_readable(self, now: float) -> None:
        raise AssertionError("has nothing to read")

    def fileno(self) -> None:
        return None

    def health(self, now: float) -> Health:
        return Health(True, "")

    def close(self) -> None:
        self._do("close")


def hardware_of(*devices: FakeDevice) -> Any:
    """One EVSE per device. What ``make_safe`` of its ports does is noted as 'safe'."""
    states = {device.name: DeviceState(device, 0.0, [number]) for number, device in enumerate(devices)}  # type: ignore[arg-type]
    ports = {
        number: SimpleNamespace(make_safe=lambda now, device=device: device._do("safe"))
        for number, device in enumerate(devices)
    }
    return SimpleNamespace(devices=states, ports=ports)


def test_every_device_is_started_served_opened_and_closed() -> None:
    first, second = FakeDevice("first"), FakeDevice("second")
    assert open_everything(hardware_of(first, second), settle_s=0.01) == []
    assert first.did == second.did == ["start", "timer", "safe", "close"]


@pytest.mark.parametrize("stuck", ["start", "timer", "safe", "close"])
def test_a_driver_that_hangs_does_not_keep_the_next_one_closed(stuck: str) -> None:
    first, second = FakeDevice("first", stuck), FakeDevice("second")
    unwell = open_everything(hardware_of(first, second), settle_s=0.01, longest_s=BOUND_S)
    assert "safe" in second.did
    assert second.did[-1] == "close"
    if stuck != "close":  # by then everything was told
        assert any("first" in text for text in unwell)


def test_the_alarm_is_left_as_it_was_found() -> None:
    before = signal.getsignal(signal.SIGALRM)
    open_everything(hardware_of(FakeDevice("first", "start")), settle_s=0.01, longest_s=BOUND_S)
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def run_safe(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.control", "--safe", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.process
def test_the_command_opens_a_real_wire_and_is_left_out_after_an_end_in_good_order(tmp_path: Path) -> None:
    settings = {"control.realtime_priority": 0, "control.lock_memory": False}
    with Lab(tmp_path, settings=settings) as lab:
        assert load(lab.config_path)
        skipped = run_safe(lab.config_path, SERVICE_RESULT="success")
        assert (skipped.returncode, skipped.stderr) == (0, "")
        done = run_safe(lab.config_path, SERVICE_RESULT="watchdog")
        assert "safe state: commanded from outside" in done.stderr
        assert done.returncode == 0, done.stderr
