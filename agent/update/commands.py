"""Runs the configuration's commands for updates and restarts: no shell, bounded in time, with all their children."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence

from agent.update.order import InstallResult

LOGGER = logging.getLogger(__name__)

EXIT_RESTART_NEEDED = 10
EXIT_VERIFICATION_FAILED = 11

MAX_OUTPUT = 4096


async def run(command: Sequence[str], longest_s: float, **values: str) -> int | None:
    """Run a command. Return its exit status; None when it could not be started or took too long.

    ``{name}`` in a word of the command becomes the value of that name. The end of what it prints goes to the log.
    """
    words = [_filled(word, values) for word in command]
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        LOGGER.error("update: %s cannot be started: %s; look at section update of the config", words[0], error)
        return None
    said = b""
    try:
        async with asyncio.timeout(longest_s):
            assert process.stdout is not None
            while data := await process.stdout.read(MAX_OUTPUT):
                said = (said + data)[-MAX_OUTPUT:]
            status = await process.wait()
    except TimeoutError:
        LOGGER.error("update: %s was not done after %.0f s and is ended", words[0], longest_s)
        return None
    finally:
        # What it left running goes with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
    for line in said.decode("utf-8", "replace").splitlines()[-20:]:
        LOGGER.info("update: %s: %s", words[0], "".join(c if c.isprintable() else "?" for c in line)[:300])
    LOGGER.log(logging.INFO if status == 0 else logging.WARNING, "update: %s ended with %d", words[0], status)
    return status


def result_of(status: int | None) -> InstallResult:
    """What an exit status of the install command means."""
    if status == 0:
        return InstallResult.INSTALLED
    if status == EXIT_RESTART_NEEDED:
        return InstallResult.RESTART_NEEDED
    return InstallResult.VERIFICATION_FAILED if status == EXIT_VERIFICATION_FAILED else InstallResult.FAILED


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word
