"""Updates on a Debian machine of its own, from the order to the outcome: ``make test-systemd``. Needs root.

Real wheels of the product, changed a little: versions that are good, that do not start, whose loop is late, whose
control dies. One machine for all, in this order. The hardware is the lab behind ptys, the network its CSMS on loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from systemd_machine import Machine, unable

from agent.journal.schema import MIGRATIONS
from agent.slots.bundle import pack
from tests.slots.bundles import ROOTS, Maker

pytestmark = pytest.mark.timeout(900)

ROOT_TAR = Path(os.environ.get("SYSTEMD_ROOT_TAR", "build/charger/root.tar")).absolute()
BUNDLE = Path(os.environ.get("SYSTEMD_BUNDLE", "")).absolute()
WORK = Path(os.environ.get("SYSTEMD_WORK", ROOT_TAR.parent)).absolute()
HEALTH_S = 60
READY_S = 90.0
UPDATED_S = 420.0
"""From an order to its outcome: a slot is filled and tried, both units start, the proof, perhaps the way back."""
SWITCHED_S = 150.0
CONFIG = "/etc/evse-agent/config.yaml"
CONTROL, AGENT = "evse-control.service", "evse-agent.service"

LAB_UNIT = rf"""
[Unit]
Description=Simulated hardware
Before=evse-control.service

[Service]
ExecStart=/srv/sim/current/bin/evse-sim lab --dir /srv/lab --csms ws://127.0.0.1:9000 \
    --set paths.state_dir=/var/lib/evse-agent --set paths.runtime_dir=/run/evse-agent \
    --set authorisation.free_vend=true --set files.loopback=true --set update.health_s={HEALTH_S}
ExecStartPost=/bin/sh -c 'until [ -s /srv/lab/config.yaml ]; do sleep 0.1; done; \
    chmod 755 /srv /srv/lab; chmod -f 666 /dev/pts/[0-9]* || true'
