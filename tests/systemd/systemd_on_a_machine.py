"""The whole charger on a Debian machine of its own: ``make test-systemd``. Needs root; not part of ``make test``.

One machine for all, in this order, from the first installation on to its removal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_charger import (
    BUNDLE,
    UNITS,
    charge,
    closed,
    fresh_machine,
    install,
    lab,
    left_over,
    other_version,
    status,
    transactions,
    wait_ready,
)
from systemd_machine import Machine

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with fresh_machine() as machine:
        yield machine


# ---- a life ---------------------------------------------------------------------------------------------------------


def test_one_command_on_a_fresh_machine_and_it_is_ready(machine: Machine) -> None:
    began = time.monotonic()
    said = install(machine, "--config", "/srv/lab/config.yaml")
    wait_ready(machine)
    print(f"\ninstalled and ready in {time.monotonic() - began:.1f} s")
    assert "is in slot a" in said
    assert machine.run("readlink", "/opt/evse-agent/current").stdout.strip() == "slots/a"


def test_a_vehicle_charges(machine: Machine) -> None:
    charge(machine)
    assert len(transactions(machine)) == 1


def test_each_process_is_its_own_user_and_control_was_ready_first(machine: Machine) -> None:
    users = {unit: machine.run("stat", "-c", "%U", f"/proc/{machine.pid(unit)}").stdout.strip() for unit in UNITS}
    assert users == {"evse-control.service": "evse-control", "evse-agent.service": "evse"}
    began = [int(machine.property(unit, "ActiveEnterTimestampMonotonic")) for unit in UNITS]
    assert began[0] <= began[1]
    control = str(machine.pid("evse-control.service"))
    limits = machine.run("cat", f"/proc/{control}/limits").stdout.splitlines()
    hard = next(line.split()[4] for line in limits if line.startswith("Max realtime priority"))
    if hard == "0":  # this host lets no container raise limits; then control must say what it did not get
        print("\nno real-time priority here: the host grants none to containers")
        assert "real-time priority 50 not granted" in machine.journal("evse-control.service")
    else:
        assert "SCHED_FIFO" in machine.run("chrt", "-p", control).stdout


@pytest.mark.parametrize("unit", UNITS)
def test_a_process_that_is_killed_comes_back_alone(machine: Machine, unit: str) -> None:
    other = next(name for name in UNITS if name != unit)
    before, untouched = machine.pid(unit), machine.pid(other)
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
    machine.wait(lambda: machine.pid(unit) not in (0, before), f"another {unit}")
    wait_ready(machine)
    assert machine.pid(other) == untouched
    if unit == "evse-control.service":
        assert "commanded from outside" in machine.journal(unit)


@pytest.mark.parametrize("unit", UNITS)
def test_a_process_that_hangs_is_ended_by_the_watchdog_and_comes_back(machine: Machine, unit: str) -> None:
    if unit == "evse-agent.service":  # a minute in earnest
        machine.write(f"/run/systemd/system/{unit}.d/quick.conf", "[Service]\nWatchdogSec=6\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", unit)
        wait_ready(machine)
    before = machine.pid(unit)
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", unit)
    machine.wait(lambda: machine.pid(unit) not in (0, before), f"the end of a hanging {unit}")
    wait_ready(machine)
    assert "Watchdog timeout" in machine.journal(unit)


def test_who_may_use_the_local_api_and_the_link(machine: Machine) -> None:
    machine.run("useradd", "--groups", "evse-observe", "observer")
    machine.run("useradd", "stranger")

    def as_user(user: str, *command: str) -> int:
        return machine.run(
            "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command, check=False
        ).returncode

    assert as_user("observer", "evse-agent", "status") == 0
    assert as_user("observer", "evse-agent", "link", "offline") == 4
    assert as_user("stranger", "evse-agent", "status") == 3
    connect = (
        "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('/run/evse-agent/control.sock')"
    )
    assert as_user("observer", "python3", "-c", connect) == 1
    assert as_user("stranger", "cat", "/etc/evse-agent/config.yaml") == 1


def test_a_crash_loop_of_control_ends_with_open_contactors_and_a_reason(machine: Machine) -> None:
    lab(machine, "plug", "1")
    machine.wait(lambda: closed(machine), "a closed contactor")
    broken = "[Service]\nExecStart=\nExecStart=/bin/false\n"
    machine.write("/run/systemd/system/evse-control.service.d/broken.conf", broken)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "evse-control.service")
    machine.wait(lambda: machine.property("evse-control.service", "ActiveState") == "failed", "control to give up")
    assert machine.property("evse-retry@evse-control.timer", "ActiveState") == "active"
    reasons = status(machine)["evses"][0]["reasons"]
    assert reasons[0]["code"] == "control_lost"
    assert machine.property("evse-agent.service", "ActiveState") == "active"
    evse = lab(machine, "state")["evses"]
    assert not any(each["contactor"]["closed"] for each in (evse.values() if isinstance(evse, dict) else evse))
    machine.run("rm", "-f", "/run/systemd/system/evse-control.service.d/broken.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "evse-retry@evse-control.service")  # what the timer does after ten minutes
    lab(machine, "unplug", "1")
    wait_ready(machine)


def test_a_technician_logs_in_at_a_serial_port(machine: Machine) -> None:
    machine.put(Path(__file__).parent / "serial_technician.py", "/srv/technician.py")
    done = machine.run("python3", "-I", "/srv/technician.py", "ttyCON", timeout_s=150.0, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + machine.journal("evse-console@ttyCON.service")
    assert "Logged in: service." in done.stdout
    pid = machine.pid("evse-console@ttyCON.service")
    assert machine.run("stat", "-c", "%U", f"/proc/{pid}").stdout.strip() == "evse-console"


def test_a_boot_ends_ready_to_charge(machine: Machine) -> None:
    machine.shut_down()
    began = time.monotonic()
    booted_s = machine.boot()
    wait_ready(machine)
    print(f"\nboot: {booted_s:.1f} s to the service manager, {time.monotonic() - began:.1f} s until ready to charge")
    for unit in UNITS:
        assert machine.property(unit, "NRestarts") == "0"
    charge(machine)


def test_installing_again_changes_nothing(machine: Machine) -> None:
    before = machine.run("cat", "/etc/evse-agent/config.yaml").stdout
    said = install(machine, "--config", "/root/bundle/config.example.yaml")
    assert "runs already, from slot a" in said
    assert "stays" in said
    assert machine.run("cat", "/etc/evse-agent/config.yaml").stdout == before
    wait_ready(machine)


def test_an_upgrade_keeps_configuration_and_records_and_a_downgrade_is_refused(machine: Machine) -> None:
    other_version(BUNDLE, machine.root / "root/newer", "99.0.0")
    books = transactions(machine)
    assert books
    config = machine.run("sha256sum", "/etc/evse-agent/config.yaml").stdout
    assert "version 99.0.0 is in slot b" in install(machine, "--wheels", "/root/newer/wheels")
    wait_ready(machine)
    assert transactions(machine) == books
    assert machine.run("sha256sum", "/etc/evse-agent/config.yaml").stdout == config
    assert "is older than 99.0.0" in install(machine, check=False)
    assert machine.run("readlink", "/opt/evse-agent/current").stdout.strip() == "slots/b"
    wait_ready(machine)


def test_removal_keeps_what_is_the_owners_and_purge_nothing(machine: Machine) -> None:
    install(machine, "--remove")
    assert not machine.exists("/opt/evse-agent")
    assert not machine.exists("/usr/local/bin/evse-agent")
    for unit in (*UNITS, "evse-console@ttyCON.service"):
        assert machine.property(unit, "LoadState") == "not-found"
        assert machine.property(unit, "ActiveState") == "inactive"
    assert machine.exists("/var/lib/evse-agent/journal.db")
    assert machine.exists("/etc/evse-agent/config.yaml")
    install(machine)
    wait_ready(machine)
    assert transactions(machine)
    install(machine, "--remove", "--purge")
    assert left_over(machine) == ""
