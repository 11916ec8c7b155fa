"""An update that a technician brings along: copied to where a download would lie, then treated like one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

LOCAL = "file://"
"""Begins the location of such an order. The network cannot give one: its addresses know other schemes only."""

_CHUNK = 1 << 20


def copy_in(source: Path, target: Path, most_bytes: int, progress: Callable[[int, int | None], None]) -> str:
    """Copy a file, whole and on the disk. Return what went wrong, in words; empty when nothing did."""
    partial = target.with_name(target.name + ".copy")
    try:
        with source.open("rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                return f"{source} is no file"
            if about.st_size > most_bytes:
                return f"{source} has {about.st_size} bytes; update.max_megabytes allows {most_bytes}"
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.unlink(missing_ok=True)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as out:
                done = 0
                while (data := file.read(_CHUNK)) and done <= most_bytes:
                    out.write(data)
                    done += len(data)
                    progress(done, about.st_size)
                out.flush()
                os.fsync(handle)
        partial.replace(target)
    except OSError as error:
        return f"{error.filename or source}: {error.strerror or error}"
    return ""