"""
CSMS_UNIT = """
[Service]
ExecStart=/srv/sim/current/bin/evse-sim csms --port 9000 --dir /srv/csms
"""
FILES_UNIT = """
[Service]
ExecStart=/usr/bin/python3 -m http.server 8000 --bind 127.0.0.1 --directory /srv/updates
"""

LATE = ("agent/control/loop.py", "        now = time.monotonic()\n        late_s", "        time.sleep(0.08)\n"
        "        now = time.monotonic()\n        late_s")  # fmt: skip
ONE_MORE = "\nMIGRATIONS = (*MIGRATIONS, ('CREATE TABLE invented (id INTEGER PRIMARY KEY)',))\n\n"
NEW_TABLE = ("agent/journal/schema.py", "\ndef version_of(", ONE_MORE + "\ndef version_of(")
DEAD = ("agent/serve.py", "    options = parser.", "    sys.exit(1)\n    options = parser.")
NO_CONTROL = ("agent/control/__main__.py", '    notify("READY=1")', "    os.kill(os.getpid(), signal.SIGKILL)")

Change = tuple[str, str, str]


class Updates:
    """Bundles of the product, signed by a manufacturer of ours, as they lie in the machine below /srv/updates."""

    def __init__(self, place: Path, machine: Machine) -> None:
        self._maker = Maker(place)
        self._place = place
        self._machine = machine
        self._wheels = sorted([*(BUNDLE / "wheels/any").glob("*.whl"), *(BUNDLE / "wheels").glob("*-*/*.whl")])
        self.root = next((place / ROOTS).glob("*.pem"))

    def put(self, version: str, *changes: Change, **how: Any) -> str:
        """Make a version and return where it lies."""
        wheels = [retold(path, self._place, version, changes) if path.name.startswith("evse_agent-") else path
                  for path in self._wheels]  # fmt: skip
        out = self._place / f"{version}.tar"
        pack(out, wheels, version, self._maker.key, self._maker.certificate, **how)
        self._machine.put(out, f"/srv/updates/{version}.tar")
        self._machine.run("sh", "-c", "chmod 755 /srv /srv/updates; chmod 644 /srv/updates/*")
        return f"/srv/updates/{version}.tar"


def retold(wheel: Path, place: Path, version: str, changes: tuple[Change, ...]) -> Path:
    """A wheel of the product that calls itself another version, with pieces of its text changed."""
    old = wheel.name.split("-")[1]
    texts: Mapping[str, list[tuple[str, str]]] = {"agent/__init__.py": [(f'"{old}"', f'"{version}"')]}
    for name, before, after in changes:
        texts = {**texts, name: [*texts.get(name, []), (before, after)]}
    target = place / f"evse_agent-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in source.infolist():
            data = source.read(entry)
            for before, after in texts.get(entry.filename, []):
                assert data.decode("utf-8").count(before) == 1, f"{entry.filename}: {before!r}"
                data = data.decode("utf-8").replace(before, after).encode("utf-8")
            copy.writestr(
                entry.filename.replace(f"evse_agent-{old}.dist-info", f"evse_agent-{version}.dist-info"), data
            )
    return target


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    why = unable()
    assert not why, f"no machine can run here: {why}"
    with Machine(ROOT_TAR, WORK) as machine:
        machine.boot()
        shutil.copytree(BUNDLE, machine.root / "root/bundle")
        place = ("python3", "-I", "/root/bundle/packaging/place.py", "--root", "/srv/sim", "--wheels")
        machine.run(*place, "/root/bundle/wheels")
        machine.run("mkdir", "-p", "/srv/updates", "/srv/csms")
        for name, text in (("lab", LAB_UNIT), ("csms", CSMS_UNIT), ("files", FILES_UNIT)):
            machine.write(f"/etc/systemd/system/{name}.service", text)
        machine.write(f"/etc/systemd/system/{CONTROL}.d/lab.conf", "[Service]\nDeviceAllow=char-pts rw\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "csms.service", "files.service", "lab.service")
        yield machine


@pytest.fixture(scope="module")
def updates(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Updates:
    return Updates(tmp_path_factory.mktemp("maker"), machine)


# ---- what is asked and seen -----------------------------------------------------------------------------------------


def status(machine: Machine) -> dict[str, Any]:
    done = machine.run("evse-agent", "status", "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def ready(machine: Machine) -> bool:
    found = status(machine)
    if not found or not found["control"]["connected"] or found["uplink"]["state"] != "accepted":
        return False
    evse = found["evses"][0]
    return evse["status"] == "Available" and not evse["faults"]


def wait_ready(machine: Machine) -> None:
    machine.wait(lambda: ready(machine), "readiness to charge", READY_S)


def version(machine: Machine) -> str:
    return str(status(machine).get("station", {}).get("version", ""))


def closed(machine: Machine) -> bool:
    return bool(status(machine).get("evses", [{}])[0].get("contactor_closed"))


def lab(machine: Machine, *words: str) -> None:
    machine.run("/srv/sim/current/bin/evse-sim", "ctl", "--dir", "/srv/lab", *words)


def csms(machine: Machine, *words: str) -> Any:
    out = machine.run("/srv/sim/current/bin/evse-sim", "csms-ctl", "--dir", "/srv/csms", "--json", *words).stdout
    found = json.loads(out)
    return found.get("result", found) if isinstance(found, dict) else found


def console(machine: Machine, *lines: str, check: bool = True) -> str:
    done = machine.run("evse-console", "--batch", "-", check=check, given="\n".join(lines) + "\n")
    return done.stdout + done.stderr


def slots(machine: Machine) -> dict[str, Any]:
    return dict(json.loads(machine.run("evse-slots", "show").stdout))


def told(machine: Machine) -> list[str]:
    """What the network has heard of updates, from the beginning."""
    found = []
    whole, _, _ = (machine.root / "srv/csms/frames.jsonl").read_text("utf-8").rpartition("\n")
    for line in whole.splitlines():
        frame = json.loads(line)
        if frame["direction"] == "received" and '"FirmwareStatusNotification"' in frame["text"]:
            found.append(str(json.loads(frame["text"])[3]["status"]))
    return found


def order(machine: Machine, file: str) -> None:
    """As an operator's network does it."""
    at = "2026-01-01T00:00:00Z"
    location = f"http://127.0.0.1:8000/{Path(file).name}"
    csms(machine, "call", "UpdateFirmware", json.dumps({"location": location, "retrieveDate": at}))


def install_by_console(machine: Machine, file: str) -> None:
    console(machine, f"update {file} --yes --seconds 1")


def wait_told(machine: Machine, before: list[str], last: str) -> list[str]:
    """Wait for the outcome. Return what the network was told in between."""
    machine.wait(lambda: told(machine)[len(before):][-1:] == [last], f"{last} at the network", UPDATED_S)  # fmt: skip
    return told(machine)[len(before) :]


def pids(machine: Machine) -> tuple[int, int]:
    return machine.pid(CONTROL), machine.pid(AGENT)


def runs_from(machine: Machine, slot: str) -> None:
    """Both processes run out of this slot, and the link leads there."""
    assert machine.run("readlink", "/opt/evse-agent/current").stdout.strip() == f"slots/{slot}"
    for pid in pids(machine):
        words = machine.run("cat", f"/proc/{pid}/cmdline").stdout
        assert f"/slots/{slot}/bin/" in words, words


