#!/usr/bin/env python3
"""Puts the program into the slot that does not run, tries it, and lets ``current`` lead to it. Run by install.sh.

    place.py --root /opt/evse-agent --wheels DIR [--allow-downgrade]

DIR holds ``any/`` with wheels of pure Python and ``MACHINE-PYTHON/`` (like ``x86_64-3.11/``) with the others. Needs
Python alone, no pip and no network: what lays out and guards the slots is taken from the wheel that is to be installed.
The layout is that of ``agent.slots.guard``. Exit status 0: done, or it runs already. 1: refused; the old one stays.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

FROM_THE_SYSTEM = {"PyYAML": "yaml", "cffi": "_cffi_backend"}
"""Distributions that a machine may bring itself where there is no wheel for it: what to import to find out."""
DEBIAN_NAMES = {"PyYAML": "python3-yaml", "cffi": "python3-cffi-backend"}
PROBE_S = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description="put the program into the slot that does not run")
    parser.add_argument("--root", type=Path, default=Path("/opt/evse-agent"))
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--allow-downgrade", action="store_true")
    options = parser.parse_args()
    try:
        print(place(options.root, options.wheels, options.allow_downgrade))
    except RefusedError as error:
        print(f"place: {error}", file=sys.stderr)
        return 1
    return 0


class RefusedError(Exception):
    """Nothing was changed. The text says why, and the remedy."""


def place(root: Path, folder: Path, allow_downgrade: bool) -> str:
    """Return what was done, in words. Raises RefusedError."""
    wheels, missing = choose(folder)
    own = next(path for path in wheels if path.name.startswith("evse_agent-"))
    sys.path.insert(0, str(own))
    from agent.slots.guard import NAMES, Slots, sync_folder, write_whole
    from agent.slots.wheels import WheelError, build

    version = own.name.split("-")[1]
    digest = identity(wheels)
    (root / "slots").mkdir(mode=0o755, parents=True, exist_ok=True)
    slots = Slots(root)
    with slots.locked():
        running = slots.running()
        about = (slots.about(running) if running else None) or {}
        if about.get("bundle") == digest:
            return f"version {version} runs already, from slot {running}"
        if about and not allow_downgrade and older(version, str(about["version"])):
            raise RefusedError(
                f"version {version} is older than {about['version']}, which is installed; its journal cannot "
                "be read by an older version. Restore a backup of the state and give --allow-downgrade"
            )
        target = next(name for name in NAMES if name != running)
        slot = slots.place(target)
        (slot / "slot.json").unlink(missing_ok=True)  # first: half a slot must not look complete
        shutil.rmtree(slot, ignore_errors=True)
        try:
            build(slot, wheels, sys.executable)
            if missing:
                use_system_packages(slot)
            probe(slot)
        except (WheelError, OSError, subprocess.SubprocessError, RefusedError) as error:
            shutil.rmtree(slot, ignore_errors=True)
            raise RefusedError(f"the new version could not be put in place: {error}") from None
        os.sync()
        write_whole(slot / "slot.json", json.dumps({"version": version, "bundle": digest}))
        copy_guard(slot, root)
        write_whole(root / "slots.json", "{}")  # by a person's hand: there is nothing to prove
        fresh = root / ".current.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("slots") / target)
        fresh.replace(root / "current")
        sync_folder(root)
    return f"version {version} is in slot {target}"


def choose(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the wheels for this machine, and the distributions that its own system must bring. Raises RefusedError."""
    machine = f"{platform.machine()}-{sys.version_info.major}.{sys.version_info.minor}"
    place = folder / machine
    if not place.is_dir():
        there = ", ".join(sorted(path.name for path in folder.iterdir() if path.name != "any")) or "none"
        raise RefusedError(f"this bundle has no wheels for {machine} (it has: {there}); make one with 'make bundle'")
    wheels = sorted([*(folder / "any").glob("*.whl"), *place.glob("*.whl")])
    if not any(path.name.startswith("evse_agent-") for path in wheels):
        raise RefusedError(f"{folder} holds no wheel of evse-agent; make the bundle again")
    note = place / "MISSING"
    missing = note.read_text("ascii").split() if note.exists() else []
    absent = [name for name in missing if importlib.util.find_spec(FROM_THE_SYSTEM.get(name, name)) is None]
    if absent:
        names = " ".join(DEBIAN_NAMES.get(name, f"python3-{name.lower()}") for name in absent)
        raise RefusedError(f"there are no wheels of {', '.join(absent)} for {machine}; first: apt-get install {names}")
    return wheels, missing


def identity(wheels: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in wheels:
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def older(version: str, installed: str) -> bool:
    """Whether the numbers of one are lower. Pre-releases of one number count as equal."""

    def numbers(text: str) -> list[int]:
        found = re.match(r"\d+(?:\.\d+)*", text)
        return [int(part) for part in found[0].split(".")] if found else []

    return numbers(version) < numbers(installed)


def use_system_packages(slot: Path) -> None:
    configuration = slot / "pyvenv.cfg"
    text = configuration.read_text("utf-8")
    configuration.write_text(
        re.sub(r"(?m)^include-system-site-packages = false$", "include-system-site-packages = true", text), "utf-8"
    )


def probe(slot: Path) -> None:
    """The new version's own interpreter must be able to load both processes. Raises RefusedError."""
    command = [str(slot / "bin" / "python"), "-I", "-B", "-c", "import agent.app, agent.control.__main__"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PROBE_S)
    if done.returncode != 0:
        raise RefusedError(f"it cannot be loaded: {done.stderr.strip()[-400:]}")


def copy_guard(slot: Path, root: Path) -> None:
    """The guard of the slots lies outside of them, so that a slot that is broken cannot break it."""
    found = sorted(slot.glob("lib/python3.*/site-packages/agent/slots/guard.py"))
    fresh = root / ".guard.py.new"
    shutil.copyfile(found[0], fresh)
    fresh.chmod(0o755)
    fresh.replace(root / "guard.py")


if __name__ == "__main__":
    sys.exit(main())
