"""A hard reset restarts the machine, where the configuration tells how; tried again while it does not go down.

OCPP 1.6 §5.14 and §9.1.20 ResetRetries; OCPP 2.0.1 B12, OCPPCommCtrlr.ResetRetries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

log = logging.getLogger(__name__)

GOES_DOWN_S = 120.0
"""A machine that still runs so long after its restart was commanded has not restarted. Own."""

Run = Callable[[Sequence[str]], Awaitable[int | None]]
"""Runs a command; its exit status, None when it could not be started or took too long."""


async def restart_machine(
    command: Sequence[str],
    retries: int,
    run: Run,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Command the restart up to 1 + ``retries`` times. Returns only when the machine has not gone down."""
    for attempt in range(1, retries + 2):
        status = await run(command)
        if status == 0:
            await sleep(GOES_DOWN_S)
            log.error("the machine still runs %.0f s after %s (try %d)", GOES_DOWN_S, command[0], attempt)
        else:
            log.error("%s did not restart the machine (try %d of %d)", command[0], attempt, retries + 1)
