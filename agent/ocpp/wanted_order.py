"""What the next start of the agent shall try: another order of the slots, other contents of those in it (B10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.ocpp.network_profile import NetworkProfile, from_document


@dataclass(slots=True)
class WantedOrder:
    contents: dict[int, NetworkProfile] = field(default_factory=dict)
    """By slot."""
    priority: tuple[int, ...] | None = None
    """None: the present one."""
    starts: int = 0
    """Of the agent since it was tried first."""

    def __bool__(self) -> bool:
        return bool(self.contents) or self.priority is not None

    def document(self) -> dict[str, Any] | None:
        if not self:
            return None
        return {
            "slots": {str(number): profile.document() for number, profile in self.contents.items()},
            "priority": None if self.priority is None else list(self.priority),
            "starts": self.starts,
        }


def wanted_of(document: Mapping[str, Any] | None) -> WantedOrder:
    """Raises KeyError, ValueError, TypeError or AttributeError for what is none."""
    if document is None:
        return WantedOrder()
    priority = document["priority"]
    return WantedOrder(
        {int(key): from_document(value) for key, value in document["slots"].items()},
        None if priority is None else tuple(map(int, priority)),
        int(document["starts"]),
    )
