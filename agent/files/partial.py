"""A download that is not whole yet: resumed where it broke off, moved to its place in one step when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

from agent.durable import sync_folder
from agent.files.job import Job, TransferError, Trouble


class Partial:
    """``<path>.part`` holds the bytes, ``<path>.part.json`` says of which version of the file they are."""

    def __init__(self, job: Job) -> None:
        self.path = Path(job.path)
        self._part = self.path.with_name(self.path.name + ".part")
        self._mark = self.path.with_name(self.path.name + ".part.json")
        self._source = hashlib.sha256(job.address.encode()).hexdigest()
        self._max_bytes = job.max_bytes
        self._reserve = job.reserve_bytes
        self._file: IO[bytes] | None = None
        self.size = 0
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.validator = self._read_mark()
        """ETag, Last-Modified or size that the kept bytes belong to; empty when none are kept."""
        if self.validator:
            with contextlib.suppress(OSError):
                self.size = self._part.stat().st_size

    def _read_mark(self) -> str:
        try:
            mark: Any = json.loads(self._mark.read_text("utf-8"))
        except (OSError, ValueError):
            return ""
        if isinstance(mark, dict) and mark.get("source") == self._source and isinstance(mark.get("validator"), str):
            return str(mark["validator"])
        return ""

    def begin(self, total: int | None, validator: str, *, resume: bool) -> None:
        """Open for the bytes to come. ``total``: size of the whole file, if known. Raises TransferError."""
        if not resume:
            self.size = 0
        if total is not None and total > self._max_bytes:
            raise TransferError(Trouble.TOO_LARGE, f"the file has {total} bytes, {self._max_bytes} are allowed")
        missing = 0 if total is None else total - self.size
        figures = os.statvfs(self.path.parent)
        free = figures.f_bavail * figures.f_frsize
        if free < missing + self._reserve:
            raise TransferError(
                Trouble.NO_SPACE, f"{self.path.parent}: {free} bytes are free, {missing + self._reserve} are needed"
            )
        self._mark.unlink(missing_ok=True)
        self._file = self._part.open("r+b" if resume else "wb")
        self._file.seek(self.size)
        self._file.truncate()
        os.fchmod(self._file.fileno(), 0o600)
        if validator:
            self._mark.write_text(json.dumps({"source": self._source, "validator": validator}), "utf-8")
            self.validator = validator

    def write(self, data: bytes) -> None:
        """Raises TransferError when the file grows beyond what is allowed or the disk is full."""
        assert self._file is not None
        if self.size + len(data) > self._max_bytes:
            raise TransferError(Trouble.TOO_LARGE, f"the file is larger than {self._max_bytes} bytes")
        try:
            self._file.write(data)
        except OSError as error:
            raise TransferError(Trouble.NO_SPACE, f"{self._part}: {error.strerror}") from error
        self.size += len(data)

    def flush(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def finish(self) -> None:
        """Whole: put it in its place, durably."""
        self.flush()
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        self._part.replace(self.path)
        self._mark.unlink(missing_ok=True)
        sync_folder(self.path.parent)


def discard(path: Path) -> None:
    """Delete a download and what is kept of an unfinished one."""
    for one in (path, path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")):
        with contextlib.suppress(OSError):
            one.unlink(missing_ok=True)
