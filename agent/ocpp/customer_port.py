"""What is stored of one driver, as OCPP 2 asks for it (N09, N10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.station.tokens import Token


class CustomerPort(Protocol):
    def held(self, token: Token) -> Sequence[str]:
        """Return a line for each thing that is stored of a driver; none when nothing is."""

    def forget(self, token: Token) -> bool:
        """Remove all of it, durably, but what the local list says. False, and nothing removed, while a transaction of
        the driver is open or waits for delivery."""
