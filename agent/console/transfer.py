"""A file out of the agent: to the technician's disk, or over the line as text that any terminal can log.

Over the line it stands between two marks, with its length and SHA-256, in lines of base64:

    -----BEGIN EVSE-AGENT FILE name=records.jsonl length=4711 sha256=9f86…-----
    eyJzZXEiOiAx…
    -----END EVSE-AGENT FILE-----
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.durable import put_in_place

LINE = 76
LINE_NAME = "-"
"""Stands for the line where a file's name is asked for."""


def over_the_line(name: str, data: bytes) -> Iterator[str]:
    """Yield the lines that carry a file."""
    yield f"-----BEGIN EVSE-AGENT FILE name={name} length={len(data)} sha256={hashlib.sha256(data).hexdigest()}-----"
    text = base64.b64encode(data).decode("ascii")
    for at in range(0, len(text), LINE):
        yield text[at : at + LINE]
    yield "-----END EVSE-AGENT FILE-----"


def to_file(path: Path, chunks: Iterable[bytes]) -> tuple[int, str]:
    """Write a file, readable by its owner, complete on the disk before it has its name. Return length and SHA-256.
    Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    length, digest = 0, hashlib.sha256()
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                length += len(chunk)
                digest.update(chunk)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return length, digest.hexdigest()
