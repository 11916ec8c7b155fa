"""A charge controller that runs pilot and contacts by itself, as far as control can see one: polled, late, obedient."""

from __future__ import annotations


class Controller:
    """Told a duty cycle, it offers, and closes its own contacts when the vehicle asks. Told a steady pilot, it gives
    the vehicle some seconds to leave C, then opens. ``seen_*`` is what the last poll brought."""

    poll_s = 0.5
    command_s = 0.1
    """From our command to its effect."""
    closes_s = 0.3
    patience_s = 3.0
    """For a vehicle that stays in C after the offer has ended."""
    watchdog_s = 5.0
    """It stops by itself when nothing has been heard from us for so long."""

    def __init__(self, now: float) -> None:
        self.duty_pct = 100.0
        self.contacts = False
        self.closings = 0
        self.refuses = False
        """It does not close, for a reason of its own."""
        self.seen_letter, self.seen_contacts, self.seen_at = "A", False, now
        self._pending: list[tuple[float, float]] = []
        self._heard_at = now
        self._next_poll = now
        self._asks_since: float | None = None
        self._ended_at: float | None = None

    def told(self, duty_pct: float | None, now: float) -> None:
        """Our command; None while the line is dead."""
        if duty_pct is None:
            return
        self._heard_at = now
        last = self._pending[-1][1] if self._pending else self.duty_pct
        if duty_pct != last:
            self._pending.append((now + self.command_s, duty_pct))

    def step(self, letter: str, welded: bool, stuck_open: bool, line_works: bool, now: float) -> None:
        while self._pending and self._pending[0][0] <= now:
            self.duty_pct = self._pending.pop(0)[1]
        if now - self._heard_at >= self.watchdog_s:
            self.duty_pct = 100.0
        offers = 0.0 < self.duty_pct < 100.0
        asks = letter == "C"
        self._asks_since = (now if self._asks_since is None else self._asks_since) if asks else None
        self._ended_at = None if offers else (now if self._ended_at is None else self._ended_at)
        if self.contacts:
            late = self._ended_at is not None and now - self._ended_at >= self.patience_s
            if not asks or late or self.refuses:
                self.contacts = welded
        elif offers and self._asks_since is not None and now - self._asks_since >= self.closes_s:
            self.contacts = not (stuck_open or self.refuses)
            self.closings += self.contacts
        if line_works and now >= self._next_poll:
            self._next_poll = now + self.poll_s
            self.seen_letter, self.seen_contacts, self.seen_at = letter, self.contacts, now