def taken_back(machine: Machine, why: str) -> None:
    found = slots(machine)
    assert found["pending"] is None
    assert why in found["taken_back"]["why"]


# ---- updates --------------------------------------------------------------------------------------------------------


def test_an_installation_in_slots_takes_updates_without_a_word_of_them_in_the_configuration(
    machine: Machine, updates: Updates
) -> None:
    machine.run("mkdir", "-p", "/root/bundle/manufacturer")
    machine.put(updates.root, "/root/bundle/manufacturer/maker.pem")
    machine.run("/root/bundle/install.sh", "--config", "/srv/lab/config.yaml")
    wait_ready(machine)
    assert "install:" not in machine.run("cat", CONFIG).stdout
    assert "set update.install" not in console(machine, "update")
    runs_from(machine, "a")


def test_a_running_session_is_finished_first_then_the_new_version_proves_itself_and_stays(
    machine: Machine, updates: Updates
) -> None:
    file, before, processes = updates.put("0.2.0"), told(machine), pids(machine)
    lab(machine, "plug", "1")
    machine.wait(lambda: closed(machine), "a closed contactor")
    install_by_console(machine, file)
    machine.wait(lambda: "Install" in console(machine, "update"), "an update that waits")
    assert closed(machine)
    assert pids(machine) == processes
    assert slots(machine)["slots"]["b"] is None
    lab(machine, "unplug", "1")
    assert wait_told(machine, before, "Installed") == ["Downloading", "Downloaded", "Installing", "Installed"]
    wait_ready(machine)
    assert version(machine) == "0.2.0"
    assert slots(machine)["pending"] is None
    runs_from(machine, "b")
    ledger = csms(machine, "ledger")
    assert [bool(one["stopped_at"]) for one in ledger["transactions"]] == [True]


@pytest.mark.parametrize("kind", ["older", "tampered"])
def test_what_must_not_be_installed_changes_nothing(machine: Machine, updates: Updates, kind: str) -> None:
    file, before, processes = updates.put("0.1.5" if kind == "older" else "0.2.1"), told(machine), pids(machine)
    if kind == "tampered":
        machine.run("sh", "-c", f"printf x | dd of={file} bs=1 seek=1200000 conv=notrunc")
    order(machine, file)
    wait_told(machine, before, "InstallationFailed")
    assert pids(machine) == processes
    assert version(machine) == "0.2.0"
    runs_from(machine, "b")
    said = "is older than 0.2.0" if kind == "older" else "is not the file that the manifest names"
    assert said in machine.journal("evse-slots.service")
    wait_ready(machine)


def test_a_version_that_does_not_start_is_taken_back_by_the_guard(machine: Machine, updates: Updates) -> None:
    file, before = updates.put("0.3.0", DEAD), told(machine)
    order(machine, file)
    assert wait_told(machine, before, "InstallationFailed")[-2:] == ["Installing", "InstallationFailed"]
    taken_back(machine, "was started 3 times")
    machine.wait(lambda: ready(machine), "readiness to charge", READY_S)
    runs_from(machine, "b")


def test_a_version_whose_loop_is_late_is_taken_back_and_nothing_recorded_is_lost(
    machine: Machine, updates: Updates
) -> None:
    file, before = updates.put("0.4.0", LATE, NEW_TABLE), told(machine)
    booked = len(csms(machine, "ledger")["transactions"])
    # A charge that the network has not heard of when the new version takes the journal over.
    machine.run("evse-agent", "link", "offline")
    lab(machine, "plug", "1")
    machine.wait(lambda: closed(machine), "a closed contactor")
    lab(machine, "unplug", "1")
    machine.wait(lambda: not closed(machine), "an open contactor")
    csms(machine, "drop", "StartTransaction")
    install_by_console(machine, file)
    machine.wait(lambda: slots(machine)["pending"] is not None, "the switch", SWITCHED_S)
    machine.wait(lambda: version(machine) == "0.4.0", "the new version", READY_S)
    machine.run("evse-agent", "link", "online")
    assert schema(machine) == len(MIGRATIONS) + 1
    machine.wait(lambda: slots(machine)["taken_back"] is not None, "the way back", UPDATED_S)
    csms(machine, "normal")
    wait_told(machine, before, "InstallationFailed")
    taken_back(machine, "was not healthy in time")
    wait_ready(machine)
    runs_from(machine, "b")
    assert schema(machine) == len(MIGRATIONS)
    machine.wait(lambda: status(machine)["uplink"]["queue"]["pending"] == 0, "an empty queue")
    found = csms(machine, "ledger")["transactions"]
    assert len(found) == booked + 1
    assert found[-1]["stopped_at"]


