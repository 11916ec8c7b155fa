"""Cards as they are presented: the same card seen again and again is one presentation. Shared by every reader. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hal.drivers.token_format import TokenFormatOptions
from hal.values import TokenKind, TokenRead

MAX_WAITING = 16
"""Cards kept for control until it takes them; the oldest is dropped first."""


@dataclass(slots=True)
class Presentations:
    options: TokenFormatOptions
    debounce_s: float
    _tokens: deque[TokenRead] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    _seen: dict[str, float] = field(default_factory=dict)
    """When each card was last in the field, for those within the debouncing time."""

    def note(self, card: bytes, kind: TokenKind, now: float) -> None:
        """A card was read."""
        uid = self.options.uid_of(card)
        if not uid:
            return
        self._seen = {known: at for known, at in self._seen.items() if now - at < self.debounce_s}
        is_new = uid not in self._seen
        self._seen[uid] = now  # a card that stays in the field is one presentation, however long
        if is_new:
            self._tokens.append(TokenRead(now, uid, kind))

    def take(self) -> list[TokenRead]:
        """Return the cards presented since the last call, oldest first, and forget them."""
        tokens = list(self._tokens)
        self._tokens.clear()
        return tokens
