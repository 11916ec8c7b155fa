"""transactions, tokens, profiles, schedule, reservations: over a terminal, after a charge that the network missed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from technician import Technician

from agent.local.methods import observe
from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.process import Lab

pytestmark = pytest.mark.process

SETTINGS: dict[str, Any] = {
    "control.realtime_priority": 0,
    "authorisation.free_vend": True,
    "ocpp.settings.MeterValueSampleInterval": "2",
    "ocpp.back_off_minimum_s": 0.2,
}


@pytest.fixture(scope="module")
def charger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charger]:
    """One transaction of a vehicle waits on the books; the network is away."""
    directory = tmp_path_factory.mktemp("books") / "site"
    with (
        CsmsProcess(directory / "csms") as csms,
        Lab(directory, SETTINGS, evses=1, energy_factor=4.0, csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("control")
        charger.start("agent")
        charger.wait_accepted(60)
        charger.call("link.set", online=False)
        charger.wait_for(lambda s: s["uplink"]["state"] == "offline_by_command", "offline")
        lab.control.plug(1)
        charger.wait_for(lambda s: (s["evses"][0]["power_w"] or 0) > 1000, "a vehicle charges", 60)
        charger.wait_for(lambda s: s["uplink"]["queue"]["pending"] >= 2, "records wait", 60)
        lab.control.unplug(1)
        charger.wait_for(lambda s: s["evses"][0]["status"] == "Available", "the vehicle has left", 60)
        yield charger


def socket_of(charger: Charger) -> str:
    return str(charger.directory / "run" / "api.sock")


def batch(charger: Charger, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.console", "--batch", "-", "--keep-going", "--socket", socket_of(charger)],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_transaction_and_its_records(charger):
    with Technician(["--socket", socket_of(charger)]) as technician:
        technician.wait("service> ")
        said = technician.do("transactions", "waiting")
        identity = re.search(r"([0-9a-f]{8})  20\d\d-", said)
        assert identity is not None
        said = technician.do(f"transactions show {identity[1]}", "Not with the network yet")
        assert "tried 0 times" in said
        technician.do("transactions show zzz", "0 transactions begin")
        technician.do("transactions retry", "Nothing is set aside")
        technician.do("ocpp", "oldest")
        technician.do("tokens", "Local list")
        technician.do("tokens 04A1B2C3D4E5", "not known here")
        technician.do("profiles", "No charging profile")
        technician.do("reservations", "Nothing is reserved")
        chart = technician.do("schedule 1", r"\d\d:\d\d +32.0  .*####", 30)
        assert max(len(line) for line in chart.splitlines()) <= 80


def test_records_go_to_a_file_and_over_the_line(charger, tmp_path):
    path = tmp_path / "records.jsonl"
    done = batch(charger, f"transactions export {path} --json", "transactions export -")
    first, *lines = done.stdout.splitlines()
    told = json.loads(first)
    data = path.read_bytes()
    assert told["length"] == len(data)
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert path.stat().st_mode & 0o077 == 0
    kinds = [json.loads(line)["kind"] for line in data.splitlines()]
    assert kinds[0] == "started"
    begin = re.fullmatch(r"-----BEGIN EVSE-AGENT FILE name=(\S+) length=(\d+) sha256=(\w+)-----", lines[0])
    assert begin is not None
    carried = base64.b64decode("".join(lines[1:-1]), validate=True)
    assert (len(carried), hashlib.sha256(carried).hexdigest()) == (int(begin[2]), begin[3])
    assert carried == data
    assert "No such file" in batch(charger, "transactions export /nowhere/at/all").stdout


def test_profiles_and_their_schedule_as_a_chart(bench):
    periods = [{"start_s": 0, "limit": 16.0, "phases": 3}, {"start_s": 3600, "limit": 0.0, "phases": 3}]

    def schedule(evse: int = 0, hours: float = 24.0) -> dict[str, Any]:
        """A schedule."""
        start = "2026-01-02T03:04:00.000Z"
        return {"evse": evse, "starts_at": start, "duration_s": int(hours * 3600), "unit": "A", "periods": periods}

    def profiles() -> list[dict[str, Any]]:
        """Profiles."""
        one = {"id": 7, "evse": 0, "purpose": "TxDefaultProfile", "kind": "Recurring\x1b[2J", "stack_level": 1}
        one |= {"unit": "A", "valid_from": None, "valid_to": None, "starts_at": None, "transaction": ""}
        return [{**one, "periods": periods}]

    bench.extra = {"schedule.show": observe(schedule), "profiles.list": observe(profiles)}
    bench.start()
    with Technician(["--socket", str(bench.path)], answers=False) as technician:
        technician.wait("service> ")
        said = technician.do("schedule --hours 2", r"04:54 +0\.0  0")
        assert re.search(r"03:04 +16\.0  #{50,}", said)
        assert said.count("16.0  #") == 6  # half of the chart's rows
        said = technician.do("profiles", r"\+1:00 0 A")
        assert b"\x1b" not in technician.said
