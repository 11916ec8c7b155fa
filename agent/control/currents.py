"""Over-current against the offer, and trips of the residual-current monitor."""

from __future__ import annotations

from collections import deque

from agent.control.faults import Condition
from agent.control.timing import (
    METER_DELAY_S,
    OVER_CURRENT_FAST_S,
    OVER_CURRENT_S,
    RESIDUAL_BLANKING_S,
    SELF_TEST_TRIP_S,
    US_EARLY_TRIP_S,
    VEHICLE_FOLLOWS_S,
)
from hal.values import MeterReading, ResidualCurrentReading


class OverCurrentWatch:
    """iec61851.md §7: any phase above (offer + 0.5 A) × 1.1 for 7 s stops, above × 1.3 for 1 s opens at once.

    Judged against the highest offer of the time that vehicle and meter need to follow.
    """

    __slots__ = ("_fast_since", "_last_at", "_offers", "_over", "_slow_since")

    def __init__(self) -> None:
        self._offers: deque[tuple[float, float]] = deque()
        self._last_at = float("-inf")
        self._slow_since: float | None = None
        self._fast_since: float | None = None
        self._over: Condition | None = None

    def update(self, meter: MeterReading | None, offered_a: float, closed: bool, now: float) -> Condition | None:
        """``offered_a``: what the pilot offers now (0 when steady); ``closed``: the contactor is commanded closed."""
        self._note_offer(offered_a, now)
        if not closed or meter is None:
            self._slow_since = self._fast_since = self._over = None
            return None
        if meter.at == self._last_at:
            return self._over
        self._last_at = meter.at
        offer_a = max(each for _, each in self._offers)
        highest_a = max(meter.current_a, default=0.0)
        slow_a, fast_a = (offer_a + 0.5) * 1.1, (offer_a + 0.5) * 1.3
        self._slow_since = self._since(self._slow_since, highest_a > slow_a, meter.at)
        self._fast_since = self._since(self._fast_since, highest_a > fast_a, meter.at)
        self._over = None
        text = f"{highest_a:.1f} A drawn where {offer_a:.1f} A are offered"
        if self._fast_since is not None and meter.at - self._fast_since >= OVER_CURRENT_FAST_S:
            self._over = Condition(text, open_after_s=0.0)
        elif self._slow_since is not None and meter.at - self._slow_since >= OVER_CURRENT_S:
            self._over = Condition(text)
        return self._over

    @staticmethod
    def _since(since: float | None, over: bool, at: float) -> float | None:
        if not over:
            return None
        return at if since is None else since

    def _note_offer(self, offered_a: float, now: float) -> None:
        """Keep each offer until ``VEHICLE_FOLLOWS_S + METER_DELAY_S`` after it was replaced."""
        offers = self._offers
        if offers and offers[-1][1] == offered_a:
            offers[-1] = (now, offered_a)
        else:
            offers.append((now, offered_a))
        while offers[0][0] < now - (VEHICLE_FOLLOWS_S + METER_DELAY_S):
            offers.popleft()


class ResidualCurrentWatch:
    """A trip of the monitor. The device opens by itself; control follows, latches and reports."""

    __slots__ = ("_tripped",)

    def __init__(self) -> None:
        self._tripped = False

    def update(
        self,
        reading: ResidualCurrentReading | None,
        board_flag: bool,
        testing_until: float,
        closed: bool,
        opened_at: float,
        closed_at: float,
        now: float,
    ) -> Condition | None:
        """``testing_until``: when the last self-test was over; ``closed``: the command; ``opened_at``, ``closed_at``:
        its last changes."""
        tripped = board_flag or (reading is not None and reading.tripped)
        if not tripped:
            self._tripped = False
            return None
        if now < testing_until + SELF_TEST_TRIP_S:
            return None  # the test current's own trip, which it must clear by then
        if not self._tripped and not closed and not board_flag and now - opened_at < RESIDUAL_BLANKING_S:
            return None  # iec61851.md §8.1 ignores 1 s after each switching; we do so after opening only
        self._tripped = True
        early = now - closed_at < US_EARLY_TRIP_S
        text = "tripped within 10 s of closing" if early else "tripped"
        return Condition(f"residual-current monitor {text}", final=early)
