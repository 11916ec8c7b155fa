"""Which version of OCPP an attack is played in, and the names that its messages have there.

``with speaking("ocpp2.0.1"): attack.short(…)`` plays it under 2.0.1. Places and sites ask ``speech()`` when made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Speech:
    """One version."""

    subprotocol: str
    start: str
    values: str
    stop: str

    @property
    def old(self) -> bool:
        return self.subprotocol == "ocpp1.6"

    @property
    def transaction_messages(self) -> tuple[str, ...]:
        """What tells of transactions; a rule for one of them is given three times where one message does it all."""
        return (self.start, self.values, self.stop)


_ALL = {
    "ocpp1.6": Speech("ocpp1.6", "StartTransaction", "MeterValues", "StopTransaction"),
    "ocpp2.0.1": Speech("ocpp2.0.1", *["TransactionEvent"] * 3),
    "ocpp2.1": Speech("ocpp2.1", *["TransactionEvent"] * 3),
}
SUBPROTOCOLS = tuple(_ALL)
_spoken: ContextVar[Speech] = ContextVar("spoken", default=_ALL["ocpp1.6"])


def speech() -> Speech:
    """What is spoken here."""
    return _spoken.get()


@contextlib.contextmanager
def speaking(subprotocol: str) -> Iterator[None]:
    """Play what is in the block under this version."""
    token = _spoken.set(_ALL[subprotocol])
    try:
        yield
    finally:
        _spoken.reset(token)
