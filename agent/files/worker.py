"""The transfer process: takes one job from stdin, does it, tells progress and the end on stdout.

A process of its own, because a name look-up cannot be cut short in a thread, because it can be killed at any point,
and because the agent need not carry FTP and HTTP in its memory. It runs at low priority.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from agent.files.job import Job, TransferError, Trouble, Work

PROGRESS_S = 1.0
_PR_SET_PDEATHSIG = 1


def main() -> int:
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    with contextlib.suppress(OSError):
        os.nice(10)
    try:
        job = Job.read(sys.stdin.buffer.readline())
        size = perform(job, _reporter())
    except TransferError as error:
        _say({"failed": error.trouble.value, "text": str(error)})
    except Exception as error:  # noqa: BLE001 (whatever a server can make a library raise is a failed transfer)
        _say({"failed": Trouble.BROKEN.value, "text": f"{type(error).__name__}: {str(error)[:200]}"})
    else:
        _say({"done": size})
    return 0


def perform(job: Job, progress: Callable[[int, int | None], None]) -> int:
    """Do the job. Return the size of the file in bytes. Raises TransferError."""
    from agent.files.address import AddressError, parse

    try:
        address = parse(job.address, job.schemes)
    except AddressError as error:
        raise TransferError(Trouble.BAD_ADDRESS, str(error)) from None
    if address.scheme in ("http", "https"):
        from agent.files import over_http as over
    else:
        from agent.files import over_ftp as over  # type: ignore[no-redef]
    if job.work is Work.DOWNLOAD:
        from agent.files.partial import Partial

        partial = Partial(job)
        size: int = over.download(job, address, partial, progress)
        partial.finish()
        return size
    from agent.files.bundle import make

    path = make(job)
    try:
        return int(over.upload(job, address, path, progress))
    finally:
        path.unlink(missing_ok=True)


def _reporter() -> Callable[[int, int | None], None]:
    last = 0.0

    def report(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_S:
            last = now
            _say({"progress": done, "total": total})

    return report


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
