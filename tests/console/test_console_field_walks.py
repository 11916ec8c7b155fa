"""Ten broken chargers, each with its real processes and the lab: from the log-in at the service port to the cause and
its remedy in at most three commands. docs/field-guide.md tells the same walks; set EVSE_FIELD_SCREENS to a directory to
have what the terminal showed written there for it."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from technician import Technician
from test_console_network import certificate, listen

from simulators import charger as processes
from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.client import LabControl
from simulators.lab.process import Lab

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]
SETTINGS: dict[str, Any] = {
    "control.realtime_priority": 0,
    "ocpp.back_off_minimum_s": 0.2,
    "ocpp.back_off_random_s": 0.2,
    "ocpp.back_off_repeats": 1,
}
PIN, TOKEN = "402617", "04A1B2C3"
MOST_COMMANDS = 3
PATIENCE_S = 90.0
GUIDE = Path(__file__).parents[2] / "docs" / "field-guide.md"
DAY = timedelta(days=1)


@dataclass
class Place:
    lab: LabControl
    charger: Charger
    folder: Path

    def wait(self, condition: Any, what: str, timeout_s: float = PATIENCE_S) -> None:
        self.charger.wait_for(lambda s: condition(s["evses"][0]), what, timeout_s)

    def wait_fault(self, code: str) -> None:
        self.wait(lambda e: code in [each["code"] for each in e["faults"]], f"the fault {code}")

    def charge(self) -> None:
        self.lab.plug(1, vehicle="renault-zoe-r135")
        self.wait(lambda e: e["status"] == "Preparing", "preparing")
        self.lab.tap(TOKEN)
        self.wait(lambda e: e["status"] == "Charging" and (e["power_w"] or 0) > 1000, "charging")


@dataclass
class Walk:
    """What a technician types after the log-in, and what is read there."""

    place: Place
    name: str
    technician: Technician
    screens: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def type(self, command: str, *words: str) -> None:
        """Type a command; all ``words`` (patterns) must stand in what it says."""
        self.commands.append(command)
        said = self.technician.do(command, timeout_s=PATIENCE_S)
        self.screens.append(said)
        flat = " ".join(said.split())
        for each in words:
            assert re.search(each, flat), f"{self.name}: no {each!r} after {command!r}:\n{said}"

    def check(self) -> None:
        assert len(self.commands) <= MOST_COMMANDS
        assert all(len(line) <= 80 for screen in self.screens for line in screen.split("\r\n"))
        folder = os.environ.get("EVSE_FIELD_SCREENS")
        if folder:
            text = "".join(self.screens).replace("\r\n", "\n").replace("\r", "")
            Path(folder, f"{self.name}.txt").write_text(text, encoding="utf-8")
        guide = GUIDE.read_text(encoding="utf-8")
        for command in self.commands:
            assert f"service> {command}\n" in guide, f"{GUIDE.name} does not show {command!r}"


@contextlib.contextmanager
def logged_in(place: Place, name: str) -> Iterator[Walk]:
    """At the service port, right after the log-in."""
    if not place.charger.call("pin.state")["set"]:
        place.charger.call("pin.set", pin=PIN)
    socket_path = place.charger.directory / "run" / "api.sock"
    with Technician(["--socket", str(socket_path)], on_port=place.folder / "port") as technician:
        technician.wake("name:")
        technician.wait("name:")
        technician.line("Ines")
        technician.wait("PIN:")
        technician.line(PIN)
        technician.wait("service> ", PATIENCE_S)
        walk = Walk(place, name, technician)
        yield walk
        walk.check()


@contextlib.contextmanager
def built(
    folder: Path,
    settings: dict[str, Any] | None = None,
    *,
    agent: str = "agent",
    prefix: Sequence[str] = (),
    **options: Any,
) -> Iterator[Place]:
    with (
        Lab(folder / "site", {**SETTINGS, **(settings or {})}, evses=1, **{"board": "tida", **options}) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("control")
        charger.start(agent, prefix)
        charger.wait_for(lambda s: s["control"]["connected"], "both processes", PATIENCE_S)
        try:
            yield Place(lab.control, charger, folder)
        finally:
            if agent != "agent" and charger.running(agent):
                charger.stop(agent)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short name, as nodes of devices have."""
    with tempfile.TemporaryDirectory(prefix="evse-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def place(folder: Path) -> Iterator[Place]:
    """A charger that works."""
    with CsmsProcess(folder / "csms") as csms, built(folder, csms=csms.url) as place:
        place.charger.wait_accepted(PATIENCE_S)
        yield place


def test_a_card_reader_whose_cable_is_off(place: Place) -> None:
    place.lab.fault(1, "reader-unplugged")
    place.charger.wait_for(
        lambda _: "device:reader" in _active(place),
        "the reader's trouble",
    )
    with logged_in(place, "card-reader-cable-off") as walk:
        walk.type("faults", "reader", "(cable|wiring|plug)")


def _active(place: Place) -> list[str]:
    return [each["code"] for each in place.charger.call("faults")["entries"] if each["active"]]


def test_a_residual_current_device_that_tripped(place: Place) -> None:
    place.lab.fault(1, "rcd")
    place.wait_fault("residual_current")
    with logged_in(place, "rcd-tripped") as walk:
        walk.type("why", "residual.current", "->")


def test_a_lock_that_is_stuck(place: Place) -> None:
    place.lab.fault(1, "lock-stuck")
    place.lab.plug(1, vehicle="renault-zoe-r135")
    place.wait(lambda e: e["status"] == "Preparing", "preparing")
    place.lab.tap(TOKEN)
    place.wait(lambda e: any("lock" in each["code"] for each in e["faults"]), "the lock's fault")
    with logged_in(place, "lock-stuck") as walk:
        walk.type("why", "lock", "->")


def test_a_contactor_that_is_welded(place: Place) -> None:
    place.charge()
    place.lab.fault(1, "welded")
    place.lab.vehicle(1, "not-ready")
    place.wait_fault("contactor_welded")
    with logged_in(place, "contactor-welded") as walk:
        walk.type("why", "reads closed after the open command", "-> .*replace the contactor")


def test_a_meter_with_another_address(folder: Path) -> None:
    with (
        CsmsProcess(folder / "csms") as csms,
        built(folder, {"devices.meters.meters.0.address": 7}, csms=csms.url) as place,
    ):
        place.wait_fault("meter")
        with logged_in(place, "meter-address-wrong") as walk:
            walk.type("faults", "meter", "address 7", "->")


def test_an_address_of_the_network_that_is_wrong(folder: Path) -> None:
    server = listen()
    port = server.getsockname()[1]
    server.close()
    with built(folder, csms=f"ws://127.0.0.1:{port}/ocpp") as place:
        place.charger.wait_for(lambda s: bool(s["uplink"]["last_error"]), "an attempt that failed")
        with logged_in(place, "csms-url-wrong") as walk:
            walk.type("ocpp", "Refused", "-> .*port and host in ocpp.url")
            walk.type("network", "FAIL +tcp", "check the port in ocpp.url")


def test_a_certificate_that_has_expired(folder: Path) -> None:
    path = certificate(folder, "localhost", -90 * DAY, -2 * DAY)
    with (
        CsmsProcess(folder / "csms", tls=(path, path)) as csms,
        built(folder, {"ocpp.ca_file": str(path)}, csms=f"wss://localhost:{csms.port}") as place,
    ):
        place.charger.wait_for(lambda s: "certificate" in s["uplink"]["last_error"], "a refused certificate")
        with logged_in(place, "certificate-expired") as walk:
            walk.type("ocpp", "certificate", "expired", "'network' says which")
            walk.type("network", "FAIL +tls", "FAIL +certificate", "has to be renewed")


def test_a_clock_that_is_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The battery clock brought the machine up 400 days in the past; the network's certificate is younger."""
    behind = folder / "behind"
    behind.write_text(str(-400 * 86_400))
    warped = ("-m", "tests.faults.warped", "--wall", str(behind))
    monkeypatch.setitem(processes.COMMANDS, "warped", warped)
    path = certificate(folder, "localhost", -9 * DAY, 90 * DAY)
    with (
        CsmsProcess(folder / "csms", tls=(path, path)) as csms,
        built(folder, {"ocpp.ca_file": str(path)}, agent="warped", csms=f"wss://localhost:{csms.port}") as place,
    ):
        place.charger.wait_for(lambda s: "certificate" in s["uplink"]["last_error"], "a refused certificate")
        with logged_in(place, "clock-wrong") as walk:
            walk.type("ocpp", "not valid before", "->")
            walk.type("time", "confirmed by nobody", "'time set'")
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            walk.type(f"time set {now}", "->")
            walk.commands[-1] = "time set 2026-11-21T17:40:00Z"
        place.charger.wait_accepted(PATIENCE_S)


def test_a_can_bus_that_is_down(folder: Path) -> None:
    with CsmsProcess(folder / "csms") as csms, built(folder, board="can-board", csms=csms.url) as place:
        place.charger.wait_accepted(PATIENCE_S)
        place.lab.fault(1, "bus-off")
        place.wait_fault("board_lost")
        with logged_in(place, "can-bus-down") as walk:
            walk.type("why", "CAN|bus", "->")
            walk.type("test can", "FAIL")


def test_a_disk_that_is_full(folder: Path) -> None:
    """A partition of its own for the agent's state, filled to the last block."""
    state = folder / "site" / "state"
    state.mkdir(parents=True)
    with (
        CsmsProcess(folder / "csms") as csms,
        built(folder, prefix=_own_partition(state), csms=csms.url) as place,
    ):
        place.charger.wait_accepted(PATIENCE_S)
        place.charger.call("pin.set", pin=PIN)
        _fill(place.charger.pid("agent"), state)
        place.lab.plug(1, vehicle="renault-zoe-r135")
        place.wait(lambda e: e["status"] == "Preparing", "preparing")
        place.lab.tap(TOKEN)
        place.wait(lambda e: "journal_unwritable" in [each["code"] for each in e["reasons"]], "the disk takes nothing")
        with logged_in(place, "disk-full") as walk:
            walk.type("why", "the disk takes no records", "-> free space on its partition")
            walk.type("log 3", "the disk is full")


def _own_partition(state: Path) -> Sequence[str]:
    if shutil.which("unshare") and not subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        mount = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
        return ("unshare", "-rm", "sh", "-c", mount, str(state))
    return ()


def _fill(pid: int, state: Path) -> None:
    inside = Path(f"/proc/{pid}/root{state}")
    if inside.stat().st_dev == state.stat().st_dev:  # no partition of its own: no file of the agent may grow
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        return
    with (inside / "fill").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_the_guide_tells_every_walk() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    walks = re.findall(r'logged_in\(place, "([a-z-]+)"\)', Path(__file__).read_text(encoding="utf-8"))
    assert len(walks) == 10
    for name in walks:
        assert f'<a id="{name}"></a>' in guide, name
    assert max(len(line) for block in guide.split("```")[1::2] for line in block.split("\n")) <= 80
