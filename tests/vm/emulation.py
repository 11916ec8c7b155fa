"""Unit tests on the processors that chargers have, by user-mode emulation: arm64 and armhf.

Debian's Python of that architecture runs from an unpacked root (nothing is installed, no binfmt). Pure-Python packages
are this checkout's own; what the product needs compiled comes from Debian's packages of that architecture (PyYAML,
cryptography), so no wheel of those has to exist. Tests that start processes are left out: an emulated process cannot
start another without binfmt.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.vm.commands import digest, run
from tests.vm.image import MIRROR, SUITE
from tests.vm.place_of_build import BUILD, ROOT, MissingError

PACKAGES = ("python3", "python3-yaml", "python3-cryptography")
PURE = (
    *("pytest", "pluggy", "iniconfig", "packaging", "pytest-timeout", "sortedcontainers", "attrs"),
    *("ocpp", "jsonschema", "referencing", "jsonschema-specifications", "typing_extensions", "websockets"),
    *("pyserial", "python-can", "pymodbus", "wrapt", "gpiozero", "colorzero", "Pygments"),
)
"""Taken from the environment that runs this, without their compiled parts (all of these work without)."""
COMPILED = ("hypothesis", "rpds-py")
"""These need their compiled part: wheels of that processor, in the versions of ``constraints.txt``."""
SUBSET = (
    "tests/hal/test_hal_token_format.py",
    "tests/clock",
    "tests/hal/test_hal_can_codec.py",
    "tests/hal/test_hal_modbus_rtu.py",
    "tests/journal/test_journal_codec.py",
)
"""Byte order, word size, struct layout, time: what could differ on another processor, and short."""
LONGEST_S = 1500
SHOWN = 15


@dataclass(frozen=True, slots=True)
class Processor:
    debian: str
    emulator: str
    machine: str


PROCESSORS = (
    Processor("arm64", "qemu-aarch64-static", "aarch64"),
    Processor("armhf", "qemu-arm-static", "armv7l"),
)


def root_of(processor: Processor) -> Path:
    """Debian's Python for that processor, unpacked."""
    target = BUILD / f"{processor.debian}-{SUITE}"
    if not target.exists():
        partial = target.with_name(target.name + ".tar")
        options = ["--mode=root", "--variant=extract", f"--arch={processor.debian}"]
        run("mmdebstrap", *options, f"--include={','.join(PACKAGES)}", SUITE, partial, MIRROR)
        fresh = target.with_name(target.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        run("tar", "xf", partial, "-C", fresh)
        partial.unlink()
        fresh.rename(target)
    return target


def compiled_packages(processor: Processor) -> Path:
    """Wheels of that processor, unpacked."""
    constraints = ROOT / "constraints.txt"
    target = BUILD / f"{processor.debian}-compiled-{digest(constraints.read_text(), *COMPILED)}"
    if not target.exists():
        fresh = target.with_name(target.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        platforms = [f"--platform=manylinux_2_{minor}_{processor.machine}" for minor in (36, 28, 17)]
        only = ["--implementation=cp", "--python-version=3.11", "--only-binary=:all:", f"--constraint={constraints}"]
        run(*pip, "--target", fresh, *platforms, *only, *COMPILED)
        fresh.rename(target)
    return target


def pure_packages() -> Path:
    """This environment's packages without compiled modules, in a folder of their own."""
    target = BUILD / "pure"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in PURE:
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # a dependency that this version of another no longer has
        for file in files:
            source = Path(str(file.locate()))
            if ".." in file.parts or file.suffix in (".so", ".pyc") or not source.is_file():
                continue
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)
    return target


@dataclass(frozen=True, slots=True)
class Examined:
    """What pytest said on a processor. ``status`` is its exit status, 0 when every test passed."""

    processor: str
    status: int
    lines: tuple[str, ...]

    def told(self) -> str:
        """One line for tests that passed; what pytest said at its end for others."""
        if self.status == 0:
            return f"{self.processor}: {self.lines[-1] if self.lines else 'nothing was said'}"
        return f"{self.processor}: FAILED, pytest ended with {self.status}:\n" + "\n".join(self.lines[-SHOWN:])


def examine(processor: Processor, subset: tuple[str, ...]) -> Examined:
    """Run the subset on a processor. Raises MissingError for what this machine lacks to do so."""
    if shutil.which(processor.emulator) is None:
        raise MissingError(f"{processor.emulator} is not on this machine; sudo apt-get install qemu-user-static")
    root = root_of(processor)
    python = next((root / "usr/bin").glob("python3.*[0-9]"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (compiled_packages(processor), pure_packages(), ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(BUILD / "hypothesis"),
    }
    command = ["nice", "-n", "15", processor.emulator, "-L", str(root), str(python), "-c", _INSIDE, processor.machine]
    command += ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not process", "-o", "timeout=600", *subset]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST_S, stdin=subprocess.DEVNULL
    )
    return Examined(processor.debian, done.returncode, tuple((done.stdout + done.stderr).strip().splitlines()))


_INSIDE = """
import platform, sys, pytest
wanted = sys.argv.pop(1)
assert platform.machine() in (wanted, 'armv8l'), platform.machine()
sys.exit(pytest.main(sys.argv[1:]))
"""


def main() -> int:
    """All processors. Return 1 when a test failed on any."""
    failed = False
    for processor in PROCESSORS:
        examined = examine(processor, SUBSET)
        failed |= examined.status != 0
        sys.stdout.write(examined.told() + "\n")
        sys.stdout.flush()
    return int(failed)
