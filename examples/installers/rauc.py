#!/usr/bin/env python3
"""Installs a RAUC bundle into the other slot; the boot loader goes back by itself when it does not start.

    rauc.py --state DIR install FILE     exit 10: a reboot is needed (update.restart: [systemctl, reboot])
    rauc.py --state DIR confirm          exit 0 when the new slot is the one that runs; it is marked good then
    rauc.py --state DIR roll-back        mark the running slot bad, so that the next boot takes the old one

RAUC checks the bundle's own signature by the keyring of the system, besides what the agent has checked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

EXIT_RESTART_NEEDED = 10
EXIT_BAD_FILE = 11


def rauc(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["rauc", *words], check=False, capture_output=True, text=True, timeout=3600)
    for line in (done.stdout + done.stderr).splitlines():
        print(line)
    return done


def booted() -> str:
    """Return the name of the slot that runs."""
    done = subprocess.run(
        ["rauc", "status", "--output-format=json"], check=True, capture_output=True, text=True, timeout=60
    )
    return str(json.loads(done.stdout)["booted"])


def install(note: Path, file: Path) -> int:
    if rauc("info", str(file)).returncode != 0:
        return EXIT_BAD_FILE
    if rauc("install", str(file)).returncode != 0:
        return 1
    fresh = note.with_name(f".{note.name}.new")
    with fresh.open("w", encoding="utf-8") as out:
        json.dump({"installed_from": booted()}, out)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(note)
    return EXIT_RESTART_NEEDED


def confirm(note: Path) -> int:
    try:
        before = str(json.loads(note.read_text("utf-8"))["installed_from"])
    except (OSError, ValueError, KeyError):
        print("nothing was installed")
        return 1
    if booted() == before:
        print("the old slot runs: the new one did not start")
        return 1
    status = rauc("status", "mark-good").returncode
    if status == 0:
        note.unlink()
    return status


def roll_back(note: Path) -> int:
    note.unlink(missing_ok=True)
    return rauc("status", "mark-bad").returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="install RAUC bundles for the agent")
    parser.add_argument("--state", type=Path, required=True, help="folder that both slots share")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install").add_argument("file", type=Path)
    commands.add_parser("confirm")
    commands.add_parser("roll-back")
    options = parser.parse_args()
    note = options.state / "rauc-update.json"
    try:
        if options.command == "install":
            return install(note, options.file)
        return confirm(note) if options.command == "confirm" else roll_back(note)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        print(f"{options.command}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
