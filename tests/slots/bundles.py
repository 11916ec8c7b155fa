"""Bundles for tests: a maker with a root and a key, wheels of one module, and slots with something in them."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from agent.config.schema import KeyType
from agent.security.certificates import new_key, signing_request
from agent.slots.bundle import Trust, pack
from agent.slots.guard import Slots, Step, no_step
from agent.slots.install import Installer
from simulators import pki

ROOTS = "trusted"


class Maker:
    """A manufacturer. ``trust`` is what a charge point holds of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / ROOTS).mkdir()
        self.root = pki.root("Manufacturer Root")
        path = self.root.file(place / ROOTS, "maker")
        path.chmod(0o644)
        self.key = new_key(KeyType.P256)
        self.certificate = self.root.sign(signing_request(self.key, "Nord", "fw"))
        self.trust = Trust((path,), time.time())

    def bundle(self, version: str, **wanted: object) -> Path:
        out = self.place / f"bundle-{'-'.join([version, *wanted])}.tar"
        if out.exists():
            return out  # the very same file
        wheel = make_wheel(self.place, version)
        pack(out, [wheel], version, self.key, self.certificate, **wanted)  # type: ignore[arg-type]
        return out


def make_wheel(place: Path, version: str, body: str = "") -> Path:
    path, info = place / f"demo-{version}-py3-none-any.whl", f"demo-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo.py", body or f"VERSION = {version!r}\ndef main():\n    print(VERSION)\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: demo\nVersion: {version}\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ndemo = demo:main\n")
        archive.writestr(f"demo-{version}.data/scripts/old", "#!python\nprint('old')\n")
    return path


def build_small(target: Path, wheels: Sequence[Path], _: str) -> None:
    """In place of an environment: a file that names the wheel. Enough where only the slots matter."""
    (target / "bin").mkdir(parents=True)
    (target / "bin" / "python").write_text(wheels[0].name)


def probe_small(slot: Path) -> None:
    assert (slot / "bin" / "python").exists()


def first_slot(place: Path, version: str = "1.0") -> Slots:
    """As the installation leaves it: slot a, complete and running."""
    slots = Slots(place)
    build_small(slots.place("a"), [Path(f"demo-{version}.whl")], "")
    (slots.place("a") / "slot.json").write_text(json.dumps({"version": version, "bundle": "first"}))
    slots.current.symlink_to("slots/a")
    return slots


def small_installer(root: Path, trust: Trust, step: Step = no_step) -> Installer:
    return Installer(Slots(root, step), trust, build=build_small, probe=probe_small, step=step)


def runs(slots: Slots) -> str:
    """The version that would be started now. Fails unless ``current`` leads to exactly one whole slot."""
    name = slots.running()
    assert name is not None
    about = slots.about(name)
    assert about is not None, f"current leads to slot {name}, which is not complete"
    # What the mark says is what is there.
    assert f"-{about['version']}" in (slots.current / "bin" / "python").read_text()
    return str(about["version"])
