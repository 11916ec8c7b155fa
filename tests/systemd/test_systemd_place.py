"""packaging/place.py: into the free slot, tried there, never older, and without harm when it fails."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MACHINE = f"{platform.machine()}-{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = pytest.mark.process


def bundle(folder: Path, version: str, app: str = "") -> Path:
    """Wheels of a program that has the slots of this one, and little else."""
    (folder / "any").mkdir(parents=True)
    (folder / MACHINE).mkdir()
    with zipfile.ZipFile(folder / "any" / f"evse_agent-{version}-py3-none-any.whl", "w") as wheel:
        for name in ("__init__", "slots/__init__", "slots/guard", "slots/wheels"):
            wheel.write(ROOT / "agent" / f"{name}.py", f"agent/{name}.py")
        wheel.writestr("agent/app.py", app)
        wheel.writestr("agent/control/__init__.py", "")
        wheel.writestr("agent/control/__main__.py", "")
    return folder


def place(root: Path, wheels: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "packaging/place.py", "--root", root, "--wheels", wheels, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return done.returncode, done.stdout + done.stderr


def running(root: Path) -> tuple[str, str]:
    current = root / "current"
    return str(current.readlink()), json.loads((current / "slot.json").read_text("utf-8"))["version"]


def test_an_upgrade_takes_the_other_slot_and_a_repetition_changes_nothing(tmp_path: Path) -> None:
    root, first, second = tmp_path / "opt", bundle(tmp_path / "1", "1.9.0"), bundle(tmp_path / "2", "1.10.0")
    assert place(root, first) == (0, "version 1.9.0 is in slot a\n")
    assert place(root, first) == (0, "version 1.9.0 runs already, from slot a\n")
    assert place(root, second) == (0, "version 1.10.0 is in slot b\n")
    assert running(root) == ("slots/b", "1.10.0")
    assert (root / "slots/a/slot.json").exists()  # the way back
    assert (root / "guard.py").stat().st_mode & 0o111


def test_an_older_version_is_refused_unless_it_is_wanted(tmp_path: Path) -> None:
    root, newer, older = tmp_path / "opt", bundle(tmp_path / "2", "1.10.0"), bundle(tmp_path / "1", "1.9.0")
    place(root, newer)
    status, said = place(root, older)
    assert status == 1
    assert "1.9.0 is older than 1.10.0" in said
    assert running(root) == ("slots/a", "1.10.0")
    assert place(root, older, "--allow-downgrade")[0] == 0
    assert running(root) == ("slots/b", "1.9.0")


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_running(tmp_path: Path) -> None:
    root, good = tmp_path / "opt", bundle(tmp_path / "1", "1.0.0")
    place(root, good)
    status, said = place(root, bundle(tmp_path / "2", "2.0.0", "import nothing_of_that_name"))
    assert status == 1
    assert "nothing_of_that_name" in said
    assert running(root) == ("slots/a", "1.0.0")
    assert not (root / "slots/b").exists()


def test_a_bundle_for_other_machines_names_those(tmp_path: Path) -> None:
    wheels = bundle(tmp_path / "1", "1.0.0")
    (wheels / MACHINE).rename(wheels / "sparc-2.7")
    status, said = place(tmp_path / "opt", wheels)
    assert status == 1
    assert f"no wheels for {MACHINE} (it has: sparc-2.7)" in said


def test_what_has_no_wheel_must_come_from_the_system(tmp_path: Path) -> None:
    wheels = bundle(tmp_path / "1", "1.0.0")
    (wheels / MACHINE / "MISSING").write_text("nothing_of_that_name\n", "ascii")
    status, said = place(tmp_path / "opt", wheels)
    assert status == 1
    assert "apt-get install python3-nothing_of_that_name" in said
    (wheels / MACHINE / "MISSING").write_text("json\n", "ascii")  # there, as python3-yaml is on armhf
    assert place(tmp_path / "opt", wheels)[0] == 0
    assert "include-system-site-packages = true" in (tmp_path / "opt/current/pyvenv.cfg").read_text("utf-8")
