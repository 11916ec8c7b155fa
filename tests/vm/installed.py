"""The product as ``install.sh`` leaves it on a fresh Debian: a bundle of this checkout is installed inside the root
file system of the charger, so that its units, users, folders and rules are the shipped ones."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.vm.commands import digest, fresh_folder, run
from tests.vm.place_of_build import BUILD, ROOT

SOURCES = ("agent", "hal", "simulators", "systemd", "packaging")
SINGLE = ("install.sh", "setup.cfg", "pyproject.toml", "constraints.txt", "config.example.yaml")
PYTHON = "3.11"
"""That of the guest's Debian."""
PLACES = {"opt": "opt/evse-agent", "etc": "etc/evse-agent"}
"""What an installation puts onto the disk that keeps: its name there, and its place on the charger."""


@dataclass(frozen=True, slots=True)
class Installed:
    """``place`` holds ``opt`` and ``etc`` (see ``PLACES``) and the charger's ``passwd`` and ``group``."""

    place: Path

    def user(self, name: str) -> int:
        """The number of a user on the charger. Raises KeyError."""
        return self._number("passwd", name)

    def group(self, name: str) -> int:
        """The number of a group on the charger. Raises KeyError."""
        return self._number("group", name)

    def _number(self, book: str, name: str) -> int:
        for line in (self.place / book).read_text().splitlines():
            entry = line.split(":")
            if entry[0] == name:
                return int(entry[2])
        raise KeyError(f"the charger knows no {name!r} in its {book}")

    def give(self, path: Path, user: str, group: str, mode: int) -> None:
        """Let a file of a tree for the charger belong to its users."""
        os.chown(path, self.user(user), self.group(group))
        path.chmod(mode)


def state_of_the_sources() -> str:
    """Changes whenever anything changes that is installed."""
    files = [path for name in SOURCES for path in sorted((ROOT / name).rglob("*")) if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts] + [ROOT / name for name in SINGLE]
    return digest(*(f"{path.relative_to(ROOT)} {path.read_bytes().hex()}" for path in files))


def install(root: Path) -> None:
    """Run ``install.sh`` from a bundle inside a root file system of this machine's processor. Nothing is started."""
    bundles = fresh_folder(BUILD / "bundle")
    make_bundle = (sys.executable, ROOT / "packaging/make_bundle.py")
    run(*make_bundle, "--out", bundles, "--machines=x86_64", f"--pythons={PYTHON}")
    inside = root / "tmp/bundle"
    inside.mkdir()
    run("tar", "-C", inside, "--strip-components=1", "-xf", next(bundles.glob("evse-agent-*.tar")))
    # A mount namespace of its own: systemd-tmpfiles wants /proc, and nothing of that may stay mounted here.
    apart = ("unshare", "--mount", "--pid", "--fork", f"--mount-proc={root / 'proc'}")
    run(*apart, "chroot", root, "/tmp/bundle/install.sh")
    shutil.rmtree(inside)
    shutil.rmtree(bundles)


def take_out(root: Path, place: Path) -> Installed:
    """Move to ``place`` what belongs onto the other disk, and leave empty folders to mount it on."""
    for name, source in PLACES.items():
        (root / source).rename(place / name)
        (root / source).mkdir()
    for book in ("passwd", "group"):
        shutil.copy(root / "etc" / book, place / book)
    return Installed(place)
