"""Waiting until something is true that only changes at known moments."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Waiter:
    ready: Callable[[], bool]
    future: asyncio.Future[None]


class Waiting:
    """Tasks that wait for a condition; ``wake`` after every change that may have made one true."""

    def __init__(self) -> None:
        self._waiters: list[_Waiter] = []

    async def until(self, ready: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Return once ``ready()`` is true. Raises ``TimeoutError``."""
        if ready():
            return
        waiter = _Waiter(ready, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.future
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)

    def wake(self) -> None:
        """Ask every condition again."""
        for waiter in self._waiters:
            if not waiter.future.done() and waiter.ready():
                waiter.future.set_result(None)
