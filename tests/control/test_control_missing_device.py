"""A device that is not there when control starts: everything open, and a start that the service manager repeats."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import config
from agent.control import __main__ as control
from agent.control import hardware
from hal.ports import DeviceError

CONFIG = """
station: {{vendor: Nord, model: Test, serial_number: CP1}}
installation: {{max_current_a: 32}}
devices:
  board1: {{driver: mcu-board, port: /dev/null}}
evses:
  - {{id: 1, board: board1, connector: cable, max_current_a: 32, phases: 3}}
paths: {{state_dir: {place}, runtime_dir: {place}}}
"""


class Missing:
    name = "pwm"
    closes = 0

    def start(self, now: float) -> None:
        raise DeviceError(f"pwm: there is no PWM chip ({now > 0}); plug it in")

    def close(self) -> None:
        self.closes += 1


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    wakeup = signal.set_wakeup_fd(-1)
    if wakeup >= 0:
        os.close(wakeup)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_before")
def test_a_missing_device_is_no_bad_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Status 2 would tell the service manager never to try again (RestartPreventExitStatus=2), and the device may come.
    (tmp_path / "config.yaml").write_text(CONFIG.format(place=tmp_path))
    device = Missing()
    state = SimpleNamespace(device=device, failure="", evses=[])
    fake = SimpleNamespace(settings={}, ports={}, devices={"pwm": state}, readers=(), grid_meter=None, signing={})
    monkeypatch.setattr(hardware, "Hardware", lambda *_: fake)
    safe_state = control.SafeState()
    status = control._run(config.load(tmp_path / "config.yaml", drivers=False), safe_state)
    assert "no PWM chip" in safe_state.reason
    assert device.closes == 1
    assert status == 1
