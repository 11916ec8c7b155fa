"""The configuration file and its last states, on the disk: whole or not at all, whatever happens to the power.

Beside the state of the agent, a folder holds the last ten files with what was changed, when and by whom. They may hold
passwords, so nobody but their owner may read them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agent.durable import sync_folder, write_private

KEPT = 10
_NAME = re.compile(r"([0-9]{6})\.json")


class ConfigFileError(OSError):
    """The file or its history cannot be read or written. The text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. Its file is the one that it replaced."""

    number: int
    utc_s: float
    who: str
    note: str
    changes: tuple[str, ...] = field(default_factory=tuple)
    """In words, secrets hidden."""
    outcome: str = ""
    """'kept', or why it was taken back; empty while that is open."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_text(path: Path) -> str:
    """Return the file's text. Raises ConfigFileError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(f"{path}: cannot be read: {error}") from error


def candidate(path: Path) -> Path:
    """Where a new file is written before it is checked: beside the old one, since its relative paths begin there."""
    return path.with_name(f".{path.name}.candidate")


def write_candidate(path: Path, text: str) -> Path:
    """Write a text beside the file, on the disk, with the file's own rights. Raises ConfigFileError."""
    place = candidate(path)
    try:
        if path.is_symlink():
            raise ConfigFileError(f"{path} is a link; start the agent with the file itself (--config) to change it")
        old = path.stat()
        place.unlink(missing_ok=True)
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with contextlib.suppress(PermissionError):
                os.fchown(handle, -1, old.st_gid)
            if os.fstat(handle).st_gid != old.st_gid and not old.st_mode & stat.S_IROTH:
                place.unlink()
                raise ConfigFileError(
                    f"{path} belongs to a group that this user is not in, and control could not read the new file; "
                    "make this user a member of that group"
                )
            os.fchmod(handle, stat.S_IMODE(old.st_mode))
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(handle)
    except ConfigFileError:
        raise
    except OSError as error:
        raise ConfigFileError(
            f"{path.parent}: nothing can be written there ({error.strerror or error}); let the agent's user write "
            "this folder (chgrp, chmod g+w; ReadWritePaths= in its unit), or change the file by hand"
        ) from error
    return place


def take(path: Path) -> None:
    """Put the candidate in place of the file, durably. Raises ConfigFileError."""
    try:
        candidate(path).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigFileError(f"{path}: cannot be replaced ({error.strerror or error}); change it by hand") from error


class History:
    """The last changes, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self) -> list[Entry]:
        """Return the changes, the newest first. What cannot be read is left out."""
        return [entry for number in reversed(self._numbers()) if (entry := self._entry(number)) is not None]

    def text(self, number: int) -> str:
        """Return the file that a change replaced. Raises ConfigFileError."""
        if number not in self._numbers():
            known = ", ".join(map(str, self._numbers())) or "none yet"
            raise ConfigFileError(f"the history has no number {number}; it has {known}")
        return read_text(self._folder / f"{number:06}.yaml")

    def add(self, entry: Entry, text: str) -> Entry:
        """Keep a file that is about to be replaced; the oldest beyond ten go. Return the entry, numbered."""
        numbers = self._numbers()
        entry = replace(entry, number=numbers[-1] + 1 if numbers else 1)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The text first: an entry without it would promise what is not there.
            write_private(self._folder / f"{entry.number:06}.yaml", text.encode())
            about = json.dumps(asdict(entry), ensure_ascii=False)
            write_private(self._folder / f"{entry.number:06}.json", about.encode())
            for number in [*numbers, entry.number][:-KEPT]:
                for ending in ("json", "yaml"):
                    (self._folder / f"{number:06}.{ending}").unlink(missing_ok=True)
        except OSError as error:
            raise ConfigFileError(
                f"{self._folder}: cannot be written ({error.strerror or error}); without a way back nothing is "
                "changed: free space there, or look at its owner"
            ) from error
        return entry

    def note(self, number: int, outcome: str) -> None:
        """Write down what became of a change. What cannot be written is not worth an error."""
        entry = self._entry(number)
        if entry is not None:
            with contextlib.suppress(OSError):
                write_private(
                    self._folder / f"{number:06}.json", json.dumps(asdict(replace(entry, outcome=outcome))).encode()
                )

    def _numbers(self) -> list[int]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except OSError:
            return []
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def _entry(self, number: int) -> Entry | None:
        try:
            found: dict[str, Any] = json.loads((self._folder / f"{number:06}.json").read_text("utf-8"))
            known = {each.name for each in fields(Entry)}
            entry = Entry(**{name: value for name, value in found.items() if name in known})
            return replace(entry, number=number, changes=tuple(map(str, entry.changes)))
        except (OSError, ValueError, TypeError, AttributeError):
            return None
