"""``evse-agent run``: a change of the configuration that control alone refuses ends nothing; mending it is enough."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators.charger import Charger

if TYPE_CHECKING:
    from conftest import SiteFactory

pytestmark = pytest.mark.process


def control_of(charger: Charger) -> int:
    children = Path(f"/proc/{charger.pid('run')}/task/{charger.pid('run')}/children").read_text().split()
    return next(int(pid) for pid in children if b"agent.control" in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_change_that_control_refuses_leaves_the_agent_reachable_until_it_is_mended(new_site: SiteFactory) -> None:
    site = new_site()
    charger, config = site.charger, site.charger.config_path
    charger.start("run")
    charger.wait_for(lambda s: s["control"]["connected"], "control", 60)
    good = config.read_text()
    config.write_text(good.replace("    driver: mcu-board\n", "    driver: mcu-board\n    no_such_option: 1\n", 1))
    assert config.read_text() != good
    os.kill(control_of(charger), signal.SIGTERM)
    gone = charger.wait_for(lambda s: not s["control"]["connected"], "an agent that says that control is gone", 60)
    site.lab.wait_for(lambda e: not e["contactor"]["closed"], 30)
    reasons = charger.wait_for(lambda s: bool(s["evses"][0]["reasons"]), "a reason", 60)["evses"][0]["reasons"]
    assert reasons[0]["code"] == "control_lost", gone
    charger.wait_for(
        lambda _: "control refuses its configuration" in charger.log("run"), "what the supervisor says", 60
    )
    assert "no_such_option: is not a known option" in charger.log("run")
    assert charger.running("run")
    config.write_text(good)
    charger.wait_for(lambda s: s["control"]["connected"], "control after the file was mended", 60)
    assert charger.stop("run") == 0
