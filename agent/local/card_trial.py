"""Cards shown for a test go to the technician and start nothing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from agent.link.messages import TokenPresented
from agent.station.tokens import Token

LONGEST_S = 120.0
AFTER_S = 3.0
"""A card of the test that is still held when it ends starts nothing either."""
MOST = 20
"""Cards kept."""


class CardDocument(TypedDict):
    reader: str
    kind: str
    uid: str
    masked: str
    after_s: float
    """Since the test began."""


@dataclass(slots=True)
class _Trial:
    began_at: float
    ends_at: float


class CardTrial:
    """One test at a time for each reader's place (0: readers that serve every EVSE). Times are monotonic seconds."""

    def __init__(self) -> None:
        self._trials: dict[int, _Trial] = {}
        self._cards: dict[int, list[CardDocument]] = {}

    def begin(self, place: int, seconds: float, now: float) -> None:
        """Cards at this place start nothing for so long."""
        self._trials[place] = _Trial(now, now + seconds)
        self._cards[place] = []

    def end(self, place: int, now: float) -> None:
        trial = self._trials.get(place)
        if trial is not None:
            trial.ends_at = min(trial.ends_at, now)

    def takes(self, card: TokenPresented, now: float) -> bool:
        """True: it belongs to a test, and nobody else may have it."""
        trial = self._trials.get(card.evse)
        if trial is None or now >= trial.ends_at + AFTER_S:
            return False
        cards = self._cards[card.evse]
        if now >= trial.ends_at:
            return card.uid in [each["uid"] for each in cards]
        if len(cards) < MOST:
            masked = Token(card.uid, card.kind).masked
            after_s = round(now - trial.began_at, 2)
            cards.append(CardDocument(reader=card.reader, kind=card.kind, uid=card.uid, masked=masked, after_s=after_s))
        return True

    def cards(self, place: int) -> list[CardDocument]:
        return list(self._cards.get(place, []))

    def left_s(self, place: int, now: float) -> float:
        """How long the test goes on; 0 when there is none."""
        trial = self._trials.get(place)
        return 0.0 if trial is None else max(0.0, round(trial.ends_at - now, 1))
