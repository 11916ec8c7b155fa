"""What is stored of a customer, told and cleared (N09, N10).

Drivers are known here by their idTokens alone: of a customerIdentifier or a certificate there is never anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from agent.clock import Clock
from agent.ocpp.base import Payload
from agent.ocpp.customer_port import CustomerPort
from agent.ocpp.rpc import Outcome, Priority, Result
from agent.ocpp.times import time_text
from agent.ocpp.v2.block import Block, Handler, Talk
from agent.ocpp.v2.device_words import status_info
from agent.station.tokens import Token

PART = 512
"""Characters of one NotifyCustomerInformation (its schema)."""

MOST_PARTS = 200
"""So many may wait to be sent; a request that would add more is rejected."""

RETRY_S = 10.0

_REFERENCES = ("idToken", "customerIdentifier", "customerCertificate")


class Customer2(Block):
    def __init__(self, talk: Talk, customers: CustomerPort, clock: Clock) -> None:
        super().__init__(talk)
        self._clock = clock
        self._customers = customers
        self._parts: deque[Payload] = deque()
        self._flying = False
        self._next_at = 0.0

    def handlers(self) -> Mapping[str, Handler]:
        return {"CustomerInformation": self._ask}

    def _ask(self, payload: Payload) -> Payload:
        given = [name for name in _REFERENCES if name in payload]
        if len(given) != 1:  # N09.FR.09
            info = status_info("InvalidValue", "give one of idToken, customerIdentifier and customerCertificate")
            return {"status": "Invalid", "statusInfo": info}
        report, clear = payload["report"], payload["clear"]
        if not report and not clear:  # N09.FR.07, N10.FR.07
            return _rejected("MissingParam", "neither report nor clear is wanted")
        told = payload.get("idToken")
        token = None if told is None else Token(told["idToken"], told["type"])
        held = [] if token is None else self._customers.held(token)
        text = "\n".join(held) if report else "cleared"  # N09.FR.06, N10.FR.04, FR.06
        parts = _parts(text, payload["requestId"])
        if len(self._parts) + len(parts) > MOST_PARTS:
            return _rejected("OutOfMemory", "answers to earlier requests wait to be sent")
        if clear and token is not None and not self._customers.forget(token):  # N10.FR.05
            return _rejected("TxInProgress", "a transaction of this driver is open or not delivered yet")
        self._parts.extend(parts)
        return {"status": "Accepted"}

    # ---- what is told ----

    def offer(self, now: float) -> bool:
        if self._flying or now < self._next_at or not self._parts:
            return False
        part = {**self._parts[0], "generatedAt": time_text(self._clock.now().utc_s)}
        self._flying = self._talk.call("NotifyCustomerInformation", part, Priority.STATUS, self._told)
        if not self._flying:
            self._next_at = now + RETRY_S
        return self._flying

    def _told(self, outcome: Outcome, now: float) -> None:
        self._flying = False
        if outcome.result in (Result.ANSWERED, Result.REFUSED):
            self._parts.popleft()
        elif outcome.result is not Result.LOST:
            self._next_at = now + RETRY_S

    def next_wake(self) -> float | None:
        return self._next_at if self._parts and not self._flying else None


def _parts(text: str, request: int) -> Sequence[Payload]:
    """Cut a text into messages (N09.FR.05); an empty one still makes a message: nothing was found."""
    pieces = [text[at : at + PART] for at in range(0, len(text), PART)] or [""]
    last = len(pieces) - 1
    return [
        {"requestId": request, "seqNo": number, "tbc": number < last, "data": piece}
        for number, piece in enumerate(pieces)
    ]


def _rejected(reason: str, detail: str) -> Payload:
    return {"status": "Rejected", "statusInfo": status_info(reason, detail)}
