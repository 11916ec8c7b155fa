"""The permit as a lease: what the agent allows, and what is left of it when the agent falls silent."""

from __future__ import annotations

import math
from enum import Enum

from agent.control.timing import MAX_LEASE_S
from agent.link.messages import Permit
from hal.duty import MIN_CURRENT_A


class Lease(Enum):
    NONE = "none"
    """No permit was given, or it was withdrawn."""
    LIVE = "live"
    FAIL_SAFE = "fail_safe"
    """The lease ran out; the fail-safe current may still be drawn."""
    EXPIRED = "expired"
    """The fail-safe time is over too."""


class PermitHolder:
    """Holds the last permit of one EVSE. Time is monotonic seconds."""

    __slots__ = ("_expires_at", "_fail_safe_a", "_fail_safe_s", "permit")

    def __init__(self, fail_safe_a: float, fail_safe_s: float) -> None:
        self._fail_safe_a = fail_safe_a
        self._fail_safe_s = fail_safe_s
        self._expires_at = float("-inf")
        self.permit: Permit | None = None

    def grant(self, permit: Permit, now: float) -> str:
        """Take a permit in place of the one before. Returns why it is refused, or an empty text.

        A refused permit leaves none in force: an agent that sends nonsense has not allowed anything.
        """
        self.permit = None
        if not (math.isfinite(permit.current_a) and permit.current_a >= 0.0):
            return f"permit of {permit.current_a} A: the current must be 0 or more"
        if permit.phases not in (1, 2, 3):
            return f"permit for {permit.phases} phases: must be 1 to 3"
        if not permit.lease_s > 0.0:
            return f"permit for {permit.lease_s} s: the lease must be longer than 0"
        self.permit = permit
        self._expires_at = now + min(permit.lease_s, MAX_LEASE_S)
        return ""

    def withdraw(self) -> None:
        self.permit = None

    def lease(self, now: float) -> Lease:
        if self.permit is None:
            return Lease.NONE
        if now < self._expires_at:
            return Lease.LIVE
        if self._fail_safe_a >= MIN_CURRENT_A and now < self._expires_at + self._fail_safe_s:
            return Lease.FAIL_SAFE
        return Lease.EXPIRED

    def limit(self, now: float) -> tuple[str, float]:
        """Return name and value in ampere of the limit the lease sets now. A fail-safe never raises a permit."""
        lease = self.lease(now)
        if self.permit is None or lease is Lease.EXPIRED:
            return "permit", 0.0
        if lease is Lease.LIVE:
            return "permit", self.permit.current_a
        return "fail_safe", min(self._fail_safe_a, self.permit.current_a)
