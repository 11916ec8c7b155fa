"""Looks into SQLite's write-ahead log before SQLite does.

SQLite reads the log up to the first frame whose checksum fails and takes that for its end. After a power cut in the
middle of a write that is right. But a frame that went bad on the disk ends the log too, and then every commit behind it
is gone without a word. Each frame's checksum goes on from the one before, as stored, so the frames behind a bad one
can still be checked one by one (sqlite.org/fileformat2.html, "The WAL File").
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass, replace
from pathlib import Path

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
"""The lowest bit tells the byte order of the checksums: set for big-endian."""

_PAGE_SIZES = {1 << power for power in range(9, 17)}
_READ_VERSION = slice(18, 20)
"""Bytes of a database's header that say whether it has a write-ahead log."""


@dataclass(frozen=True, slots=True)
class Frame:
    index: int
    """From 1; the log's own header counts as 0."""
    page: int
    """Number of the page that it holds, from 1."""
    pages: int
    """Of the last frame of a commit: the database's size in pages. Else 0."""
    sound: bool
    """SQLite reads on behind it."""
    good: bool
    """What it holds is what was written."""
    data: bytes


def damage(path: Path) -> str:
    """Say what is wrong with the log beside the database at ``path``; empty when nothing is.

    A bad frame is damage when a later commit has followed: before that one was written, its own was on the disk.
    """
    bad: int | None = None
    acknowledged = False
    for frame in _frames(log_of(path)):
        if acknowledged:
            place = f"frame {bad}" if bad else "its beginning"
            return f"the write-ahead log is damaged at {place}, and later commits follow"
        if not frame.sound and bad is None:
            bad = frame.index
        acknowledged = bad is not None and frame.pages > 0
    return ""


def fold(path: Path, target: Path) -> None:
    """Write to ``target`` the database at ``path`` with all good frames of its log in it; it needs no log of its own.

    The page of a bad frame keeps what it held before. Raises OSError.
    """
    shutil.copyfile(path, target)
    frames = _frames(log_of(path))
    last = max((frame.index for frame in frames if frame.good and frame.pages), default=-1)
    with target.open("r+b") as file:
        for frame in frames:
            if frame.good and 0 < frame.index <= last:
                file.seek((frame.page - 1) * len(frame.data))
                file.write(frame.data)
        file.seek(_READ_VERSION.start)
        file.write(b"\x01\x01")


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _frames(log: Path) -> list[Frame]:
    """Return the frames of the log's present round, up to the last that belongs to it. The header counts as frame 0."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return []
    if len(data) < _HEADER.size + _FRAME.size:
        return []
    magic, _, size, _, salt1, salt2, sum1, sum2 = _HEADER.unpack_from(data)
    order = ">" if magic & 1 else "<"
    sound = magic & ~1 == _MAGIC and size in _PAGE_SIZES and _sum(order, data[:24]) == (sum1, sum2)
    if not sound:
        # What the first frame says of its round, and the page size that every journal has, have to do.
        order, size = "<", 4096
        salt1, salt2 = _FRAME.unpack_from(data, _HEADER.size)[2:4]
    step = _FRAME.size + size
    places = range(_HEADER.size, len(data) - step + 1, step)
    mine = [_FRAME.unpack_from(data, place)[2:4] == (salt1, salt2) for place in places]
    last = max((index for index, own in enumerate(mine) if own), default=-1)
    frames = [Frame(0, 0, 0, sound, sound, b"")]
    before = counted = (sum1, sum2)
    for index, place in enumerate(places[: last + 1]):
        page, pages, _, _, *sums = _FRAME.unpack_from(data, place)
        stored = (sums[0], sums[1])
        content = data[place + _FRAME.size : place + step]
        head = data[place : place + 8]
        summed = _sum(order, content, _sum(order, head, before))
        if summed != stored and counted != before and _sum(order, content, _sum(order, head, counted)) == stored:
            # It goes on from what the one before should have said: of that, the checksum alone is bad.
            summed = stored
            frames[-1] = replace(frames[-1], good=frames[-1].page > 0)
        good = mine[index] and summed == stored and page > 0
        frames.append(Frame(index + 1, page, pages, good, good, content))
        before, counted = stored, summed
    return frames


def _sum(order: str, data: bytes, seed: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    one, two = seed
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
