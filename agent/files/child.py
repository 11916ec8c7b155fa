"""Runs a transfer in a process of its own, from the agent's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

from agent.files.job import Job, TransferError, Trouble

Progress = Callable[[int, int | None], None]


async def transfer(job: Job, longest_s: float, progress: Progress = lambda _done, _total: None) -> int:
    """Do one try of a job. Return the size of the file. Raises TransferError.

    Cancelling it, or ``longest_s``, kills the process.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.files.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise TransferError(Trouble.BROKEN, f"the transfer process cannot be started: {error}") from error
    try:
        async with asyncio.timeout(longest_s):
            return await _talk(process, job, progress)
    except TimeoutError:
        raise TransferError(Trouble.BROKEN, f"not done after {longest_s:.0f} s") from None
    finally:
        await _end(process)


async def _talk(process: asyncio.subprocess.Process, job: Job, progress: Progress) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(job.line())
        await process.stdin.drain()
        process.stdin.close()
    while line := await process.stdout.readline():
        try:
            said: Any = json.loads(line)
        except ValueError:
            continue
        if "done" in said:
            return int(said["done"])
        if "failed" in said:
            raise TransferError(Trouble(said["failed"]), str(said["text"]))
        if "progress" in said:
            progress(int(said["progress"]), said.get("total"))
    raise TransferError(Trouble.BROKEN, "the transfer process ended without a word")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await process.wait()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await asyncio.shield(process.wait())
