"""Keeps what a restart is for, over the restart (2.0.1 B01.FR.09). ``agent.ocpp.restart_port.RestartPort``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.ocpp.restart_port import BootReason
from agent.station.commands import ResetKind
from agent.station.effects import Effect, Keep

TABLE, KEY = "station", "start"

TELLS_FIRST = (ResetKind.IMMEDIATE, ResetKind.ON_IDLE, ResetKind.RESUME)
"""Resets of OCPP 2: the network hears of the transactions first (B12.FR.04)."""

LAST_WORDS_S = 5.0
"""What is not told by then is told after the restart (B12.FR.05)."""

OF_KIND = {ResetKind.ON_IDLE: BootReason.SCHEDULED_RESET}
"""Every other reset by the network is RemoteReset."""


async def last_words(waits: Callable[[], bool]) -> None:
    """Return when nothing waits any more to be told, or after a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            while waits():  # noqa: ASYNC110 (the journal has no event)
                await asyncio.sleep(0.05)


class Restarts:
    """``updating``: this start is the one that an installation ended with. A reason is durable when noted."""

    def __init__(
        self,
        kept: Mapping[str, Any],
        boot: str,
        updating: Callable[[], bool],
        carry_out: Callable[[Sequence[Effect]], None],
    ) -> None:
        """``kept``: documents of the table ``station``; ``boot``: which start of the machine this is."""
        self._boot = boot
        self._carry_out = carry_out
        self._kept: dict[str, Any] | None = None
        before = kept.get(KEY)
        before = before if isinstance(before, Mapping) else {}
        self.reason = _reason_of(before, boot)
        if updating():
            self.reason = BootReason.FIRMWARE_UPDATE

    def begun(self) -> None:
        """The agent runs. Until a network has accepted a boot, the reason outlives further starts."""
        self._keep({"boot": self._boot, "for": self.reason.value})

    def told(self) -> None:
        self._keep({"boot": self._boot})

    def reset(self, kind: ResetKind) -> None:
        """The network has asked for it."""
        self.note(OF_KIND.get(kind, BootReason.REMOTE_RESET))

    def note(self, reason: BootReason) -> None:
        """The next start will be for this."""
        self._keep({"boot": self._boot, "for": reason.value})

    def leaving(self) -> None:
        """In good order, by somebody's command; whatever has been noted before counts."""
        if self._kept is None or "for" not in self._kept:
            self.note(BootReason.LOCAL_RESET)

    def _keep(self, document: dict[str, Any]) -> None:
        if document != self._kept:
            self._kept = document
            self._carry_out([Keep(TABLE, KEY, document)])


def _reason_of(before: Mapping[str, Any], boot: str) -> BootReason:
    try:
        noted = BootReason(before.get("for"))
    except ValueError:
        noted = None
    if before.get("boot") == boot:
        return noted or BootReason.APPLICATION_RESET
    # The machine was off or has restarted: for what had been noted, unless that was of the agent alone.
    agent_alone = (None, BootReason.LOCAL_RESET, BootReason.APPLICATION_RESET)
    return BootReason.POWER_UP if noted in agent_alone else noted
