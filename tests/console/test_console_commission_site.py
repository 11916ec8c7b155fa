"""A charge point is commissioned for real: both processes, the lab's hardware, a network that must come back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import config
from agent.console.commissioning import report
from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.process import Lab

pytestmark = pytest.mark.process

SETTINGS: dict[str, Any] = {
    "control.realtime_priority": 0,
    "ocpp.back_off_minimum_s": 0.2,
    "ocpp.back_off_random_s": 0.2,
    "ocpp.back_off_repeats": 1,
    "ocpp.password": "a secret of 16 characters",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Charger]]:
    directory = tmp_path_factory.mktemp("commission") / "site"
    with (
        CsmsProcess(directory / "csms") as csms,
        Lab(directory, SETTINGS, evses=1, csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("run")
        charger.wait_accepted(60)
        charger.wait_for(lambda s: s["evses"][0]["plugged"] is False, "unplugged")
        yield lab, charger


def batch(lab: Lab, line: str) -> subprocess.CompletedProcess[str]:
    socket = lab.config_path.parent / "run" / "api.sock"
    return subprocess.run(
        [sys.executable, "-m", "agent.console", "--socket", str(socket), "--batch", "-"],
        input=line + "\n",
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_aboard_by_a_script_and_again_without_a_change(site: tuple[Lab, Charger], tmp_path: Path) -> None:
    lab, charger = site
    answers = tmp_path / "answers.json"
    answers.write_text(
        json.dumps(
            {
                "region": "GR",
                "technician": "Ines Ortega",
                "site": "row 3",
                "installation": {"max_current_a": 20},
                "phase_rotation": {"1": "STR"},
            }
        )
    )
    line = f"commission --file {answers} --report {tmp_path}/report.json --within 60"
    done = batch(lab, line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Result: passed" in done.stdout

    now = config.load(lab.config_path)
    assert now.installation.max_current_a == 20
    assert now.ocpp.password == SETTINGS["ocpp.password"], "what nobody may see is kept"
    key = charger.call("commission.key")["fingerprint"]
    held, told = report.verify(tmp_path / "report.json", key)
    assert held, told
    point = json.loads((tmp_path / "report.json").read_text())["report"]["charge_point"]
    assert point["identity"] == now.identity
    assert SETTINGS["ocpp.password"] not in (tmp_path / "report.json").read_text()

    again = batch(lab, line + " --json")
    assert again.returncode == 0, again.stdout
    assert json.loads(again.stdout.splitlines()[-1])["taken"] is False
    assert len(charger.call("config.history")) == 1


def test_what_is_wrong_leaves_a_running_charge_point_alone(site: tuple[Lab, Charger], tmp_path: Path) -> None:
    lab, _ = site
    before = lab.config_path.read_text()
    answers = tmp_path / "a.yaml"
    answers.write_text("region: GR\ntechnician: I\nevses:\n  - id: 1\n    board: nothing\n")
    done = batch(lab, f"commission --file {answers}")
    assert done.returncode == 1
    assert f"{answers}:5: evses[0].board:" in done.stdout
    assert lab.config_path.read_text() == before
