"""How often a transfer is tried, and when again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_RETRIES = 100
MAX_INTERVAL_S = 86_400.0


@dataclass(slots=True)
class Attempts:
    """``retries`` tries follow the first one (OCPP 2.0.1 says so where 1.6 is vague), ``interval_s`` apart."""

    retries: int
    interval_s: float
    made: int = 0

    def __post_init__(self) -> None:
        self.retries = max(0, min(self.retries, MAX_RETRIES))
        self.interval_s = max(0.0, min(float(self.interval_s), MAX_INTERVAL_S))

    def begin(self) -> None:
        """A try begins."""
        self.made += 1

    def next_at(self, now: float) -> float | None:
        """A try has failed at ``now`` (monotonic seconds). Return when the next one is due; None: give up."""
        return now + self.interval_s if self.made <= self.retries else None

    def document(self) -> dict[str, Any]:
        return {"retries": self.retries, "interval_s": self.interval_s, "made": self.made}

    @classmethod
    def from_document(cls, document: Any) -> Attempts:
        """Raises KeyError, TypeError or ValueError for one that cannot be read."""
        return cls(int(document["retries"]), float(document["interval_s"]), int(document["made"]))
