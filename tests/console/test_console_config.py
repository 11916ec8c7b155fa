"""config and settings over a terminal, with the real processes: taken, taken back, refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from technician import Technician

from agent.config.edit import leaves
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


@dataclass
class Site:
    lab: Lab
    charger: Charger

    @property
    def file(self) -> Path:
        return self.lab.config_path

    @property
    def socket(self) -> str:
        return str(self.file.parent / "run" / "api.sock")

    def console(self) -> Technician:
        return Technician(["--socket", self.socket])

    def batch(self, *lines: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent.console", "--socket", self.socket, "--batch", "-"],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
        )

    def settled(self, outcome: str, number: int, timeout_s: float = 90.0) -> None:
        """Wait until the history says so of a change."""
        deadline = time.monotonic() + timeout_s
        found: Any = None
        while time.monotonic() < deadline:
            try:
                found = self.charger.call("config.history")
                entry = next(each for each in found if each["number"] == number)
                if entry["outcome"].startswith(outcome):
                    return
            except Exception as error:  # noqa: BLE001 (the agent is on its way down or up)
                found = error
            time.sleep(0.2)
        raise AssertionError(f"change {number} was not {outcome!r}: {found}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("config") / "site"
    with (
        CsmsProcess(directory / "csms") as csms,
        Lab(directory, SETTINGS, evses=1, csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("run")
        charger.wait_accepted(60)
        charger.wait_for(lambda s: s["evses"][0]["plugged"] is False, "unplugged")
        yield Site(lab, charger)


def test_a_value_is_set_kept_and_told(site):
    remark = "# kept as it is\n"
    site.file.write_text(remark + site.file.read_text())
    instance = site.charger.status()["control"]["instance"]
    with site.console() as technician:
        technician.wait("service> ")
        assert "a secret" not in technician.do("config show ocpp", r"password: '\*\*\*'")
        technician.line("config set station.model 'Trio 22'")
        technician.wait(r"station.model")
        technician.wait("Trio 22")
        technician.wait("The agent starts anew")
        technician.wait("Type 'yes'")
        technician.line("yes")
        technician.wait("Taken as change 1")
    site.settled("kept", 1)
    site.charger.wait_for(lambda s: s["station"]["model"] == "Trio 22", "the new model")
    assert site.charger.status()["control"]["instance"] == instance  # it does not read that
    assert site.file.read_text().startswith(remark)
    audit = (site.file.parent / "state" / "security" / "audit.log").read_text()
    assert "station.model: " in audit
    assert "-> Trio 22" in audit
    with site.console() as technician:
        technician.wait("service> ")
        assert "Trio 22" in technician.do("config history", "kept")
        technician.do("config diff", "as it stands")
        technician.do("config diff 1", "Trio 22")


def test_what_control_reads_starts_control_anew(site):
    site.charger.wait_accepted()
    instance = site.charger.status()["control"]["instance"]
    done = site.batch("config set control.lease_s 45 --yes --json")
    assert done.returncode == 0, done.stdout
    taken = json.loads(done.stdout)
    assert taken["restarts"] == ["agent", "control"]
    site.settled("kept", taken["number"])
    assert site.charger.status()["control"]["instance"] not in ("", instance)


def test_an_uplink_that_does_not_come_back_brings_the_old_file_back(site):
    site.charger.wait_accepted()
    before = site.file.read_text()
    done = site.batch("config set ocpp.url ws://127.0.0.1:9 --yes --within 10 --json")
    assert done.returncode == 0, done.stdout
    number = json.loads(done.stdout)["number"]
    site.charger.wait_for(lambda s: "127.0.0.1:9" in s["uplink"]["url"], "the wrong network")
    site.settled("taken back: the network did not accept", number)
    assert site.file.read_text() == before
    site.charger.wait_accepted()


def test_going_back_by_hand(site):
    site.charger.wait_accepted()
    taken = json.loads(site.batch("config set station.model Quattro --yes --json").stdout)
    site.settled("kept", taken["number"])
    site.charger.wait_accepted()
    done = site.batch("config rollback --yes --json")
    assert json.loads(done.stdout)["changes"] == [{"path": "station.model", "before": "Quattro", "after": "Trio 22"}]
    site.settled("kept", taken["number"] + 1)
    site.charger.wait_accepted()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("config set evses[0].max_current_a 900 --yes", "is above 80"),
        ("config set ocpp.urll wss://x --yes", "did you mean 'url'"),
        ("config set paths.state_dir /tmp/x --yes", "while the agent runs"),
        ("config set ocpp.url wss://x", "answers as options"),
        ("config set station.model", "give a value"),
        ("config set station.model X --within 2 --yes", "within_s must be"),
        ("config apply /nowhere/at/all.yaml", "No such file"),
        ("config rollback 77 --yes", "no number 77"),
        ("config show nothing", "no section nothing"),
    ],
)
def test_what_is_not_good_is_refused_and_nothing_changes(site, command, words):
    site.charger.wait_accepted()
    before = site.file.read_text()
    done = site.batch(command)
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split())
    assert site.file.read_text() == before


def test_what_was_shown_can_be_edited_and_applied_with_its_secrets(site, tmp_path):
    site.charger.wait_accepted()
    shown = json.loads(site.batch("config show --json").stdout)["text"]
    assert "a secret" not in shown
    edited = tmp_path / "edited.yaml"
    edited.write_text(shown.replace("Trio 22", "Sei 22") + "\n# the end\n")
    done = site.batch(f"config diff {edited} --json", f"config apply {edited} --yes --json")
    diff, taken = (json.loads(line) for line in done.stdout.splitlines())
    assert diff == taken["changes"] == [{"path": "station.model", "before": "Trio 22", "after": "Sei 22"}]
    site.settled("kept", taken["number"])
    assert leaves(site.file.read_text())["ocpp.password"] == SETTINGS["ocpp.password"]
    site.charger.wait_accepted()


def test_a_vehicle_keeps_the_configuration_where_it_is(site):
    site.charger.wait_accepted()
    site.lab.control.plug(1)
    try:
        site.charger.wait_for(lambda s: s["evses"][0]["plugged"], "plugged")
        done = site.batch("config set control.lease_s 50 --yes")
        assert "unplug first" in done.stdout
        assert done.returncode == 4
    finally:
        site.lab.control.unplug(1)
        site.charger.wait_for(lambda s: s["evses"][0]["plugged"] is False, "unplugged")


def test_keys_are_shown_and_set(site):
    site.charger.wait_accepted()
    done = site.batch("settings set heartbeatinterval 77", "settings show heart --json", "settings set Nothing 1")
    assert "HeartbeatInterval" in done.stdout
    assert json.loads(done.stdout.splitlines()[1])[0]["value"] == "77"
    assert "no key 'Nothing'" in done.stdout
