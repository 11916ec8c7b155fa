"""Faults that only a person may clear: they outlive a crash of control, and go when the person says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.app import EXIT_RESTART

if TYPE_CHECKING:
    from conftest import Site, SiteFactory

pytestmark = pytest.mark.process

TOKEN = "04A1B2C3"


def evse_agent(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    config = str(site.charger.config_path)
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *words, "--config", config], capture_output=True, text=True, timeout=30
    )


def test_a_welded_contactor_stays_a_fault_until_a_person_clears_it(new_site: SiteFactory) -> None:
    site = new_site(board="tida")
    site.start()
    site.plug_and_tap(TOKEN)
    site.lab.fault(1, "welded")
    site.tap(TOKEN)
    site.wait_evse(lambda e: "contactor_welded" in [f["code"] for f in e["faults"]], "weld found")
    site.lab.fault(1, "welded", on=False)
    before = site.charger.status()["control"]["instance"]
    site.charger.kill("control")
    site.charger.start("control")
    site.charger.wait_for(
        lambda s: (
            s["control"]["connected"]
            and s["control"]["instance"] != before
            and "contactor_welded" in [f["code"] for f in s["evses"][0]["faults"]]
        ),
        "still a fault for the new control",
    )
    refused = evse_agent(site, "clear-fault", "1", "no-such-fault")
    assert (refused.returncode, "contactor_welded" in refused.stderr) == (4, True)
    cleared = evse_agent(site, "clear-fault", "1", "contactor_welded")
    assert cleared.returncode == 0, cleared.stderr
    site.wait_evse(lambda e: e["faults"] == [], "cleared")


def test_self_test_and_board_reset_reach_control(new_site: SiteFactory) -> None:
    site = new_site(board="tida")
    site.start()
    site.wait_evse(lambda e: e["status"] == "Available", "available")
    assert evse_agent(site, "self-test", "1").returncode == 0
    resets = site.lab.evse()["board"]["resets"]
    assert evse_agent(site, "reset-board", "1").returncode == 0
    site.lab.wait_for(lambda e: e["board"]["resets"] > resets)
    assert evse_agent(site, "reset-board", "7").returncode == 4


def test_a_hard_reset_restarts_the_machine_and_tries_again_when_that_fails(
    new_site: SiteFactory, tmp_path: Path
) -> None:
    tries = tmp_path / "tries"
    command = ["sh", "-c", f"echo once more >> {tries}; exit 1"]
    site = new_site({"update.restart": command, "ocpp.settings.ResetRetries": "2"})
    site.start()
    assert site.csms.call("LAB-0001", "Reset", {"type": "Hard"}) == {"status": "Accepted"}
    assert site.charger.wait_exit("agent") == EXIT_RESTART
    assert tries.read_text().splitlines() == ["once more"] * 3
    site.charger.start("agent")
    site.charger.wait_accepted()
