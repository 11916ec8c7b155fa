"""The charger's second disk: what it keeps. The software, its configuration, its state and its logs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.vm.commands import fresh_folder, make_file_system, run
from tests.vm.installed import Installed

MEGABYTES = 224
Prepare = Callable[[Path], None]
FOLDERS = {
    "state": ("evse", "evse", 0o750),
    "control": ("evse-control", "evse-control", 0o750),
    "security": ("evse", "evse", 0o750),
    "log": ("root", "root", 0o755),
}
"""Folder of the disk: owner, group and mode on the charger. ``guest/root/etc/fstab`` says where each is mounted."""


def make(directory: Path, installed: Installed, configuration: str, prepare: Sequence[Prepare] = ()) -> Path:
    """A fresh data disk in ``directory``. Each of ``prepare`` may change its tree before it becomes an image."""
    tree = fresh_folder(directory / "data")
    run("cp", "-a", installed.place / "opt", installed.place / "etc", tree)
    for name, owner in FOLDERS.items():
        (tree / name).mkdir()
        installed.give(tree / name, *owner)
    (tree / "etc/config.yaml").write_text(configuration)
    installed.give(tree / "etc/config.yaml", "evse", "evse-link", 0o640)
    for step in prepare:
        step(tree)
    image = directory / "data.img"
    make_file_system(tree, image, MEGABYTES)
    shutil.rmtree(tree)
    return image
