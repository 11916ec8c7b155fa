"""The units as files: exposure within bounds, every exception explained, nothing forgotten by the installer."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "systemd"
EXPOSURE = {
    "evse-agent.service": 1.5,
    "evse-control.service": 2.5,
    "evse-console@.service": 1.5,
    "evse-slots.service": 1.5,
}
"""Highest 'systemd-analyze security' may give."""
MUST_STAND = {
    "evse-agent.service": {
        "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "PrivateDevices=yes",
        "DevicePolicy=closed",
        "SystemCallFilter=@system-service", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "Type=notify",
        "RestartForceExitStatus=75", "RestartPreventExitStatus=2", "User=evse",
    },
    "evse-control.service": {
        "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "DevicePolicy=closed",
        "PrivateNetwork=yes",
        "SystemCallFilter=@system-service", "RestrictAddressFamilies=AF_UNIX", "Type=notify", "WatchdogSec=3",
        "RestartForceExitStatus=75", "RestartPreventExitStatus=2", "User=evse-control", "LimitMEMLOCK=infinity",
    },
}  # fmt: skip


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", sorted(MUST_STAND))
def test_what_the_sandbox_rests_on_stands_in_the_unit(name: str) -> None:
    assert set(lines(UNITS / name)) >= MUST_STAND[name]


@pytest.mark.parametrize(("name", "most"), sorted(EXPOSURE.items()))
def test_exposure(name: str, most: float, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        print(f"no systemd-analyze here: the exposure of {name} was not measured")
        return
    # A tool that measures nothing would let everything pass.
    (tmp_path / "bare.service").write_text("[Service]\nExecStart=/bin/true\n", "ascii")
    assert exposure(tmp_path / "bare.service") > 9.0
    assert exposure(UNITS / name) <= most


def exposure(unit: Path) -> float:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout + done.stderr)
    assert found is not None, done.stdout
    return float(found[1])


def test_the_installer_puts_every_file_in_its_place() -> None:
    text = (ROOT / "install.sh").read_text("utf-8")
    table = text[text.index("places() {") : text.index("TEXT\n}", text.index("places() {"))]
    named = {line.split()[0] for line in table.splitlines() if "$lib/" in line}
    assert named == {path.name for path in UNITS.iterdir() if path.is_file()}


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: path.name)
def test_users_and_programs_of_the_units_exist(path: Path) -> None:
    users = {line.split()[1] for line in lines(UNITS / "sysusers.conf") if line.startswith("u ")}
    scripts = re.findall(r"(?m)^    (evse-[a-z]+) = ", (ROOT / "setup.cfg").read_text("utf-8"))
    for line in lines(path):
        key, _, value = line.partition("=")
        if key == "User":
            assert value in users
        if key.startswith("Exec") and "/current/bin/" in value:
            assert value.split("/current/bin/")[1].split()[0] in scripts


def test_every_opening_of_the_sandbox_tells_what_it_is_for_and_where_to_put_it() -> None:
    examples = sorted((UNITS / "examples").glob("*.conf"))
    assert examples
    for path in examples:
        text = path.read_text("utf-8")
        assert "/etc/systemd/system/evse-" in text.split("\n[")[0]
        assert path.name in (ROOT / "docs/install.md").read_text("utf-8")
