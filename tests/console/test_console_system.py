"""log, export, restart, update, version: over a terminal, with the real processes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from technician import Technician

from agent.update.local_file import copy_in
from simulators.charger import Charger
from simulators.csms.process import CsmsProcess
from simulators.lab.process import Lab

PASSWORD = "sixteen or more characters"


@pytest.fixture(scope="module")
def charger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charger]:
    directory = tmp_path_factory.mktemp("system") / "site"
    settings: dict[str, Any] = {
        "control.realtime_priority": 0,
        "ocpp.password": PASSWORD,
        "ocpp.back_off_minimum_s": 0.2,
        "update.install": ["/bin/cp", "{file}", str(directory / "installed")],
    }
    with (
        CsmsProcess(directory / "csms") as csms,
        Lab(directory, settings, evses=1, csms=csms.url) as lab,
        Charger(lab.config_path) as charger,
    ):
        charger.start("run")
        charger.wait_accepted(60)
        yield charger


def socket_of(charger: Charger) -> str:
    return str(charger.directory / "run" / "api.sock")


def console(charger: Charger) -> Technician:
    return Technician(["--socket", socket_of(charger)])


def batch(charger: Charger, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.console", "--batch", "-", "--keep-going", "--socket", socket_of(charger)],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.mark.process
def test_logs_are_read_and_followed(charger):
    charger.wait_accepted()
    with console(charger) as technician:
        technician.wait("service> ")
        technician.do("version", r"evse-agent \d")
        technician.do("log 5", "INFO")
        assert "uplink is accepted" in technician.do("log 200 --since 1h", "accepted")
        technician.do("log audit")
        technician.do("log nowhere", "there are agent, security")
        technician.do("log --since yesterday", "is no time")
        technician.line("log follow")
        technician.wait("INFO")
        charger.call("link.set", online=False)
        technician.wait("offline.by")
        technician.send("q")
        technician.wait("service> ")
        charger.call("link.set", online=True)
        charger.wait_accepted()


@pytest.mark.process
def test_a_bundle_holds_what_is_needed_and_no_secret(charger, tmp_path):
    charger.wait_accepted()
    done = batch(charger, f"export {tmp_path} --json", "export -")
    first, *lines = done.stdout.splitlines()
    told = json.loads(first)
    data = Path(told["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == told["sha256"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = {Path(name).name for name in archive.getnames()}
        whole = b"".join(archive.extractfile(one).read() for one in archive.getmembers() if one.isfile())
    assert {"config.yaml", "config.json", "status.json", "journal.json", "agent.log", "checks.json"} <= names
    assert {"versions.json", "agent.json", "settings.json"} <= names
    assert PASSWORD.encode() not in whole
    begin = re.fullmatch(r"-----BEGIN EVSE-AGENT FILE name=(\S+) length=(\d+) sha256=(\w+)-----", lines[0])
    assert begin is not None
    carried = base64.b64decode("".join(lines[1:-1]), validate=True)
    assert hashlib.sha256(carried).hexdigest() == begin[3]


@pytest.mark.process
def test_both_processes_start_anew_when_asked(charger):
    status = charger.wait_accepted()
    before = status["control"]["instance"]
    with console(charger) as technician:
        technician.wait("service> ")
        technician.line("restart control")
        technician.wait("Type 'yes'")
        technician.line("no")
        technician.wait("left off")
        technician.do("restart control --yes", "Control starts anew")
        charger.wait_for(lambda s: s["control"]["instance"] not in ("", before), "control anew", 60)
        technician.do("restart agent --yes", "The agent has started anew", 90)
        charger.wait_accepted(60)
        technician.do("status", "LAB-0001")
        technician.do("reboot --yes", "The agent alone starts anew.*has started anew", 90)
        charger.wait_accepted(60)


@pytest.mark.process
def test_an_update_comes_from_a_file(charger, tmp_path):
    charger.wait_accepted()
    image = tmp_path / "new version.bin"
    image.write_bytes(b"version 2" * 1000)
    assert "is no file" in batch(charger, f"update {tmp_path} --yes").stdout.replace("Is a directory", "is no file")
    done = batch(charger, f"update '{image}' --yes --json")
    assert done.returncode == 0, done.stdout
    charger.wait_for(lambda s: (charger.directory / "installed").exists(), "installed", 60)
    assert (charger.directory / "installed").read_bytes() == image.read_bytes()
    image.with_name(image.name + ".sig").write_text("AAAA")
    image.with_name(image.name + ".pem").write_text("no certificate")
    charger.wait_accepted(60)
    assert "certificate is not good" in batch(charger, f"update '{image}' --yes").stdout
    assert "new version.bin" in (charger.directory / "state" / "security" / "audit.log").read_text()


def test_a_file_is_copied_whole_or_not_at_all(tmp_path):
    source, target = tmp_path / "source", tmp_path / "update" / "image"
    source.write_bytes(b"x" * 3_000_000)
    seen: list[tuple[int, int | None]] = []
    assert copy_in(source, target, 4_000_000, lambda done, total: seen.append((done, total))) == ""
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o077 == 0
    assert seen[-1] == (3_000_000, 3_000_000)
    assert "allows" in copy_in(source, tmp_path / "other", 1000, lambda *_: None)
    assert "No such file" in copy_in(tmp_path / "none", tmp_path / "other", 1000, lambda *_: None)
    assert "is no file" in copy_in(Path("/dev/null"), tmp_path / "other", 1000, lambda *_: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "update"]


def test_the_network_cannot_name_a_local_file():
    from agent.config.schema import TRANSFER_PROTOCOLS
    from agent.files.address import AddressError, parse

    with pytest.raises(AddressError):
        parse("file:///etc/passwd", TRANSFER_PROTOCOLS)
