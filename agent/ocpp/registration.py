"""Registration with the network: when to send a BootNotification and what its answer allows.

OCPP 1.6 §4.2; 2.0.1 B01 to B03.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.ocpp.ports import UplinkState

MAX_RETRY_S = 86_400.0
"""A longer wait asked for by the network would lock the charge point out over a slip of the pen."""


class Boot:
    """Where registration stands. Pure; times are monotonic seconds. Lives on from connection to connection."""

    def __init__(self, own_back_off: Callable[[], Iterator[float]]) -> None:
        """``own_back_off`` gives the waits when the network names none (interval 0) or does not answer."""
        self.state = UplinkState.DISCONNECTED
        self._accepted = False
        self._own_back_off = own_back_off
        self._waits = own_back_off()
        self._next_at: float | None = None
        self._rejected_until: float | None = None

    def connected(self, now: float) -> bool:
        """Return True when the registration still stands: after a plain reconnect no boot is sent (errata)."""
        if self._accepted:
            self.state = UplinkState.ACCEPTED
            return True
        if self._rejected_until is not None and now < self._rejected_until:
            self.state = UplinkState.REJECTED
            return False
        self.state = UplinkState.BOOTING
        if self._next_at is None or now >= self._next_at:
            self._next_at = now
        return False

    def renew(self) -> None:
        """The next connection leads to another network, which knows nothing of this registration."""
        self._accepted = False
        self._next_at = self._rejected_until = None
        self._waits = self._own_back_off()

    def lost(self) -> None:
        self.state = UplinkState.DISCONNECTED

    def due(self, now: float) -> bool:
        """Tell whether a BootNotification is to be sent now; when so, count it as sent."""
        if self.state in (UplinkState.ACCEPTED, UplinkState.DISCONNECTED):
            return False
        if self._next_at is None or now < self._next_at:
            return False
        self._next_at = None
        self._rejected_until = None
        if self.state is UplinkState.REJECTED:
            self.state = UplinkState.BOOTING
        return True

    def trigger(self, now: float) -> bool:
        """The network asks for a BootNotification. False once it has accepted one (errata)."""
        if self.state in (UplinkState.ACCEPTED, UplinkState.DISCONNECTED):
            return False
        self._next_at = now
        return True

    def next_wake(self) -> float | None:
        return None if self.state in (UplinkState.ACCEPTED, UplinkState.DISCONNECTED) else self._next_at

    def accepted(self) -> None:
        self.state = UplinkState.ACCEPTED
        self._accepted = True
        self._next_at = None
        self._waits = self._own_back_off()

    def pending(self, interval_s: int, now: float) -> None:
        self.state = UplinkState.PENDING
        self._wait(interval_s, now)

    def rejected(self, interval_s: int, now: float) -> None:
        """Silence, both ways, until the interval has passed."""
        self.state = UplinkState.REJECTED
        self._wait(interval_s, now)
        self._rejected_until = self._next_at

    def unanswered(self, now: float) -> None:
        """No answer, a CALLERROR, or one that says nothing."""
        self._wait(0, now)

    def _wait(self, interval_s: int, now: float) -> None:
        # 1.6 §4.2, B02.FR.07, B03.FR.05: with interval 0 the charge point chooses, and must not flood.
        self._next_at = now + (min(float(interval_s), MAX_RETRY_S) if interval_s > 0 else next(self._waits))
