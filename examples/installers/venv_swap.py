#!/usr/bin/env python3
"""Installs a new version of the agent as a virtual environment beside the old one, and goes back if it fails.

    <root>/versions/<name>/     one virtual environment per version
    <root>/current              symbolic link to the one that runs
    <root>/pending.json         a version that has yet to prove itself, and the one before it

The file to install is a tar (plain, gz or xz) of wheels: the agent's own and all that it needs.

    venv_swap.py --root R install FILE   make the environment, try it, move the link. Exit 10: restart needed
    venv_swap.py --root R check          before each start of the agent: a version that was started too often without
                                         being confirmed is taken back
    venv_swap.py --root R confirm        exit 0 when the new version runs; it stays then
    venv_swap.py --root R roll-back      take a version back that has not been confirmed

Every step may be cut short by a loss of power: the link moves in one rename, and what was half made is made anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

EXIT_RESTART_NEEDED = 10
EXIT_BAD_FILE = 11

MAX_STARTS = 3
KEEP_OLD = 1


class InstallError(Exception):
    """The text says what went wrong; ``status`` is how the command ends."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class Place:
    def __init__(self, root: Path, python: str, probe: list[str]) -> None:
        self.versions = root / "versions"
        self.current = root / "current"
        self.pending = root / "pending.json"
        self._python = python
        self._probe = probe

    # ---- the four commands ----

    def install(self, file: Path) -> int:
        """Make the environment of this file and move the link to it."""
        name = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        target = self.versions / name
        if self._running() == name and not self._read():
            print(f"{name} runs already")
            return 0
        note = self._read()
        # Where to go back to: the last version that proved itself.
        old = note["old"] if note and self._running() == note["new"] else self._running()
        if self._running() != name:
            shutil.rmtree(target, ignore_errors=True)
            self.versions.mkdir(parents=True, exist_ok=True)
            self._build(file, target)
            self._try(target)
        # First the note, then the link: power may go between them, and `check` then finds the link where it was.
        self._write({"new": name, "old": old, "starts": 0})
        self._link(name)
        print(f"{name} is in place, {old or 'nothing'} was before it")
        return EXIT_RESTART_NEEDED

    def check(self) -> int:
        """Count a start of a version that is not confirmed; take it back when there were too many."""
        note = self._read()
        if not note:
            return 0
        if self._running() != note["new"]:
            self.pending.unlink(missing_ok=True)
            return 0
        if note["starts"] >= MAX_STARTS:
            print(f"{note['new']} was started {note['starts']} times and never became healthy")
            return self.roll_back()
        self._write({**note, "starts": note["starts"] + 1})
        return 0

    def confirm(self) -> int:
        """The agent is healthy. Only the new version, running, may say so."""
        note = self._read()
        if not note or self._running() != note["new"]:
            print("the version that was installed is not the one that runs")
            return 1
        self.pending.unlink()
        self._sync()
        keep = {note["new"], note["old"]} if KEEP_OLD else {note["new"]}
        for folder in self.versions.iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        return 0

    def roll_back(self) -> int:
        note = self._read()
        if not note:
            print("nothing waits for its proof")
            return 1
        if note["old"] is None or not (self.versions / note["old"]).is_dir():
            raise InstallError("there is no version to go back to")
        self._link(note["old"])
        self.pending.unlink(missing_ok=True)
        self._sync()
        print(f"back to {note['old']}")
        return 0

    # ---- parts ----

    def _build(self, file: Path, target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.versions) as scratch:
            wheels = Path(scratch)
            try:
                with tarfile.open(file) as archive:
                    for member in archive:
                        name = Path(member.name).name
                        if not member.isfile() or not name.endswith(".whl"):
                            raise InstallError(f"{file}: {member.name} is no wheel", EXIT_BAD_FILE)
                        source = archive.extractfile(member)
                        assert source is not None
                        with (wheels / name).open("wb") as copy:
                            shutil.copyfileobj(source, copy)
            except tarfile.TarError as error:
                raise InstallError(f"{file}: {error}", EXIT_BAD_FILE) from None
            found = [str(path) for path in wheels.glob("*.whl")]
            if not found:
                raise InstallError(f"{file} holds no wheels", EXIT_BAD_FILE)
            self._run([self._python, "-m", "venv", "--without-pip", str(target)])
            pip = [self._python, "-m", "pip", "--python", str(target / "bin/python"), "install"]
            self._run([*pip, "--quiet", "--no-index", "--no-compile", "--find-links", scratch, *found])
            self._run([str(target / "bin/python"), "-m", "compileall", "-q", str(target / "lib")])

    def _try(self, target: Path) -> None:
        command = [word.replace("{venv}", str(target)) for word in self._probe]
        try:
            self._run(command)
        except InstallError:
            shutil.rmtree(target, ignore_errors=True)
            raise

    @staticmethod
    def _run(command: list[str]) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise InstallError(
                f"{' '.join(command[:4])} ended with {done.returncode}: {(done.stderr or done.stdout)[-400:]}"
            )

    def _running(self) -> str | None:
        return self.current.readlink().name if self.current.is_symlink() else None

    def _link(self, name: str) -> None:
        fresh = self.current.with_name(".current.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(f"versions/{name}")
        os.sync()  # the environment must be on the disk before anything points to it
        fresh.replace(self.current)
        self._sync()

    def _read(self) -> dict[str, Any]:
        try:
            note = json.loads(self.pending.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and {"new", "old", "starts"} <= note.keys() else {}

    def _write(self, note: dict[str, Any]) -> None:
        fresh = self.pending.with_name(".pending.new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(note, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.pending)
        self._sync()

    def _sync(self) -> None:
        folder = os.open(self.pending.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description="install a version of the agent beside the old one")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable, help="interpreter (with pip) that makes environments")
    parser.add_argument(
        "--probe",
        default="{venv}/bin/python -I -c 'import agent.app, agent.control.__main__'",
        help="command that must succeed in a new environment before it is used",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install").add_argument("file", type=Path)
    for name in ("check", "confirm", "roll-back"):
        commands.add_parser(name)
    options = parser.parse_args()
    place = Place(options.root, options.python, shlex.split(options.probe))
    try:
        if options.command == "install":
            return place.install(options.file)
        return {"check": place.check, "confirm": place.confirm, "roll-back": place.roll_back}[options.command]()
    except InstallError as failure:
        print(failure)
        return failure.status
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{options.command}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
