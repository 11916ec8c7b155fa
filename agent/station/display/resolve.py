"""What of the messages must be shown now at an EVSE, and in which language. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.station.commands import ConnectorStatus
from agent.station.display.message import Content, Message, MessagePriority, MessageState

FALLBACK = "en"
"""O01.FR.09"""

_STATES = {
    ConnectorStatus.AVAILABLE: {MessageState.IDLE},
    ConnectorStatus.PREPARING: {MessageState.IDLE},
    ConnectorStatus.FINISHING: {MessageState.IDLE},
    ConnectorStatus.RESERVED: {MessageState.IDLE},
    ConnectorStatus.CHARGING: {MessageState.CHARGING},
    # 2.0.1 has no word for a charge that rests: nothing flows then, which is what it calls idle.
    ConnectorStatus.SUSPENDED_EV: {MessageState.SUSPENDED, MessageState.IDLE},
    ConnectorStatus.SUSPENDED_EVSE: {MessageState.SUSPENDED, MessageState.IDLE},
    ConnectorStatus.UNAVAILABLE: {MessageState.UNAVAILABLE},
    ConnectorStatus.FAULTED: {MessageState.FAULTED},
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What an EVSE is doing."""

    evse: int
    status: ConnectorStatus | None
    """None: not known yet; only messages for all states are shown then."""
    transaction: str = ""
    """The one that is open; empty for none."""


def due(message: Message, utc_s: float) -> bool:
    """Tell whether its time is now (O01.FR.06, FR.07)."""
    return (message.start_utc_s is None or utc_s >= message.start_utc_s) and not over(message, utc_s)


def over(message: Message, utc_s: float) -> bool:
    return message.end_utc_s is not None and utc_s >= message.end_utc_s


def fits(message: Message, scene: Scene) -> bool:
    """Tell whether it is meant for this EVSE as it is."""
    if message.panel is not None and message.panel.evse not in (None, 0, scene.evse):
        return False
    if message.transaction and message.transaction != scene.transaction:
        return False
    if message.state is None:
        return True
    return scene.status is not None and message.state in _STATES[scene.status]


def showing(messages: Iterable[Message], scene: Scene, utc_s: float) -> tuple[Message, ...]:
    """Return what is shown, of the highest priority there is; several take turns in this order."""
    found = sorted((each for each in messages if due(each, utc_s) and fits(each, scene)), key=lambda each: each.id)
    for priority in MessagePriority:
        chosen = tuple(each for each in found if each.priority is priority)
        if chosen:
            return chosen
    return ()


def next_change(messages: Iterable[Message], utc_s: float) -> float | None:
    """Return when time alone changes what is shown, in seconds since 1970."""
    times = (at for each in messages for at in (each.start_utc_s, each.end_utc_s))
    return min((at for at in times if at is not None and at > utc_s), default=None)


def in_language(contents: Sequence[Content], wanted: Iterable[str]) -> Content:
    """Return the content in the first of these languages that there is one for (RFC 4647 §3.4), else English, else the
    first (O01.FR.08, FR.09)."""
    for language in (*wanted, FALLBACK):
        for tag in _prefixes(language.casefold()):
            for content in contents:
                if content.language.casefold() == tag:
                    return content
        primary = language.casefold().partition("-")[0]
        for content in contents:
            if primary and content.language.casefold().partition("-")[0] == primary:
                return content
    return contents[0]


def _prefixes(tag: str) -> Iterable[str]:
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
