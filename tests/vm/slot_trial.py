"""Slots with small contents on the virtual charger's disk: the machinery of an update without the minutes that a whole
environment takes under emulation. The bundles are signed and the code is the product's (``agent.slots``)."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from agent.slots.bundle import Trust
from agent.slots.guard import Slots
from agent.slots.install import EXIT_RESTART_NEEDED
from tests.slots import bundles as bundles_module
from tests.slots.bundles import Maker, first_slot, small_installer
from tests.vm.inside import CHECKS
from tests.vm.observer import Order

PLACE = Path("/opt/evse-agent/trial")
BUNDLES = Path("/opt/evse-agent/bundles")
VERSIONS = 60


def prepare(tree: Path) -> None:
    """Put onto a data disk: slot a at version 1.0, the maker's root, bundles 1.1, 1.2, …, and this module."""
    bundles, code = tree / "opt/bundles", tree / CHECKS / "tests"
    bundles.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(Path(folder))
        for number in range(1, VERSIONS + 1):
            shutil.copy(maker.bundle(f"1.{number}"), bundles / f"1.{number}.tar")
        shutil.copy(maker.trust.roots[0], bundles / "root.pem")
    (tree / "opt/trial").mkdir()
    first_slot(tree / "opt/trial")
    beside = [Path(__file__).with_name(name) for name in ("observer.py", "inside.py")]
    for source in (Path(__file__), *beside, Path(bundles_module.__file__)):
        place = code / source.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


def first_order() -> Order:
    """The version that is there before any order."""
    return Order("slot", "", "1.0", 0.0, 0.0)


def main() -> None:
    """In the guest: install the version that the first argument names, and confirm it."""
    version = sys.argv[1]
    installer = small_installer(PLACE, Trust((BUNDLES / "root.pem",), time.time()))
    slots = Slots(PLACE)
    with slots.locked():
        slots.check()
        if (about := slots.about(slots.running() or "")) is not None and about["version"] == version:
            if slots.pending() is not None:
                slots.confirm()
            return
        if slots.pending() is not None:
            slots.confirm()
        status = installer.install(BUNDLES / f"{version}.tar")
        assert status == EXIT_RESTART_NEEDED, status
        slots.confirm()
