"""The file that the running agent writes, and the same through its local API."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.local.client import LocalClient

ROOT = Path(__file__).parents[2]
CONFIG = """
station: {{vendor: Nord, model: Test, serial_number: CP1}}
installation: {{max_current_a: 32}}
devices:
  board1: {{driver: mcu-board, port: /dev/null}}
evses:
  - {{id: 1, board: board1, connector: cable, max_current_a: 32, phases: 3}}
paths: {{state_dir: {place}/state, runtime_dir: {place}/run}}
"""


def read(text: str) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }


@pytest.mark.process
def test_the_file_and_the_method_of_a_running_agent(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(place=tmp_path))
    path = tmp_path / "run" / "metrics" / "evse-agent.prom"
    for starts in (1, 2):
        path.unlink(missing_ok=True)
        agent = subprocess.Popen(
            [sys.executable, "-m", "agent.app", "--config", str(config)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            umask=0o077,
        )
        try:
            deadline = time.monotonic() + 60.0
            while not path.exists():
                assert agent.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            values = read(path.read_text())
            assert values["evse_agent_starts_total"] == starts
            assert values["evse_control_connected"] == 0
            assert values["evse_agent_pss_bytes"] > 1_000_000
            assert values["evse_journal_bytes"] > 0
            assert path.stat().st_mode & 0o777 == 0o644
            assert path.parent.stat().st_mode & 0o777 == 0o755
            with LocalClient(tmp_path / "run" / "api.sock") as client:
                assert read(client.call("metrics")["text"]).keys() == values.keys()
        finally:
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0
