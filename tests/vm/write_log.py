"""What a disk had really been given when the power went.

QEMU's ``blklogwrites`` notes every write and every flush in the order in which the guest's disk completed them, in
the format of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst). A disk may forget
whatever no flush has followed. So a crash at any entry is replayed as: all up to the last flush, and of what came
later nothing, everything, or any part of it in any order, torn between sectors.

The count in the log's superblock is stale after a kill, so entries are walked until they end.
"""

from __future__ import annotations

import os
import random
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
_SUPERBLOCK = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


class Tail(Enum):
    """What becomes of writes that no flush has followed."""

    NONE = "lost"
    ALL = "kept"
    TORN = "torn"
    """A random part of them, in random order, each cut off between sectors."""


@dataclass(frozen=True, slots=True)
class Entry:
    """``at`` is where its data lies in the log, ``end`` where the entry ends, both in bytes."""

    sector: int
    sectors: int
    flags: int
    at: int
    end: int

    @property
    def is_flush(self) -> bool:
        return bool(self.flags & FLUSH)

    @property
    def has_data(self) -> bool:
        return self.sectors > 0 and not self.flags & (DISCARD | MARK)


class WriteLog:
    """A log as far as it is whole. Raises ValueError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = list(_walk(path))
        self._ends = [entry.end for entry in self.entries]

    def index_at(self, size: int) -> int:
        """How many entries a log of that size held whole."""
        return bisect_right(self._ends, size)

    def durable(self, count: int) -> int:
        """Of the first ``count`` entries: how many a flush has made durable."""
        return next((i + 1 for i in range(count - 1, -1, -1) if self.entries[i].is_flush), 0)


def _walk(path: Path) -> Iterator[Entry]:
    size = path.stat().st_size
    with path.open("rb") as log:
        head = log.read(_SUPERBLOCK.size)
        if len(head) < _SUPERBLOCK.size:
            return
        magic, version, _, sector_size = _SUPERBLOCK.unpack(head)
        if magic != MAGIC or version != 1 or sector_size != SECTOR:
            raise ValueError(f"{path} is no write log of {SECTOR}-byte sectors (magic {magic:#x}, {sector_size})")
        place = SECTOR
        while place + SECTOR <= size:
            log.seek(place)
            sector, sectors, flags, _ = _ENTRY.unpack(log.read(_ENTRY.size))
            if flags & ~(FLUSH | FUA | DISCARD | MARK):
                return  # not written yet
            if not (sectors or flags):
                return
            data = place + SECTOR
            end = data + (0 if flags & (DISCARD | MARK) else sectors * SECTOR)
            if end > size:
                return
            yield Entry(sector, sectors, flags, data, end)
            place = end


class Replay:
    """A disk that is led through a log, forwards only. ``disk`` is changed in place."""

    def __init__(self, log: WriteLog, disk: Path) -> None:
        self._log = log
        self.disk = disk
        self.done = 0
        """Entries applied, all of them durable."""

    def forward(self, count: int) -> None:
        """Apply the first ``count`` entries."""
        if count < self.done:
            raise ValueError(f"the disk is at entry {self.done} already; make a fresh copy to go back to {count}")
        with self._log.path.open("rb") as source, self.disk.open("r+b") as target:
            for entry in self._log.entries[self.done : count]:
                _apply(source.fileno(), target.fileno(), entry)
        self.done = count

    def crash(self, count: int, copy: Path, tail: Tail, rng: random.Random) -> int:
        """Write to ``copy`` the disk after a crash behind entry ``count``. Return how many writes were in doubt."""
        self.forward(self._log.durable(count))
        copy_sparse(self.disk, copy)
        doubtful = [entry for entry in self._log.entries[self.done : count] if entry.has_data]
        with self._log.path.open("rb") as source, copy.open("r+b") as target:
            for entry in _choose(doubtful, tail, rng):
                _apply(source.fileno(), target.fileno(), entry)
        return len(doubtful)


def _choose(doubtful: Sequence[Entry], tail: Tail, rng: random.Random) -> Iterator[Entry]:
    if tail is Tail.ALL:
        yield from doubtful
    elif tail is Tail.TORN:
        some = [entry for entry in doubtful if rng.random() < 0.5]
        rng.shuffle(some)
        for entry in some:
            first = rng.randrange(entry.sectors)
            last = rng.randint(first + 1, entry.sectors)
            at = entry.at + first * SECTOR
            yield Entry(entry.sector + first, last - first, entry.flags, at, at + (last - first) * SECTOR)


def _apply(source: int, target: int, entry: Entry) -> None:
    """Discards leave the disk as it is: what a discarded sector reads as is undefined."""
    if not entry.has_data:
        return
    data = os.pread(source, entry.sectors * SECTOR, entry.at)
    os.pwrite(target, data, entry.sector * SECTOR)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a disk image without its holes."""
    target.unlink(missing_ok=True)
    with source.open("rb") as from_file, target.open("wb") as to_file:
        size = os.fstat(from_file.fileno()).st_size
        to_file.truncate(size)
        place = 0
        while place < size:
            try:
                start = os.lseek(from_file.fileno(), place, os.SEEK_DATA)
            except OSError:  # no data behind this point
                break
            place = os.lseek(from_file.fileno(), start, os.SEEK_HOLE)
            at = start
            while at < place:
                at += os.copy_file_range(from_file.fileno(), to_file.fileno(), place - at, at, at)
