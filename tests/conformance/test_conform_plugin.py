"""The kit as a pytest class: what a third party writes, run by a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HEAD = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from toy_board import ToyBoard, ToyOptions, driver
from hal.conformance.peer_process import ProcessPeer
from hal.conformance.plugin import DriverConformance

class TestToy(DriverConformance):
    driver = driver(ToyBoard)
"""
PEER = f"""
    def peer(self):
        return ProcessPeer("toy_board:ToyCounterpart", path=(Path({str(HERE)!r}),))
"""
OPTIONS = """
    def options(self, peer):
        return ToyOptions(peer.options["port"])
"""


def run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a file of that text, with nothing but the plug-in."""
    (folder / "test_toy.py").write_text(text, encoding="utf-8")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            *_plugin(),
            *arguments,
            "test_toy.py",
        ],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def _plugin() -> list[str]:
    """Name the plug-in, unless this installation knows its entry point already."""
    from importlib.metadata import entry_points

    known = any(point.value == "hal.conformance.plugin" for point in entry_points(group="pytest11"))
    return [] if known else ["-p", "hal.conformance.plugin"]


@pytest.mark.process
def test_a_driver_is_examined_check_by_check_and_the_report_is_written(tmp_path: Path) -> None:
    done = run(tmp_path, HEAD + PEER + OPTIONS, "--driver-report", "report.txt")
    assert "18 passed" in done.stdout, done.stdout
    report = (tmp_path / "report.txt").read_text(encoding="utf-8")
    assert "18 pass, 0 FAIL, 0 n/a" in report
    assert max(map(len, report.splitlines())) <= 100


@pytest.mark.process
@pytest.mark.parametrize(("text", "says"), [(HEAD + OPTIONS, "has no peer()"), (HEAD + PEER, "has no options()")])
def test_a_missing_peer_does_not_pass(tmp_path: Path, text: str, says: str) -> None:
    done = run(tmp_path, text)
    assert done.returncode == 1
    assert says in done.stdout
    assert "passed" not in done.stdout


@pytest.mark.process
def test_a_check_that_was_declared_not_applicable_but_was_made_fails(tmp_path: Path) -> None:
    declared = '\n    not_applicable = {"silence": "it is never silent"}\n'
    done = run(tmp_path, HEAD + PEER + OPTIONS + declared)
    assert "1 failed, 17 passed" in done.stdout, done.stdout
    assert "take it out" in done.stdout


@pytest.mark.process
def test_a_check_that_could_not_be_made_must_be_declared(tmp_path: Path) -> None:
    hidden = "\nimport hal.conformance.wires as wires\nwires.WIRES.clear()\nwires._is_serial = lambda value: False\n"
    done = run(tmp_path, HEAD + PEER + OPTIONS + hidden)
    assert "declare it in not_applicable" in done.stdout, done.stdout
    assert "8 failed, 10 passed" in done.stdout, done.stdout


def test_the_plug_in_loads_little() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import hal.conformance.plugin;"
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith(('hal', 'agent', 'serial'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"hal", "hal.conformance", "hal.conformance.findings", "hal.conformance.plugin"}


def test_nothing_that_control_loads_imports_the_kit() -> None:
    root = HERE.parents[1]
    places = [*(root / "hal").rglob("*.py"), *(root / "agent" / "control").rglob("*.py")]
    outside = [path for path in places if "conformance" not in path.parts]
    assert len(outside) > 50
    assert [path for path in outside if "hal.conformance" in path.read_text(encoding="utf-8")] == []
