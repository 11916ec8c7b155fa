"""DataTransfer from the network, any version: by vendor, then by message (OCPP 1.6 §5.6, §7.23; 2.0.1 P01)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

OUR_VENDOR = "org.evse-agent"
"""vendorId of the messages that are our own."""

Payload = dict[str, Any]
Transfer = Callable[[str], tuple[bool, str]]
"""Takes the message's data; returns (accepted, data of the answer)."""


class DataTransfers:
    """Who understands a vendor's message offers it here."""

    def __init__(self) -> None:
        self._offered: dict[str, dict[str, Transfer]] = {}

    @property
    def by_action(self) -> Mapping[str, Callable[[Payload], Payload]]:
        return {"DataTransfer": self._transfer}

    def offer(self, vendor: str, message: str, transfer: Transfer) -> None:
        """``message`` is empty for one that comes without a messageId."""
        self._offered.setdefault(vendor, {})[message] = transfer

    def _transfer(self, payload: Payload) -> Payload:
        return self.carry_out(payload["vendorId"], payload.get("messageId", ""), payload.get("data", ""))

    def carry_out(self, vendor: str, message: str, data: str) -> Payload:
        """Return the answer's payload."""
        messages = self._offered.get(vendor)
        if messages is None:
            return {"status": "UnknownVendorId"}
        transfer = messages.get(message)
        if transfer is None:
            return {"status": "UnknownMessageId"}
        accepted, told = transfer(data)
        answer = {"status": "Accepted" if accepted else "Rejected"}
        return {**answer, "data": told} if told else answer
