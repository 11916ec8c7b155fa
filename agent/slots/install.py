"""Puts a bundle into the slot that does not run, tries it there, and switches. The rest: ``agent.slots.guard``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.slots.bundle import Manifest, Trust, check_machine, check_order, open_bundle
from agent.slots.guard import NAMES, SlotError, Slots, Step, no_step, sync_folder, write_whole
from agent.slots.wheels import WheelError, build

EXIT_RESTART_NEEDED = 10
EXIT_BAD_FILE = 11
"""What ``update.install`` of the configuration tells the agent (docs/updates.md)."""

PROBE_S = 120.0
SCRATCH = ".evse-slots-"

Build = Callable[[Path, Sequence[Path], str], None]
"""Makes an environment: where, of which wheels, with which interpreter."""


def probe_imports(slot: Path) -> None:
    """The new version's own interpreter must be able to load both processes. Raises SlotError."""
    python = str(slot / "bin" / "python")
    command = [python, "-I", "-B", "-c", "import agent.app, agent.control.__main__"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PROBE_S)
    if done.returncode != 0:
        raise SlotError(f"the new version cannot be loaded: {done.stderr.strip()[-400:]}")


class Installer:
    """``build`` and ``probe`` are replaced in tests; ``step`` hears of each step before it is taken."""

    def __init__(
        self,
        slots: Slots,
        trust: Trust,
        *,
        python: str = sys.executable,
        build: Build = build,
        probe: Callable[[Path], None] = probe_imports,
        step: Step = no_step,
    ) -> None:
        self._slots = slots
        self._trust = trust
        self._python = python
        self._build = build
        self._probe = probe
        self._step = step

    def install(self, file: Path) -> int:
        """Install a bundle. Return 0 when it runs already, else EXIT_RESTART_NEEDED.

        Raises BundleError (the file must not be installed) and SlotError. May be repeated after a power cut.
        """
        slots = self._slots
        if slots.running() is None or slots.going_back:
            slots.check()
        for left in slots.root.glob(f"{SCRATCH}*"):  # of an installation that was cut short
            shutil.rmtree(left, ignore_errors=True)
        self._step("open the bundle")
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=slots.root) as folder:
            manifest, wheels = open_bundle(file, self._trust, Path(folder))
            check_machine(manifest)
            running = slots.running()
            assert running is not None  # `check` sees to that, or raises
            about = slots.about(running) or {}
            if about.get("bundle") == manifest.digest:
                return EXIT_RESTART_NEEDED if slots.pending() is not None else 0
            if slots.pending() is not None:
                raise SlotError("another version has yet to prove itself; confirm it, or roll it back, first")
            check_order(manifest, about.get("version"))
            target = next(name for name in NAMES if name != running)
            self._fill(target, manifest, wheels)
        slots.switch(target)
        return EXIT_RESTART_NEEDED

    def _fill(self, name: str, manifest: Manifest, wheels: Sequence[Path]) -> None:
        place = self._slots.place(name)
        self._step("empty the slot")
        # Its mark goes first, and durably: a slot that is half gone must not look complete.
        (place / "slot.json").unlink(missing_ok=True)
        if place.exists():
            sync_folder(place)
            self._step("delete the old version")
            shutil.rmtree(place)
        self._step("build")
        try:
            self._build(place, wheels, self._python)
            self._step("probe")
            self._probe(place)
        except (WheelError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(place, ignore_errors=True)
            raise SlotError(f"slot {name} could not be filled: {error}") from None
        except SlotError:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._step("flush the slot")
        os.sync()  # every file of it, before the mark says that they are there
        self._step("mark the slot")
        write_whole(
            place / "slot.json", json.dumps({"version": manifest.version, "bundle": manifest.digest}), self._step
        )
        sync_folder(place.parent)
