"""Lays wheels into a fresh virtual environment, without pip: a charger need not have one, nor a network.

Sources: the packaging guide's "Binary distribution format" (wheel 1.x) and "Entry points specification".
"""

from __future__ import annotations

import configparser
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

LONGEST_S = 900.0


class WheelError(Exception):
    """A wheel that cannot be laid out. The text names it."""


def build(target: Path, wheels: Sequence[Path], python: str) -> None:
    """Make the environment ``target`` with ``python`` and put every wheel into it. Raises WheelError."""
    _run([python, "-m", "venv", "--without-pip", str(target)])
    found = sorted((target / "lib").glob("python3.*/site-packages"))
    if len(found) != 1:
        raise WheelError(f"{python} made no usual environment in {target}")
    for wheel in wheels:
        try:
            _lay_out(wheel, target, found[0])
        except (zipfile.BadZipFile, OSError, UnicodeError, configparser.Error) as error:
            raise WheelError(f"{wheel.name}: {error}") from None
    _run([str(target / "bin" / "python"), "-I", "-m", "compileall", "-q", "-j", "1", str(found[0])])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LONGEST_S)
    if done.returncode != 0:
        raise WheelError(f"{' '.join(command[:3])} ended with {done.returncode}: {(done.stderr or done.stdout)[-400:]}")


def _lay_out(wheel: Path, target: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if not parts or entry.filename.startswith("/") or ".." in parts:
                raise WheelError(f"{wheel.name} holds {entry.filename!r}, which leads out of the environment")
            if entry.is_dir():
                continue
            place, executable = _destination(parts, target, site)
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, place.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if executable:
                _point_to(place, target)
        names = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        if names:
            _commands(archive.read(names[0]).decode("utf-8"), target)


def _destination(parts: tuple[str, ...], target: Path, site: Path) -> tuple[Path, bool]:
    """Where a file goes, and whether it is a script."""
    if parts[0].endswith(".data") and len(parts) > 2:
        kind, rest = parts[1], parts[2:]
        if kind == "scripts":
            return target / "bin" / Path(*rest), True
        if kind == "data":
            return target / Path(*rest), False
        if kind == "headers":
            return target / "include" / Path(*rest), False
        return site / Path(*rest), False  # purelib, platlib
    return site / Path(*parts), False


def _point_to(script: Path, target: Path) -> None:
    text = script.read_bytes()
    if text.startswith(b"#!python"):
        rest = text.partition(b"\n")[2]
        script.write_bytes(b"#!" + str(target / "bin" / "python").encode() + b"\n" + rest)
    script.chmod(0o755)


def _commands(text: str, target: Path) -> None:
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read_string(text)
    if not points.has_section("console_scripts"):
        return
    for name, value in points.items("console_scripts"):
        module, _, function = value.partition("[")[0].strip().partition(":")
        if "/" in name or not module or not function:
            raise WheelError(f"entry point {name!r} = {value!r} is none")
        script = target / "bin" / name
        script.write_text(
            f"#!{target / 'bin' / 'python'} -I\n"
            f"import sys\nfrom {module} import {function.split('.')[0]}\nsys.exit({function}())\n",
            "utf-8",
        )
        script.chmod(0o755)
