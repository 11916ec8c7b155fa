"""What control takes of the machine, as the kernel counts it. The agent may not look into another user's process.

Two small files of /proc, which no disk is behind; read every 10 s, together some 50 µs.
"""

from __future__ import annotations

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def memory_bytes(statm: Path = Path("/proc/self/statm")) -> int | None:
    """Memory that is in use, shared pages included (proc(5), statm: resident); None where the kernel does not tell."""
    try:
        return int(statm.read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None


def written_bytes(io: Path = Path("/proc/self/io")) -> int | None:
    """What was written to disks since control began (proc(5), io: write_bytes); None where the kernel does not tell."""
    try:
        return next(
            int(line.split()[1]) for line in io.read_text("ascii").splitlines() if line.startswith("write_bytes:")
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return None
