"""Waits for an agent that starts anew because a command asked it to, so that the next command finds it."""

from __future__ import annotations

import time

from agent.console.api import UnreachableError
from agent.console.context import Context

LEAVES_S = 1.0
PATIENCE_S = 60.0


def wait_back(context: Context) -> bool:
    """Wait until the agent answers again. The connection is given up: what a log-in gave is gone with it."""
    deadline = time.monotonic() + PATIENCE_S
    context.api.close()
    context.pause(LEAVES_S)
    try:
        while time.monotonic() < deadline:
            try:
                context.call("version")
            except UnreachableError:
                context.pause(0.5)
            else:
                return True
        return False
    finally:
        context.api.close()  # the next command connects, and asks for the PIN where one is needed
