"""faults, watch, pilot, readings, tests, self-test, safe: over a terminal, with the real processes and the lab."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from technician import CTRL_C, Technician

from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.client import LabControl
from simulators.lab.process import Lab

pytestmark = pytest.mark.process
SETTINGS: dict[str, Any] = {"control.realtime_priority": 0, "ocpp.back_off_minimum_s": 0.2}
TOKEN, TEST_CARD = "04A1B2C3", "04D4E5F6"


@dataclass
class Site:
    lab: LabControl
    charger: Charger

    @property
    def socket(self) -> Path:
        return self.charger.directory / "run" / "api.sock"

    def evse(self) -> Any:
        return self.charger.status()["evses"][0]

    def batch(self, *lines: str) -> list[Any]:
        done = subprocess.run(
            [sys.executable, "-m", "agent.console", "--batch", "-", "--keep-going", "--socket", str(self.socket)],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]

    def idle(self) -> None:
        self.charger.wait_for(lambda s: s["evses"][0]["status"] == "Available", "available", 30.0)

    def charge(self) -> None:
        self.idle()
        self.lab.plug(1, vehicle="renault-zoe-r135")
        self.charger.wait_for(lambda s: s["evses"][0]["status"] == "Preparing", "preparing", 30.0)
        self.lab.tap(TOKEN)
        self.charger.wait_for(
            lambda s: s["evses"][0]["status"] == "Charging" and (s["evses"][0]["power_w"] or 0) > 1000, "charging", 60.0
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("live") / "site"
    with (
        CsmsProcess(directory / "csms") as csms,
        Lab(directory, SETTINGS, evses=1, board="tida", csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("control")
        charger.start("agent")
        charger.wait_accepted(60)
        yield Site(lab.control, charger)


def verdicts(document: Any) -> dict[str, Any]:
    return {each["name"]: each["passed"] for each in document["checks"]}


def test_every_reading_is_shown(site: Site) -> None:
    site.idle()
    inputs, meter, pilot, watch = site.batch("inputs --json", "meter --json", "pilot --json", "watch --json")
    assert {"pilot", "contactor", "lock", "proximity", "meter", "board"} <= {each["port"] for each in inputs["inputs"]}
    assert all(each["ok"] for each in inputs["devices"])
    assert all(each["port"] == "meter" for each in meter["inputs"])
    assert "energy_import_wh" in [each["name"] for each in meter["inputs"]]
    assert pilot["state"] == "A1"
    assert watch["evses"][0]["state"] == "A1"
    assert watch["status"]["uplink"]["state"] == "accepted"


def test_each_test_of_an_idle_evse_passes_with_its_measure(site: Site) -> None:
    site.idle()
    found = site.batch(
        "test contactor --json",
        "test lock --yes --json",
        "test rcd --yes --json",
        "test pilot --yes --json",
        "test meter --seconds 1 --json",
        "test serial --json",
        "test can --json",
    )
    by_name = {each["test"]: each for each in found}
    for name in ("contactor", "lock", "rcd", "pilot", "meter", "serial"):
        assert by_name[name]["passed"] is not False, by_name[name]
    assert verdicts(by_name["lock"]) == {"locks": True, "unlocks": True}
    assert by_name["can"]["passed"] is None
    assert by_name["serial"]["passed"] is True
    site.charger.wait_for(lambda s: s["evses"][0]["locked"] is False, "unlocked again")


def test_a_self_test_makes_a_report(site: Site, tmp_path: Path) -> None:
    site.idle()
    report = tmp_path / "report.json"
    (told,) = site.batch(f"selftest all --yes --json --save {report}")
    assert told["passed"] is True, told
    assert json.loads(report.read_text())["identity"] == told["identity"]
    assert {each["test"] for each in told["parts"]} >= {"contactor", "lock", "rcd", "pilot", "meter"}
    assert site.batch(f"selftest all --yes --json --save {report}") == [], "no report is written over"


def test_a_card_for_the_reader_test_starts_nothing(site: Site) -> None:
    site.idle()
    with Technician(["--socket", str(site.socket)]) as technician:
        technician.wait("service> ")
        technician.line("test reader 1")
        technician.wait("starts nothing")
        site.lab.tap(TEST_CARD)
        technician.wait("pass")
        assert TEST_CARD not in technician.wait("service> ")
    assert site.evse()["transaction"] is None


def test_what_moves_asks_first_and_no_means_no(site: Site) -> None:
    site.idle()
    with Technician(["--socket", str(site.socket)]) as technician:
        technician.wait("service> ")
        technician.line("test lock")
        technician.wait("keep fingers away")
        technician.line("no")
        technician.wait("left off")
        technician.wait("service> ")
        technician.line("test leds")
        technician.wait("'available'")
        technician.line("yes")
        technician.wait("'preparing'")
        technician.send(CTRL_C)
        technician.wait("service> ")


def test_a_live_screen_a_refused_test_and_everything_open(site: Site) -> None:
    site.charge()
    with Technician(["--socket", str(site.socket)]) as technician:
        technician.wait("service> ")
        technician.line("watch")
        technician.wait("kW")
        picture = technician.picture()
        assert "Charging" in picture
        assert "closed" in picture
        technician.resize(60, 20)
        technician.wait("kW")
        technician.send("q")
        technician.wait("service> ")
        technician.line("pilot --seconds 3")
        technician.wait(r"C \|")
        technician.wait("service> ")
        refused = technician.do("test lock --yes")
        assert "contactor is not open" in refused
        assert "with-vehicle" in technician.do("test contactor")
        technician.line("safe")
        technician.wait("ends every charge")
        technician.line("yes")
        technician.wait("EVSE 1: open")
        technician.wait("service> ")
        assert "safe off" in technician.do("why")
        assert site.evse()["contactor_closed"] is False
        site.lab.unplug(1)
        technician.do("safe off --yes", "Back in service")
    site.idle()


def test_the_times_of_a_charge_are_measured_by_looking_on(site: Site) -> None:
    site.idle()
    with Technician(["--socket", str(site.socket)]) as technician:
        technician.wait("service> ")
        technician.line("test contactor --with-vehicle --seconds 60")
        technician.wait("only looks on")
        site.charge()
        begin_wh = site.lab.evse()["meter"]["register_wh"]
        site.lab.wait_for(lambda e: e["meter"]["register_wh"] >= begin_wh + 8.0, 60.0)  # some looks long, however slow
        site.lab.vehicle(1, "not-ready")
        technician.wait("s from C2 to closed", 70.0)
        technician.wait("from the vehicle's leaving C")
        technician.wait("closed while charging")
        technician.wait("L1 [0-9]")
        technician.wait("service> ")
        assert "FAIL" not in technician.picture()
    site.charger.wait_for(lambda s: s["evses"][0]["transaction"] is not None, "in a transaction")
    site.lab.tap(TOKEN)
    site.charger.wait_for(lambda s: s["evses"][0]["locked"] is False, "unlocked")
    site.lab.unplug(1)


def test_faults_are_remembered_and_cleared(site: Site) -> None:
    site.lab.fault(1, "rcd")
    site.charger.wait_for(lambda s: bool(s["evses"][0]["faults"]), "a fault")
    (now,) = site.batch("faults --json")
    codes = [each["code"] for each in now if each["active"]]
    assert codes
    assert now[0]["remedy"]
    (history,) = site.batch("faults history --json")
    assert codes[0] in [each["code"] for each in history]
