#!/usr/bin/env python3
"""Makes a bundle: everything that a charger needs to install without a network, for several machines in one tar.

    make_bundle.py [--out DIR] [--machines x86_64,aarch64,armv7l] [--pythons 3.11,3.13] [--roots DIR]

The bundle holds install.sh, units, the example of a configuration, and wheels: the agent's own, built here, and the
pinned ones of what it depends on, as far as the package index has them for a machine. What it lacks is named in the
file MISSING beside them, and must come from the machine's own system (docs/install.md).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORMS = {
    "x86_64": [f"manylinux_2_{minor}_x86_64" for minor in (17, 28, 31, 34)] + ["manylinux2014_x86_64"],
    "aarch64": [f"manylinux_2_{minor}_aarch64" for minor in (17, 28, 31, 34)] + ["manylinux2014_aarch64"],
    "armv7l": [f"manylinux_2_{minor}_armv7l" for minor in (17, 28, 31, 34, 35, 36)] + ["manylinux2014_armv7l"],
}
"""Machine as the kernel names it: what glibc of Debian 12 can run."""
MAY_LACK = {"armv7l": {"PyYAML", "cffi"}}
"""Without wheels on the index; Debian has them (docs/install.md). Any other gap is a failure."""
SOURCES = ("agent", "hal", "simulators", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
CARRIED = ("install.sh", "config.example.yaml", "constraints.txt", "LICENSE", "docs/install.md")
FOLDERS = ("systemd", "packaging")


def main() -> int:
    parser = argparse.ArgumentParser(description="make a bundle to install from without a network")
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    parser.add_argument("--machines", default=",".join(PLATFORMS))
    parser.add_argument("--pythons", default="3.11,3.13")
    parser.add_argument("--roots", type=Path, metavar="DIR", help="the manufacturer's roots (*.pem), for updates")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evse-bundle-") as folder:
        scratch = Path(folder)
        own = build_own(scratch)
        name = f"evse-agent-{own.name.split('-')[1]}-bundle"
        tree = scratch / name
        (tree / "wheels" / "any").mkdir(parents=True)
        shutil.copy(own, tree / "wheels" / "any")
        for machine in options.machines.split(","):
            for python in options.pythons.split(","):
                missing = fetch(own, tree / "wheels", machine, python)
                print(f"{machine}, Python {python}: " + (f"lacks {', '.join(missing)}" if missing else "complete"))
        carry(tree)
        for pem in sorted(options.roots.glob("*.pem")) if options.roots else ():
            (tree / "manufacturer").mkdir(exist_ok=True)
            shutil.copy(pem, tree / "manufacturer")
        options.out.mkdir(parents=True, exist_ok=True)
        target = options.out / f"{name}.tar"
        pack(tree, target)
        print(target)
    return 0


def run(*command: str, quiet: bool = False) -> bool:
    done = subprocess.run(command, check=False, capture_output=quiet, text=True)
    return done.returncode == 0


def build_own(scratch: Path) -> Path:
    """Build from a copy: the checkout's own build folder may hold what is no longer part of it."""
    copy = scratch / "source"
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")
    if not run(*pip, "wheel", "--no-deps", "--wheel-dir", str(scratch / "own"), str(copy)):
        raise SystemExit("the wheel of evse-agent could not be built; what pip says stands above")
    return next((scratch / "own").glob("evse_agent-*.whl"))


@cache
def requirements(own: Path) -> list[str]:
    """Return what is needed at run time, with all that it needs in turn, pinned, as pip resolves it here."""
    report = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "install", "--dry-run"),
            *("--ignore-installed", "--constraint", str(ROOT / "constraints.txt"), "--report", "-", str(own)),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = [entry["metadata"] for entry in json.loads(report)["install"]]
    return sorted(f"{entry['name']}=={entry['version']}" for entry in found if entry["name"] != "evse-agent")


def fetch(own: Path, wheels: Path, machine: str, python: str) -> list[str]:
    """Get the wheels for one machine. Return the names of those that the index does not have."""
    place = wheels / f"{machine}-{python}"
    place.mkdir()
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS[machine]:
        target += ["--platform", platform]
    tag = "cp" + python.replace(".", "")
    for abi in (tag, "abi3", "none"):
        target += ["--abi", abi]
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
    command += [*target, "--dest", str(place), "--find-links", str(wheels / "any")]
    may_lack = MAY_LACK.get(machine, set())
    wanted = {entry.split("==")[0]: entry for entry in requirements(own)}
    if not run(*command, *(entry for name, entry in wanted.items() if name not in may_lack)):
        raise SystemExit(f"a wheel is missing for {machine}, Python {python}; what pip says stands above")
    missing = [name for name in sorted(may_lack & set(wanted)) if not run(*command, wanted[name], quiet=True)]
    for wheel in place.glob("*-none-any.whl"):
        wheel.replace(wheels / "any" / wheel.name)
    if missing:
        (place / "MISSING").write_text("\n".join(missing) + "\n", "ascii")
    return missing


def carry(tree: Path) -> None:
    for name in CARRIED:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))


def pack(tree: Path, target: Path) -> None:
    """Write the tar as root's, and in one piece: a bundle that was half written must not lie there."""

    def as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    fresh = target.with_suffix(".new")
    with tarfile.open(fresh, "w") as archive:
        archive.add(tree, tree.name, filter=as_root)
    fresh.replace(target)


if __name__ == "__main__":
    sys.exit(main())
