"""Commands of this machine that build the virtual charger, and the folders they build in."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.vm.place_of_build import MissingError


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run to the end at low priority and return what it said. Raises MissingError with the command's own last words."""
    words = ["nice", "-n", "15", *(str(word) for word in command)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        last = ((done.stderr or "") + (done.stdout or "")).strip().splitlines()[-6:]
        raise MissingError(f"{' '.join(words[3:6])} … ended with {done.returncode}: " + " | ".join(last))
    return done.stdout or ""


def make_file_system(tree: Path, target: Path, megabytes: int) -> None:
    """An ext4 image that holds ``tree`` with its owners."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", tree, partial, f"{megabytes}M")
    partial.rename(target)


def fresh_folder(place: Path) -> Path:
    """An empty folder beside ``place``, to be renamed to it once it is whole."""
    fresh = place.with_name(place.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    return fresh


def write_whole(target: Path, data: bytes) -> None:
    """Write a file that is either there as a whole or not at all."""
    partial = target.with_name(target.name + ".partial")
    partial.write_bytes(data)
    partial.replace(target)


def digest(*texts: str) -> str:
    """A short name for what texts say."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
