"""The driver's display: the network's messages, kept over restarts, and what of them is to be shown at each EVSE now.

The display itself is a client of the local API. It is told when something changes, also when only time has passed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from agent.station.display.message import (
    FORMATS,
    STATES,
    Message,
    MessageFilter,
    MessagePriority,
    SetAnswer,
    document_of,
    message_of,
)
from agent.station.display.resolve import Scene, in_language, next_change, over, showing
from agent.station.documents import DisplayDocument, MessageDocument, moment
from agent.station.effects import ShowMessages
from agent.station.evse import Evse
from agent.station.price_texts import plain
from agent.station.site import Site

log = logging.getLogger(__name__)

TABLE = "display"
DRIVERS = "drivers"
CAPACITY = 50
"""Messages (DisplayMessageCtrlr.DisplayMessages, maxLimit)."""
MAX_DRIVERS = 50
"""Drivers whose languages are remembered; the oldest goes first."""
LONGEST_LANGUAGE = 16


class Display:
    """``open_transactions``: their identities."""

    def __init__(
        self,
        site: Site,
        kept: Mapping[str, Mapping[str, Any]],
        open_transactions: Callable[[], Collection[str]],
    ) -> None:
        self._site = site
        self._open = open_transactions
        self._messages: dict[int, Message] = {}
        self._drivers: dict[str, tuple[str, ...]] = {}
        self._told: dict[int, DisplayDocument] = {}
        for key, document in kept.get(TABLE, {}).items():
            try:
                self._load(key, document)
            except (KeyError, TypeError, ValueError) as error:
                log.error("the kept message %s cannot be read and is dropped: %r", key, error)
                site.keep(TABLE, key, None)

    def _load(self, key: str, document: Any) -> None:
        if key == DRIVERS:
            self._drivers = {token: tuple(map(str, languages)) for token, languages in document.items()}
        else:
            message = message_of(document)
            self._messages[message.id] = message

    # ---- what the network says ----------------------------------------------------------------------------------

    def set(self, message: Message) -> tuple[SetAnswer, str]:
        """Take a message, in the place of the one with its id (O06). Return the answer and why not."""
        if message.state is not None and message.state not in STATES:
            return SetAnswer.NOT_SUPPORTED_STATE, "no vehicle is discharged here"
        for content in message.contents:
            if content.format not in FORMATS:
                known = ", ".join(each.value for each in FORMATS)
                return SetAnswer.NOT_SUPPORTED_FORMAT, f"{content.format.value} is not shown; send {known}"
        if message.transaction and message.transaction not in self._open():
            return SetAnswer.UNKNOWN_TRANSACTION, "no such transaction is open"
        if why := self._objection(message):
            return SetAnswer.REJECTED, why
        replaced = [message.id]
        if message.priority is MessagePriority.ALWAYS_FRONT:  # O01.FR.16
            replaced += [old.id for old in self._messages.values() if old.priority is MessagePriority.ALWAYS_FRONT]
        rest = {number: old for number, old in self._messages.items() if number not in replaced}
        if len(rest) >= CAPACITY:  # O01.FR.11
            return SetAnswer.REJECTED, f"{CAPACITY} messages are kept already; clear one"
        for number in self._messages.keys() - rest.keys():
            self._site.keep(TABLE, str(number), None)
        self._messages = {**rest, message.id: message}
        self._site.keep(TABLE, str(message.id), document_of(message))
        return SetAnswer.ACCEPTED, ""

    def _objection(self, message: Message) -> str:
        panel = message.panel
        if panel is not None and panel.evse and panel.evse not in self._site.evses:
            return f"there is no EVSE {panel.evse}"
        start, end = message.start_utc_s, message.end_utc_s
        return "it ends before it starts" if start is not None and end is not None and end <= start else ""

    def clear(self, number: int) -> bool:
        """False when there is none of this id."""
        if self._messages.pop(number, None) is None:
            return False
        self._site.keep(TABLE, str(number), None)
        return True

    def matching(self, which: MessageFilter) -> Sequence[Message]:
        """Return them by id. What is over, or of a transaction that has ended, is gone (O01.FR.07, O02.FR.02)."""
        self._forget()
        return [self._messages[number] for number in sorted(self._messages) if which.takes(self._messages[number])]

    @property
    def count(self) -> int:
        return len(self._messages)

    def prefer(self, token_key: str, languages: Iterable[str]) -> None:
        """This driver reads these languages, the best one first."""
        wanted = tuple(language[:LONGEST_LANGUAGE] for language in languages)
        if not wanted or self._drivers.get(token_key) == wanted:
            return
        self._drivers.pop(token_key, None)
        self._drivers[token_key] = wanted
        while len(self._drivers) > MAX_DRIVERS:
            del self._drivers[next(iter(self._drivers))]
        self._site.keep(TABLE, DRIVERS, {key: list(found) for key, found in self._drivers.items()})

    def languages(self, evse: Evse) -> tuple[str, ...]:
        """Return what is tried at an EVSE: the driver's languages, then the display's."""
        session = evse.session
        own = self._drivers.get(session.token.key, ()) if session is not None else ()
        return (*own, self._site.settings.string("DisplayMessageCtrlr.Language"))

    # ---- one step -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Forget what is over, and tell what is shown where that has changed."""
        self._forget()
        for evse in self._site.evses.values():
            document = self.document(evse)
            if self._told.get(evse.id) != document:
                self._told[evse.id] = document
                self._site.emit(ShowMessages(document))

    def _forget(self) -> None:
        transactions = {message.transaction for message in self._messages.values() if message.transaction}
        gone = transactions - set(self._open()) if transactions else set()
        # A clock that nobody has confirmed may be years ahead: what is over by it is not shown, but kept.
        sure, utc_s = self._site.moment.synced, self._site.moment.utc_s
        for message in tuple(self._messages.values()):
            if message.transaction in gone or (sure and over(message, utc_s)):
                self.clear(message.id)

    def wake(self) -> float | None:
        at_utc_s = next_change(self._messages.values(), self._site.moment.utc_s)
        return None if at_utc_s is None else self._site.now + at_utc_s - self._site.moment.utc_s

    # ---- what is shown ------------------------------------------------------------------------------------------

    def document(self, evse: Evse) -> DisplayDocument:
        session = evse.session
        transaction = session.transaction if session is not None and session.open else ""
        found = showing(self._messages.values(), Scene(evse.id, evse.status, transaction), self._site.moment.utc_s)
        languages = self.languages(evse)
        return {
            "evse": evse.id,
            "priority": found[0].priority.value if found else None,
            "messages": [_document(message, languages) for message in found],
        }


def _document(message: Message, languages: Sequence[str]) -> MessageDocument:
    content = in_language(message.contents, languages)
    return {
        "id": message.id,
        "text": plain(content.text),
        "format": content.format.value,
        "language": content.language,
        "until": moment(message.end_utc_s),
    }
