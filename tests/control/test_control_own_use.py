"""What control takes of the machine, against what another look at the kernel says."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from agent.control.own_use import memory_bytes, written_bytes


def test_memory_is_what_the_kernel_says_of_this_process() -> None:
    found = memory_bytes()
    assert found is not None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 4_000_000 < found <= most + 1_000_000


def test_what_is_written_is_counted(tmp_path: Path) -> None:
    io = tmp_path / "io"
    io.write_text(
        "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6144\ncancelled_write_bytes: 7\n"
    )
    assert written_bytes(io) == 6144
    assert written_bytes() is not None, f"no /proc/self/io for user {os.getuid()}"


def test_a_kernel_that_does_not_tell_is_no_error(tmp_path: Path) -> None:
    for text in ("", "resident\n", "1\n"):
        (tmp_path / "file").write_text(text)
        assert memory_bytes(tmp_path / "file") is None
        assert written_bytes(tmp_path / "file") is None
    assert memory_bytes(tmp_path / "none") is None
    assert written_bytes(tmp_path / "none") is None
