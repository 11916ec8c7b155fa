"""The agent tells a service manager that it is ready, feeds its watchdog by its own loop, and says when it stops."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.notify import watchdog_period_s
from simulators.lab import Lab

PATIENCE_S = 60.0


@pytest.mark.parametrize(
    ("patience", "meant_for", "period_s"),
    [
        ("3000000", None, 1.0),
        ("3000000", "own", 1.0),
        ("3000000", "1", None),
        ("0", None, None),
        ("", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_three_times_in_its_patience_by_whom_it_is_meant_for(
    monkeypatch: pytest.MonkeyPatch, patience: str | None, meant_for: str | None, period_s: float | None
) -> None:
    for name, value in (
        ("WATCHDOG_USEC", patience),
        ("WATCHDOG_PID", str(os.getpid()) if meant_for == "own" else meant_for),
    ):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert watchdog_period_s() == period_s


@pytest.mark.process
def test_the_agent_says_that_it_is_ready_goes_on_feeding_and_says_that_it_stops(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", settings={}) as lab, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        agent = subprocess.Popen(
            [sys.executable, "-m", "agent.app", "--config", str(lab.config_path)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            told = [manager.recv(100) for _ in range(4)]
            assert told == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            os.kill(agent.pid, signal.SIGSTOP)  # a hang: nothing feeds the watchdog now
            while select.select([manager], (), (), 0.0)[0]:
                manager.recv(100)
            manager.settimeout(1.0)
            with pytest.raises(TimeoutError):
                manager.recv(100)
            os.kill(agent.pid, signal.SIGCONT)
            manager.settimeout(PATIENCE_S)
            agent.terminate()
            while manager.recv(100) != b"STOPPING=1":
                pass
            assert agent.wait(PATIENCE_S) == 0
        finally:
            agent.kill()
            agent.wait()
