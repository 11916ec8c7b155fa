"""The charger's second disk: what it keeps. The software, its configuration, its state and its log."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.vm.image import digest, fresh_folder, make_file_system, run
from tests.vm.place_of_build import BUILD, ROOT

MEGABYTES = 192
RUNTIME = ("ocpp", "websockets", "pyserial", "PyYAML", "cryptography", "python-can", "gpiozero", "colorzero")
"""What the product needs at run time; with all that these need, in the versions of ``constraints.txt``."""
PRODUCT = ("agent", "hal", "simulators")
CODE = "opt/current"
"""Where the product lies below the disk's root."""

Prepare = Callable[[Path], None]
TREE = ("etc", "state", "opt", "log")


def libraries() -> Path:
    """The wheels' contents for the guest's Python (3.11, amd64), installed once into a folder."""
    constraints = ROOT / "constraints.txt"
    target = BUILD / f"libraries-{digest(constraints.read_text(), ' '.join(RUNTIME))}"
    if not target.exists():
        fresh = fresh_folder(target)
        platforms = [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_34", "_2_28", "_2_17", "2014")]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        only = ["--implementation=cp", "--python-version=3.11", "--only-binary=:all:", f"--constraint={constraints}"]
        run(*pip, "--target", fresh, *platforms, *only, *RUNTIME)
        _compile(fresh)
        fresh.rename(target)
    return target


def make(directory: Path, configuration: str, prepare: Sequence[Prepare] = ()) -> Path:
    """A fresh data disk in ``directory``. Each of ``prepare`` may change its tree before it becomes an image."""
    tree = fresh_folder(directory / "data")
    for name in TREE:
        (tree / name).mkdir()
    code = tree / CODE
    shutil.copytree(libraries(), code)
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in PRODUCT:
        shutil.copytree(ROOT / package, code / package, ignore=ignore)
        _compile(code / package)
    # Drivers are found by the entry points that an installation leaves.
    shutil.copytree(ROOT / "evse_agent.egg-info", code / "evse_agent.egg-info")
    (tree / "etc/config.yaml").write_text(configuration)
    for step in prepare:
        step(tree)
    image = directory / "data.img"
    make_file_system(tree, image, MEGABYTES)
    shutil.rmtree(tree)
    return image


def _compile(place: Path) -> None:
    """Here, because the guest's emulated processor would take a minute."""
    run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", place)
