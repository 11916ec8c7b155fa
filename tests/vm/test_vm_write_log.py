"""The replay of a write log: what a flush has made durable is there, and of the rest only what was chosen."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from tests.vm.write_log import DISCARD, FLUSH, MAGIC, SECTOR, Replay, Tail, WriteLog, copy_sparse

DISK_SECTORS = 64


def _log(path: Path, *entries: tuple[int, bytes, int]) -> WriteLog:
    """A log of (sector, data, flags)."""
    out = struct.pack("<QQQI", MAGIC, 1, 0, SECTOR).ljust(SECTOR, b"\0")
    for sector, data, flags in entries:
        out += struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0") + data
    path.write_bytes(out)
    return WriteLog(path)


def _block(letter: str, sectors: int = 1) -> bytes:
    return letter.encode() * (SECTOR * sectors)


@pytest.fixture
def log(tmp_path: Path) -> WriteLog:
    return _log(
        tmp_path / "log",
        (0, _block("a"), 0),
        (1, _block("b"), 0),
        (0, b"", FLUSH),
        (0, _block("c"), 0),
        (4, _block("d", 4), 0),
        (0, b"", FLUSH),
        (1, _block("e"), 0),
    )


@pytest.fixture
def replay(tmp_path: Path, log: WriteLog) -> Replay:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(SECTOR * DISK_SECTORS))
    return Replay(log, disk)


def _letters(disk: Path) -> str:
    data = disk.read_bytes()
    return "".join(chr(data[i * SECTOR] or ord(".")) for i in range(8))


@pytest.mark.parametrize(
    ("count", "tail", "letters", "doubtful"),
    [
        (0, Tail.NONE, "........", 0),
        (2, Tail.NONE, "........", 2),
        (2, Tail.ALL, "ab......", 2),
        (3, Tail.NONE, "ab......", 0),
        (5, Tail.NONE, "ab......", 2),
        (5, Tail.ALL, "cb..dddd", 2),
        (6, Tail.NONE, "cb..dddd", 0),
        (7, Tail.NONE, "cb..dddd", 1),
        (7, Tail.ALL, "ce..dddd", 1),
    ],
)
def test_a_crash_keeps_what_was_flushed(
    tmp_path: Path, replay: Replay, count: int, tail: Tail, letters: str, doubtful: int
) -> None:
    assert replay.crash(count, tmp_path / "copy", tail, random.Random(1)) == doubtful
    assert _letters(tmp_path / "copy") == letters


def test_a_torn_tail_shows_parts_of_it_and_never_touches_what_was_flushed(tmp_path: Path, replay: Replay) -> None:
    seen = set()
    for seed in range(60):
        replay.crash(5, tmp_path / "copy", Tail.TORN, random.Random(seed))
        seen.add(_letters(tmp_path / "copy"))
    assert all(letters[1] == "b" and letters[0] in "ac" for letters in seen)
    assert any(0 < letters.count("d") < 4 for letters in seen)  # torn between sectors
    assert "ab......" in seen


def test_an_entry_that_was_cut_off_does_not_count(tmp_path: Path, log: WriteLog) -> None:
    whole = log.path.read_bytes()
    for cut in (1, SECTOR, SECTOR + 1):
        log.path.write_bytes(whole[:-cut])
        assert len(WriteLog(log.path).entries) == 6


def test_a_size_of_the_log_is_a_moment_in_it(log: WriteLog) -> None:
    assert [log.index_at(entry.end) for entry in log.entries] == [1, 2, 3, 4, 5, 6, 7]
    assert log.index_at(log.entries[3].end - 1) == 3
    assert [log.durable(count) for count in range(8)] == [0, 0, 0, 3, 3, 3, 6, 6]


def test_a_discard_has_no_data_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    discard = struct.pack("<QQQQ", 8, 100, DISCARD, 0).ljust(SECTOR, b"\0")
    path.write_bytes(_log(path, (1, _block("x"), 0)).path.read_bytes() + discard)
    assert [entry.has_data for entry in WriteLog(path).entries] == [True, False]


def test_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"something else" * 100)
    with pytest.raises(ValueError, match="no write log"):
        WriteLog(tmp_path / "log")


def test_a_replay_does_not_go_back(tmp_path: Path, replay: Replay) -> None:
    replay.forward(5)
    with pytest.raises(ValueError, match="fresh copy"):
        replay.crash(2, tmp_path / "copy", Tail.NONE, random.Random(1))


def test_a_sparse_copy_is_the_same(tmp_path: Path) -> None:
    with (tmp_path / "disk").open("wb") as disk:
        disk.truncate(1 << 20)
        for place in (0, 300_000, (1 << 20) - 5):
            disk.seek(place)
            disk.write(b"12345")
    copy_sparse(tmp_path / "disk", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "disk").read_bytes()
