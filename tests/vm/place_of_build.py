"""Where everything of the virtual charger is kept, and what this machine lacks to build it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(os.path.realpath(__file__)).parents[2]
BUILD = ROOT / "build" / "vm"
GUEST_FILES = Path(os.path.realpath(__file__)).parent / "guest"

TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "modprobe": "kmod",
    "cpio": "cpio",
    "busybox": "busybox-static",
    "socat": "socat",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "gcc": "build-essential",
    "make": "build-essential",
}
"""Command → Debian package that brings it."""


class MissingError(Exception):
    """This machine cannot run the virtual charger. The text says what to install."""


def require(*names: str) -> None:
    """Raise MissingError that names every command that is not here and how to get it."""
    missing = [name for name in names or TOOLS if shutil.which(name, path=_search_path()) is None]
    if missing:
        packages = sorted({TOOLS[name] for name in missing})
        raise MissingError(
            f"not on this machine: {', '.join(missing)}; install them (Debian 12): "
            f"sudo apt-get install --no-install-recommends {' '.join(packages)}"
        )


def require_root() -> None:
    """Building a root file system wants to give files to root."""
    if os.geteuid() != 0:
        raise MissingError("the image is built as root (owners and device nodes): run it as root, or in a container")


def _search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
