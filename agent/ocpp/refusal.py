"""How a handler says that a request gets a CALLERROR instead of an answer."""

from __future__ import annotations


class RequestRefusedError(Exception):
    """``code`` is one of OCPP-J 1.6 §4.2.3."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
