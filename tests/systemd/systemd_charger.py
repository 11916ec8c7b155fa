"""A charger on a machine in a container: what to boot it from, its simulated hardware, and how to ask it.

The hardware is the lab, a program of its own beside the charger, behind ptys. ``tests/systemd/run.sh`` makes what the
variables of the environment name.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from systemd_machine import Machine, unable

ROOT_TAR = Path(os.environ.get("SYSTEMD_ROOT_TAR", "build/charger/root.tar")).absolute()
BUNDLE = Path(os.environ.get("SYSTEMD_BUNDLE", "build/charger/bundle")).absolute()
WORK = Path(os.environ.get("SYSTEMD_WORK", "build/charger")).absolute()
"""Where the machines' disks are unpacked."""
READY_S = 60.0
"""From the command, or from the boot, until a vehicle could charge. For a loaded machine without real cores."""
UNITS = ("evse-control.service", "evse-agent.service")

LAB_UNIT = r"""
[Unit]
Description=Simulated hardware
Before=evse-control.service

[Service]
# What an earlier boot has left must not pass for this one's. Others' terminals may vanish while ours get their rights.
ExecStartPre=/bin/sh -c 'rm -f /srv/lab/config.yaml'
ExecStart=/srv/sim/current/bin/evse-sim lab --dir /srv/lab \
    --set paths.state_dir=/var/lib/evse-agent --set paths.runtime_dir=/run/evse-agent \
    --set authorisation.free_vend=true
ExecStartPost=/bin/sh -c 'until [ -s /srv/lab/config.yaml ]; do sleep 0.1; done; \
    chmod 755 /srv /srv/lab; chmod -f 666 /dev/pts/[0-9]* || true'

[Install]
WantedBy=multi-user.target
"""
PTS = "[Service]\nDeviceAllow=char-pts rw\n"


@contextmanager
def fresh_machine() -> Iterator[Machine]:
    """A machine that has booted, with the bundle in /root/bundle and the lab running; no agent on it yet."""
    why = unable()
    assert not why, f"no machine can run here: {why}"
    with Machine(ROOT_TAR, WORK) as machine:
        machine.boot()
        shutil.copytree(BUNDLE, machine.root / "root/bundle")
        machine.run(
            "python3", "-I", "/root/bundle/packaging/place.py", "--root", "/srv/sim", "--wheels", "/root/bundle/wheels"
        )
        machine.write("/etc/systemd/system/lab.service", LAB_UNIT)
        for unit in ("evse-control.service", "evse-console@.service"):
            machine.write(f"/etc/systemd/system/{unit}.d/lab.conf", PTS)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "enable", "--now", "lab.service")
        yield machine


def other_version(bundle: Path, target: Path, version: str) -> Path:
    """A copy of a bundle whose program calls itself another version."""
    shutil.copytree(bundle, target)
    old = next((target / "wheels/any").glob("evse_agent-*.whl"))
    with (
        zipfile.ZipFile(old) as source,
        zipfile.ZipFile(old.with_name(f"evse_agent-{version}-py3-none-any.whl"), "w") as copy,
    ):
        for entry in source.infolist():
            copy.writestr(entry, source.read(entry))
    old.unlink()
    return target


def install(machine: Machine, *options: str, check: bool = True) -> str:
    done = machine.run("/root/bundle/install.sh", *options, check=check)
    return done.stdout + done.stderr


def status(machine: Machine) -> dict[str, Any]:
    done = machine.run("evse-agent", "status", "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def ready(machine: Machine) -> bool:
    """Control is there, and the outlet waits for a vehicle and for nothing else."""
    found = status(machine)
    if not found or not found["control"]["connected"]:
        return False
    evse = found["evses"][0]
    free = {reason["code"] for reason in evse["reasons"]} <= {"not_plugged", "not_authorised"}
    return free and evse["status"] == "Available" and not evse["faults"]


def wait_ready(machine: Machine) -> None:
    machine.wait(lambda: ready(machine), "readiness to charge", READY_S)


def lab(machine: Machine, *words: str) -> dict[str, Any]:
    out = machine.run("/srv/sim/current/bin/evse-sim", "ctl", "--dir", "/srv/lab", "--json", *words).stdout
    return dict(json.loads(out)) if out.strip().startswith("{") else {}


def closed(machine: Machine) -> bool:
    return bool(status(machine).get("evses", [{}])[0].get("contactor_closed"))


def transactions(machine: Machine) -> list[dict[str, Any]]:
    return list(json.loads(machine.run("evse-agent", "transactions", "--json").stdout)["transactions"])


def charge(machine: Machine) -> None:
    """A whole charge, from plug to plug."""
    lab(machine, "plug", "1")
    machine.wait(lambda: closed(machine), "a closed contactor")
    lab(machine, "unplug", "1")
    wait_ready(machine)


def left_over(machine: Machine) -> str:
    """Names on the disk, users and groups that are ours."""
    folders = ("/etc", "/usr", "/opt", "/var", "/run")
    files = machine.run("find", *folders, "-xdev", "-name", "*evse*", "-not", "-path", "/var/log/journal/*").stdout
    return files + machine.run("grep", "evse", "/etc/passwd", "/etc/group", "/etc/shadow", check=False).stdout
