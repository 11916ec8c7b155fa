"""The network sets a PIN of the service port: DataTransfer, vendorId org.evse-agent, messageId SetServicePin.

The PIN itself never crosses the network nor our log: its scrypt hash does (``agent.local.access``), made by the
operator's own system. docs/security.md says how.
"""

from __future__ import annotations

import json
from typing import Protocol

MESSAGE = "SetServicePin"


class PinPort(Protocol):
    def set_service_pin(self, role: str, stored: str) -> str:
        """Store a PIN's hash for a role. Return why it is refused; empty when it is not."""


def set_service_pin(station: PinPort, data: str) -> tuple[bool, str]:
    """Carry out one message. Returns (accepted, why not)."""
    try:
        asked = json.loads(data)
    except ValueError:
        return False, "data must be a JSON object with role and hash"
    if not isinstance(asked, dict) or set(asked) - {"role", "hash"}:
        return False, "data must be a JSON object with role and hash"
    role, stored = asked.get("role", "service"), asked.get("hash")
    if not isinstance(role, str) or not isinstance(stored, str):
        return False, "role and hash must be texts"
    why = station.set_service_pin(role, stored)
    return not why, why