def schema(machine: Machine) -> int:
    """Version of the journal's form. Looked at by a process that ends: who holds the file hinders its way back."""
    code = "import sqlite3; print(*sqlite3.connect('/var/lib/evse-agent/journal.db').execute('PRAGMA user_version'))"
    return int(machine.run("python3", "-c", code).stdout.strip("(),\n"))


def test_a_version_whose_control_dies_is_taken_back_and_control_is_up_again(machine: Machine, updates: Updates) -> None:
    file, before = updates.put("0.5.0", NO_CONTROL), told(machine)
    order(machine, file)
    wait_told(machine, before, "InstallationFailed")
    taken_back(machine, "was not healthy in time")
    wait_ready(machine)
    runs_from(machine, "b")


def test_a_version_that_the_network_does_not_accept_is_taken_back(machine: Machine, updates: Updates) -> None:
    file, before, was = updates.put("0.6.0"), told(machine), slots(machine)["running"]
    order(machine, file)
    machine.wait(lambda: slots(machine)["pending"] is not None, "the switch", SWITCHED_S)
    csms(machine, "boot", "rejected", "interval=5")
    machine.wait(lambda: (slots(machine)["taken_back"] or {}).get("version") == "0.6.0", "the way back", UPDATED_S)
    csms(machine, "boot", "accepted")
    wait_told(machine, before, "InstallationFailed")
    wait_ready(machine)
    runs_from(machine, was)


def test_a_downgrade_that_the_manufacturer_signed_as_one(machine: Machine, updates: Updates) -> None:
    file, before, was = updates.put("0.0.9", downgrade=True), told(machine), slots(machine)["running"]
    order(machine, file)
    wait_told(machine, before, "Installed")
    wait_ready(machine)
    assert version(machine) == "0.0.9"
    runs_from(machine, "b" if was == "a" else "a")


# ---- a configuration that control refuses ---------------------------------------------------------------------------


def refused(machine: Machine) -> bool:
    return machine.property(CONTROL, "ActiveState") == "failed"


def test_control_comes_up_again_when_a_technician_has_mended_the_file(machine: Machine) -> None:
    agent = machine.pid(AGENT)
    machine.run("sed", "-i.good", "s/^    variant: yeti/&\\n    no_such_option: 1/", CONFIG)
    machine.run("systemctl", "restart", CONTROL, check=False)
    machine.wait(lambda: refused(machine), "a control that refuses its configuration")
    assert "no_such_option" in machine.journal(CONTROL)
    machine.wait(lambda: not status(machine)["control"]["connected"], "an agent that says so")
    assert status(machine)["evses"][0]["reasons"][0]["code"] == "control_lost"
    machine.run("sh", "-c", f"cat {CONFIG}.good > {CONFIG}; rm {CONFIG}.good")  # as an editor writes it
    wait_ready(machine)
    assert machine.pid(AGENT) == agent


def test_what_a_person_has_stopped_stays_so(machine: Machine) -> None:
    def looked_at() -> str:
        return machine.property("evse-config.service", "ExecMainExitTimestampMonotonic")

    machine.run("systemctl", "stop", CONTROL)
    before = looked_at()
    machine.run("touch", CONFIG)
    machine.wait(lambda: looked_at() not in ("0", before), "a look at what has failed")
    assert machine.property(CONTROL, "ActiveState") == "inactive"
    machine.run("systemctl", "start", CONTROL)
    wait_ready(machine)


def test_control_comes_up_again_when_a_change_is_taken_back_by_itself(machine: Machine) -> None:
    """What a check could not know: this control refuses the file that the console has found to be good."""
    machine.write(
        f"/run/systemd/system/{CONTROL}.d/picky.conf",
        '[Service]\nExecStart=\nExecStart=/bin/sh -c \'grep -q "^  max_current_a: 20" '
        f"{CONFIG} && exit 2; exec /opt/evse-agent/current/bin/evse-control --config {CONFIG}'\n",
    )
    machine.run("systemctl", "daemon-reload")
    console(machine, "config set installation.max_current_a 20 --yes --within 25")
    machine.wait(lambda: refused(machine), "a control that refuses its configuration")
    wait_ready(machine)
    assert "max_current_a: 32" in machine.run("cat", CONFIG).stdout
    assert "control did not come back" in console(machine, "config history")
