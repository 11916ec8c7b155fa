"""What the sandboxes of the units forbid, tried from inside: ``sandbox_probe.py`` runs under a unit's own settings.

So that a denial says something, the same is tried outside of any sandbox, too: by root, and by a user without rights.
What fails even there is listed, for there the probe proves nothing. Part of ``make test-systemd``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_charger import fresh_machine, install, wait_ready
from systemd_machine import Machine

pytestmark = pytest.mark.timeout(300)

NODES = {"tun": "c 10 200", "loop": "b 7 0", "fuse": "c 10 229", "ttyS": "c 4 67"}
"""Devices that most kernels have, in /srv/nodes and open to everybody: nothing but the filter is in the way."""
OTHER_DEVICES = ("device tun", "device loop", "device fuse")

RIGHTS_OF_ROOT = (
    "write /etc", "write /usr", "write the program", "write /var/lib", "write a home", "read /etc/shadow", "mount",
    "packet socket", "host name",
)  # fmt: skip
RIGHTS_OF_ALL = (
    "see other processes", "netlink socket", "trace", "personality", "set-user-id file", "code that it wrote",
)  # fmt: skip
MAY_BE_DENIED_OUTSIDE = ("CAN socket", "set the clock", "new namespaces")
"""A kernel without CAN, or the container itself, denies these to everybody."""
DENIED = (*RIGHTS_OF_ROOT, *RIGHTS_OF_ALL, *MAY_BE_DENIED_OUTSIDE, *OTHER_DEVICES)
FORBIDDEN_CALLS = {
    "init_module",
    "finit_module",
    "ptrace",
    "bpf",
    "mount",
    "kexec_load",
    "reboot",
    "swapon",
    "settimeofday",
}
PROBE = "/opt/evse-agent/current/bin/python -I /srv/probe.py"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with fresh_machine() as machine:
        install(machine, "--config", "/srv/lab/config.yaml")
        wait_ready(machine)
        machine.put(Path(__file__).parent / "sandbox_probe.py", "/srv/probe.py")
        machine.run("mkdir", "-p", "/srv/nodes")
        for name, numbers in NODES.items():
            machine.run("mknod", "-m", "666", f"/srv/nodes/{name}", *numbers.split())
        machine.run("chmod", "755", "/srv", "/srv/nodes")
        yield machine


def probe(machine: Machine, settings: str) -> dict[str, str]:
    """What the settings of a unit let happen."""
    machine.write("/run/systemd/system/probe.service", settings)
    machine.run("systemctl", "daemon-reload")
    machine.run("sh", "-c", ": > /run/evse-agent/decoy-control; chown evse-control /run/evse-agent/decoy-control")
    machine.run("systemctl", "start", "probe.service", check=False)
    said = machine.journal("probe.service")
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert lines, said
    return dict(json.loads(lines[-1]))


def settings_of(machine: Machine, unit: str) -> str:
    """A unit with all of its settings, but what it runs and what happens then."""
    text = (machine.root / "usr/local/lib/systemd/system" / unit).read_text("utf-8")
    dropped = ("ExecStart", "ExecStop", "Type=", "WatchdogSec=", "Restart", "OnFailure=", "WantedBy=", "[Install]")
    lines = [line for line in text.splitlines() if not line.startswith(dropped)]
    return "\n".join(lines).replace("[Service]", f"[Service]\nType=oneshot\nExecStart={PROBE}")


def test_outside_of_a_sandbox_the_probe_gets_through(machine: Machine) -> None:
    root = probe(machine, f"[Service]\nType=oneshot\nExecStart={PROBE}\n")
    user = probe(machine, f"[Service]\nType=oneshot\nUser=evse\nExecStart={PROBE}\n")
    expected = dict.fromkeys((*RIGHTS_OF_ROOT, *RIGHTS_OF_ALL, *OTHER_DEVICES), "done")
    assert {what: root[what] for what in expected} == expected
    expected = dict.fromkeys((*RIGHTS_OF_ALL, *OTHER_DEVICES, "internet socket"), "done")
    assert {what: user[what] for what in expected} == expected
    denied = {what: root[what] for what in MAY_BE_DENIED_OUTSIDE if root[what] != "done"}
    print(f"\nthis container denies even to root, so that here the sandbox is not seen: {denied}")


@pytest.mark.parametrize(
    ("unit", "may", "may_not"),
    [
        (
            "evse-control.service",
            ("write control's state", "write the runtime folder", "read the configuration"),
            ("write the agent's state", "read the journal", "write the configuration", "internet socket"),
        ),
        (
            "evse-agent.service",
            ("write the agent's state", "write the runtime folder", "read the configuration", "read the journal",
             "internet socket", "write the configuration", "link to control", "local API"),
            ("write control's state", "real-time priority", "remove control's socket", "device ttyS"),
        ),
    ],
)  # fmt: skip
def test_what_is_denied_from_inside(
    machine: Machine, unit: str, may: tuple[str, ...], may_not: tuple[str, ...]
) -> None:
    found = probe(machine, settings_of(machine, unit))
    assert {what: found[what] for what in may} == dict.fromkeys(may, "done")
    let_through = {what: found[what] for what in (*DENIED, *may_not) if found[what] == "done"}
    assert let_through == {}
    # By the filter, not because there is no such device: that would be another error.
    assert {found[what] for what in OTHER_DEVICES} == {"Operation not permitted"}
    assert int(found["capabilities"], 16) == 0
    if unit == "evse-control.service":
        assert found["interfaces"] == "lo"
        assert found["device ttyS"] != "Operation not permitted"  # may be absent, but the filter lets it through


@pytest.mark.parametrize("unit", ["evse-control.service", "evse-agent.service", "evse-console@x.service"])
def test_what_the_service_manager_has_understood(machine: Machine, unit: str) -> None:
    """What this container denies to everybody cannot be seen from inside: the list that is applied can."""
    allowed = set(machine.property(unit, "SystemCallFilter").split())
    through = FORBIDDEN_CALLS & allowed
    assert through == set()
    assert "write" in allowed  # it is a list of what is allowed, and not empty
    assert machine.property(unit, "DevicePolicy") == "closed"
    assert machine.property(unit, "CapabilityBoundingSet") == ""
    assert machine.property(unit, "NoNewPrivileges") == "yes"
