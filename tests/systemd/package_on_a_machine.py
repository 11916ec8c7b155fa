"""The Debian package on a machine of its own, from its first installation to its purge. Part of ``make test-systemd``.

The machine has no network and no lists of packages: whatever the package needed beyond them would be missed here.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_charger import (
    BUNDLE,
    UNITS,
    charge,
    fresh_machine,
    lab,
    left_over,
    other_version,
    status,
    transactions,
    wait_ready,
)
from systemd_machine import Machine

ROOT = Path(__file__).parent.parent.parent
NEWER = "99.0.0"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(BUNDLE, folder / "bundle")
    package(folder / "bundle", folder / "now")
    package(other_version(BUNDLE, folder / "newer-bundle", NEWER), folder / "newer")
    with fresh_machine() as machine:
        for name in ("now", "newer"):
            machine.put(next((folder / name).glob("*.deb")), f"/root/{name}.deb")
        machine.run("rm", "-rf", "/root/bundle")  # nothing but the package
        yield machine


def package(bundle: Path, out: Path) -> None:
    tar = bundle.with_name(f"{bundle.name}.tar")
    subprocess.run(["tar", "-C", str(bundle.parent), "-cf", str(tar), bundle.name], check=True)
    subprocess.run([str(ROOT / "packaging/make_deb.sh"), str(tar), str(out)], check=True, capture_output=True)


def apt(machine: Machine, *words: str, check: bool = True) -> str:
    done = machine.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", *words, check=check)
    return done.stdout + done.stderr


def state(machine: Machine) -> str:
    """What dpkg thinks of the package: wanted and actual state, and its version."""
    return machine.ask("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "evse-agent").strip()


def own_version() -> str:
    return next((BUNDLE / "wheels/any").glob("evse_agent-*.whl")).name.split("-")[1]


def test_without_a_configuration_it_is_installed_and_starts_nothing(machine: Machine) -> None:
    said = apt(machine, "install", "/root/now.deb")
    assert "installed. Next:" in said
    assert state(machine) == f"ii {own_version()}"
    for unit in UNITS:
        assert machine.property(unit, "UnitFileState") == "enabled"
        assert machine.property(unit, "ActiveState") == "inactive"


def test_what_it_says_next_makes_it_charge(machine: Machine) -> None:
    machine.run("cp", "/srv/lab/config.yaml", "/etc/evse-agent/config.yaml")
    machine.run("evse-agent", "check-config", "/etc/evse-agent/config.yaml")
    machine.run("systemctl", "start", *UNITS)
    wait_ready(machine)
    charge(machine)
    assert len(transactions(machine)) == 1


def test_an_upgrade_keeps_configuration_and_records_and_runs_the_new_version(machine: Machine) -> None:
    config = machine.run("sha256sum", "/etc/evse-agent/config.yaml").stdout
    before, books = [machine.pid(unit) for unit in UNITS], transactions(machine)
    assert f"version {NEWER} is in slot b" in apt(machine, "install", "/root/newer.deb")
    wait_ready(machine)
    assert state(machine) == f"ii {NEWER}"
    assert not set(before) & {machine.pid(unit) for unit in UNITS}
    assert machine.run("sha256sum", "/etc/evse-agent/config.yaml").stdout == config
    assert transactions(machine) == books


def test_a_downgrade_is_refused_and_nothing_stops(machine: Machine) -> None:
    before = [machine.pid(unit) for unit in UNITS]
    assert "downgrade" in apt(machine, "install", "/root/now.deb", check=False)
    done = machine.run("dpkg", "-i", "/root/now.deb", check=False)  # which itself would do it
    assert done.returncode != 0
    assert f"is older than {NEWER}" in done.stdout + done.stderr
    assert state(machine) == f"ii {NEWER}"
    assert [machine.pid(unit) for unit in UNITS] == before
    wait_ready(machine)


def test_removal_opens_the_contactors_and_keeps_configuration_and_records(machine: Machine) -> None:
    lab(machine, "plug", "1")
    machine.wait(lambda: status(machine)["evses"][0]["contactor_closed"], "a closed contactor")
    apt(machine, "remove", "evse-agent")
    evses = lab(machine, "state")["evses"]
    assert not any(each["contactor"]["closed"] for each in (evses.values() if isinstance(evses, dict) else evses))
    lab(machine, "unplug", "1")
    assert state(machine).startswith("rc")
    assert not machine.exists("/opt/evse-agent")
    assert not machine.exists("/usr/bin/evse-agent")
    assert machine.exists("/var/lib/evse-agent/journal.db")
    assert machine.exists("/etc/evse-agent/config.yaml")
    for unit in UNITS:
        assert machine.property(unit, "LoadState") == "not-found"
    apt(machine, "install", "/root/newer.deb")
    wait_ready(machine)
    assert len(transactions(machine)) == 2


def test_purge_leaves_nothing(machine: Machine) -> None:
    apt(machine, "purge", "evse-agent")
    machine.run("rm", "-f", "/root/now.deb", "/root/newer.deb")
    assert left_over(machine) == ""
