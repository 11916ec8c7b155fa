"""The example installer that swaps virtual environments, run as the agent runs it, on a folder of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "installers" / "venv_swap.py"


def package(place: Path, version: str, body: str) -> Path:
    """Make a file to install: a tar with one wheel of one module."""
    name, info = f"demo-{version}-py3-none-any.whl", f"demo-{version}.dist-info"
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo.py", body)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"demo.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    path = place / f"demo-{version}.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(wheel.getvalue())
        archive.addfile(entry, io.BytesIO(wheel.getvalue()))
    return path


class Charger:
    def __init__(self, place: Path) -> None:
        self.root = place / "opt"
        self.root.mkdir()

    def run(self, *words: str) -> int:
        command = [
            sys.executable,
            str(SCRIPT),
            "--root",
            str(self.root),
            "--probe",
            "{venv}/bin/python -c 'import demo'",
        ]
        done = subprocess.run([*command, *words], check=False, capture_output=True, text=True, timeout=100)
        self.said = done.stdout + done.stderr
        assert "Traceback" not in self.said, self.said
        return done.returncode

    def running(self) -> str:
        """What the environment that `current` names says of itself."""
        python = self.root / "current" / "bin" / "python"
        done = subprocess.run(
            [str(python), "-c", "import demo; print(demo.VERSION)"], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@pytest.fixture
def charger(tmp_path: Path) -> Charger:
    charger = Charger(tmp_path)
    assert charger.run("install", str(package(tmp_path, "1", "VERSION = 'one'"))) == 10, charger.said
    assert charger.run("check") == 0
    assert charger.run("confirm") == 0, charger.said
    assert charger.running() == "one"
    return charger


def test_a_version_that_proves_itself_stays_and_one_that_does_not_goes(charger: Charger, tmp_path: Path) -> None:
    two = package(tmp_path, "2", "VERSION = 'two'")
    assert charger.run("install", str(two)) == 10, charger.said
    assert charger.running() == "two"
    # It is started again and again and never becomes healthy.
    for _ in range(3):
        assert charger.run("check") == 0
        assert charger.running() == "two"
    assert charger.run("check") == 0
    assert charger.running() == "one"
    # Whoever asks now hears the truth, and nothing is left to go back from.
    assert charger.run("confirm") == 1
    assert charger.run("roll-back") == 1
    # The same file may be tried again, and this time it proves itself.
    assert charger.run("install", str(two)) == 10, charger.said
    assert charger.run("check") == 0
    assert charger.run("confirm") == 0
    assert charger.run("check") == 0
    assert charger.running() == "two"
    assert charger.run("install", str(two)) == 0


def test_a_bad_file_or_a_version_that_does_not_import_changes_nothing(charger: Charger, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00" * 4000)
    assert charger.run("install", str(garbage)) == 11, charger.said
    assert charger.run("install", str(package(tmp_path, "3", "raise SystemExit(3)"))) == 1
    assert charger.running() == "one"
    assert len(list((charger.root / "versions").iterdir())) == 1


def test_power_that_goes_in_the_middle_leaves_a_version_that_runs(charger: Charger, tmp_path: Path) -> None:
    # The environment half made, the note written, the link not moved yet.
    (charger.root / "versions" / "half").mkdir()
    old = (charger.root / "current").readlink().name
    (charger.root / "pending.json").write_text(json.dumps({"new": "half", "old": old, "starts": 0}))
    assert charger.run("check") == 0
    assert charger.run("confirm") == 1
    assert charger.running() == "one"
    assert charger.run("install", str(package(tmp_path, "2", "VERSION = 'two'"))) == 10, charger.said
    assert charger.run("roll-back") == 0
    assert charger.running() == "one"
