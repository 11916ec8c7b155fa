#!/usr/bin/env python3
"""Which of the two slots runs. This file needs Python alone: a copy outside of the slots guards every start.

    <root>/slots/a, <root>/slots/b    one whole environment each; ``slot.json`` in it says that it is complete
    <root>/current                    symbolic link to the slot that runs
    <root>/slots.json                 a slot that has yet to prove itself, or one that was taken back

    guard.py --root R check        before each start: finish or undo what a power cut left half done, count the start
                                   of a slot that is not confirmed, take it back when it was started too often;
                                   --restart UNIT: which must then come back from the other slot, too
    guard.py --root R confirm      exit 0 when the new version runs; it stays then
    guard.py --root R roll-back    take a version back that has not been confirmed
    guard.py --root R show         what is where, as JSON

Every step may be cut short. Each file is written beside its place, flushed and renamed; the link moves in one rename.
So at any moment ``current`` leads to a complete slot.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MAX_STARTS = 3
"""A slot that was started so often without being confirmed is taken back."""

NAMES = ("a", "b")

Step = Callable[[str], None]
"""Told before each step that changes the disk, by its name. Tests cut the power there."""


class SlotError(Exception):
    """The text says what is wrong, and the remedy."""


class Pending(NamedTuple):
    """A slot that runs, or is about to, and has not proved itself."""

    slot: str
    previous: str
    starts: int


def no_step(_: str) -> None:
    """Outside of tests nothing happens between two steps."""


class Slots:
    """The slots below one folder. Callers hold ``locked`` around everything that changes."""

    def __init__(self, root: Path, step: Step = no_step) -> None:
        self.root = root
        self.current = root / "current"
        self._note = root / "slots.json"
        self._step = step

    def place(self, name: str) -> Path:
        return self.root / "slots" / name

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time: an installation and a start must not cross."""
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    # ---- what is there ----

    def running(self) -> str | None:
        """Name of the slot that ``current`` leads to; None when it leads to none of them."""
        try:
            target = self.current.readlink()
        except OSError:
            return None
        return target.name if target.name in NAMES and target == Path("slots") / target.name else None

    def about(self, name: str) -> dict[str, Any] | None:
        """What a complete slot says of itself (version, bundle); None: it is not complete."""
        about = _read(self.place(name) / "slot.json")
        return about if about is not None and isinstance(about.get("version"), str) else None

    def pending(self) -> Pending | None:
        note: Any = self._read_note().get("pending")
        try:
            found = Pending(str(note["slot"]), str(note["previous"]), int(note["starts"]))
        except (KeyError, TypeError, ValueError):
            return None
        return found if {found.slot, found.previous} == set(NAMES) else None

    def taken_back(self) -> dict[str, str] | None:
        """The last version that was taken back and why, until another one is confirmed."""
        found = self._read_note().get("taken_back")
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else None

    def show(self) -> dict[str, Any]:
        pending = self.pending()
        return {
            "running": self.running(),
            "slots": {name: self.about(name) for name in NAMES},
            "pending": None if pending is None else pending._asdict(),
            "taken_back": self.taken_back(),
        }

    @property
    def going_back(self) -> bool:
        """A roll-back was begun and not ended: `check` ends it. Until then neither slot may be filled."""
        return self._read_note().get("back_to") in NAMES

    # ---- what changes ----

    def switch(self, name: str) -> None:
        """Let a freshly built slot run from the next start on, until it is confirmed or taken back."""
        previous = self.running()
        if previous is None or previous == name:
            raise SlotError(f"{self.current} leads to {previous or 'no slot'}; run 'check' first")
        if self.about(name) is None:
            raise SlotError(f"slot {name} is not complete; install it again")
        # First the note, then the link: when power goes in between, `check` finds the link where it was.
        self._step("note the new slot")
        self._write_note({"pending": {"slot": name, "previous": previous, "starts": 0}})
        self._link(name)

    def check(self) -> str:
        """Before a start. Return what was done about the slots, in words; empty when nothing was."""
        note, running = self._read_note(), self.running()
        goal = note.get("back_to")
        if goal in NAMES and self.about(str(goal)) is not None:  # the power went in the middle of a roll-back
            return self._go_back(str(goal), note)
        if running is None or self.about(running) is None:
            return self._rescue(running)
        pending = self.pending()
        if pending is None:
            return ""
        if running != pending.slot:
            self._step("forget the switch that did not happen")
            self._write_note({})
            return f"the switch to slot {pending.slot} did not happen"
        if pending.starts >= MAX_STARTS:
            return self.roll_back(f"was started {pending.starts} times and never became healthy")
        self._step("count the start")
        self._write_note({**note, "pending": pending._replace(starts=pending.starts + 1)._asdict()})
        return ""

    def confirm(self) -> None:
        """The new version is healthy. Only the slot that was switched to, running, may say so."""
        pending = self.pending()
        if pending is None or self.running() != pending.slot:
            raise SlotError("the version that was installed is not the one that runs")
        self._step("confirm")
        self._write_note({})

    def roll_back(self, why: str = "was not healthy in time") -> str:
        """Let the slot before run again, from the next start on."""
        pending = self.pending()
        if pending is None:
            raise SlotError("no version waits for its proof; nothing to take back")
        about = self.about(pending.slot) or {}
        if self.about(pending.previous) is None:
            raise SlotError(
                f"slot {pending.previous} is not complete; slot {pending.slot} stays. Install a good version"
            )
        taken = {"slot": pending.slot, "version": str(about.get("version", "?")), "why": why}
        note = {"back_to": pending.previous, "taken_back": taken}
        self._step("note the way back")
        self._write_note(note)
        return self._go_back(pending.previous, note)

    def _go_back(self, name: str, note: dict[str, Any]) -> str:
        if self.running() != name:
            self._link(name)
        self._step("forget the way back")
        self._write_note({"taken_back": note.get("taken_back")})
        taken = note.get("taken_back") or {}
        return f"back to slot {name}: version {taken.get('version')} {taken.get('why')}"

    def _rescue(self, running: str | None) -> str:
        """The link leads nowhere, or into a slot that is not whole. A disk may do that; no step of ours does."""
        whole = [name for name in NAMES if self.about(name) is not None]
        if not whole:
            raise SlotError(f"neither slot below {self.root}/slots is complete; install the software again")
        self._link(whole[0])
        self._step("forget what waited")
        self._write_note({})
        return f"slot {running or 'current'} is not complete; slot {whole[0]} runs instead"

    # ---- the disk ----

    def _link(self, name: str) -> None:
        fresh = self.root / ".current.new"
        self._step("make the link")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("slots") / name)
        self._step("move the link")
        fresh.replace(self.current)
        self._step("flush the link")
        sync_folder(self.root)

    def _read_note(self) -> dict[str, Any]:
        return _read(self._note) or {}

    def _write_note(self, note: dict[str, Any]) -> None:
        write_whole(self._note, json.dumps(note), self._step)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_whole(path: Path, text: str, step: Step = no_step) -> None:
    """Replace a file: whole and on the disk before its name leads to it. Readable by everyone."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)
    step(f"rename {path.name}")
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def restart(unit: str) -> None:
    """The other half runs from the slot that was left. Without waiting for it: it may be ordered after this start."""
    for words in (["reset-failed", unit], ["--no-block", "restart", unit]):
        subprocess.run(["systemctl", *words], check=False, timeout=30, stdin=subprocess.DEVNULL)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="which of the two slots of the software runs")
    parser.add_argument("--root", type=Path, default=Path("/opt/evse-agent"))
    parser.add_argument("--restart", metavar="UNIT", help="check: start this unit afresh when the slot has changed")
    parser.add_argument("command", choices=("check", "confirm", "roll-back", "show"))
    options = parser.parse_args(arguments)
    slots = Slots(options.root)
    try:
        with slots.locked():
            if options.command == "check":
                before = slots.running()
                said = slots.check()
                if options.restart and slots.running() != before:
                    restart(options.restart)
            elif options.command == "confirm":
                slots.confirm()
                said = "the new version stays"
            elif options.command == "roll-back":
                said = slots.roll_back()
            else:
                said = json.dumps(slots.show(), indent=2)
    except (SlotError, OSError) as error:
        sys.stdout.write(f"{options.command}: {error}\n")
        return 1
    if said:
        sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
