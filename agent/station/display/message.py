"""A message for the driver's display (OCPP 2 MessageInfoType), in no protocol's wire form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class MessagePriority(Enum):
    ALWAYS_FRONT = "AlwaysFront"
    """Before everything, the charging station's own texts too; there is only one (O01.FR.15, FR.16)."""
    IN_FRONT = "InFront"
    """Before the normal cycle; several take turns (O01.FR.13, FR.14)."""
    NORMAL_CYCLE = "NormalCycle"
    """Takes turns with what the charging station shows by itself (O01.FR.12)."""


class MessageState(Enum):
    """What the EVSE is doing while a message is shown."""

    CHARGING = "Charging"
    FAULTED = "Faulted"
    IDLE = "Idle"
    UNAVAILABLE = "Unavailable"
    SUSPENDED = "Suspended"
    DISCHARGING = "Discharging"


class MessageFormat(Enum):
    ASCII = "ASCII"
    HTML = "HTML"
    URI = "URI"
    UTF8 = "UTF8"
    QRCODE = "QRCODE"
    """2.1: the content is shown as a QR code."""


FORMATS = (MessageFormat.ASCII, MessageFormat.QRCODE, MessageFormat.URI, MessageFormat.UTF8)
"""HTML is left out: what comes from a network is shown, never interpreted."""

STATES = (
    MessageState.CHARGING,
    MessageState.FAULTED,
    MessageState.IDLE,
    MessageState.SUSPENDED,
    MessageState.UNAVAILABLE,
)
"""No vehicle is discharged here."""


@dataclass(frozen=True, slots=True)
class Content:
    text: str
    format: MessageFormat = MessageFormat.UTF8
    language: str = ""
    """RFC 5646; empty: not told."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Component that shows a message."""

    name: str
    instance: str = ""
    evse: int | None = None
    """None: at every EVSE."""
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """``contents`` has one or more; the first is shown where no language fits better. Times: seconds since 1970."""

    id: int
    priority: MessagePriority
    contents: tuple[Content, ...]
    state: MessageState | None = None
    """None: in all."""
    start_utc_s: float | None = None
    end_utc_s: float | None = None
    transaction: str = ""
    """Shown at its EVSE while it lasts; empty: whoever charges."""
    panel: Panel | None = None


class SetAnswer(Enum):
    """DisplayMessageStatusEnumType."""

    ACCEPTED = "Accepted"
    NOT_SUPPORTED_FORMAT = "NotSupportedMessageFormat"
    REJECTED = "Rejected"
    NOT_SUPPORTED_PRIORITY = "NotSupportedPriority"
    NOT_SUPPORTED_STATE = "NotSupportedState"
    UNKNOWN_TRANSACTION = "UnknownTransaction"
    LANGUAGE_NOT_SUPPORTED = "LanguageNotSupported"


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are meant; what is None does not matter."""

    ids: frozenset[int] | None = None
    priority: MessagePriority | None = None
    state: MessageState | None = None

    def takes(self, message: Message) -> bool:
        return (
            (self.ids is None or message.id in self.ids)
            and self.priority in (None, message.priority)
            and self.state in (None, message.state)
        )


def document_of(message: Message) -> dict[str, Any]:
    """Return it JSON-ready."""
    panel = message.panel
    return {
        "id": message.id,
        "priority": message.priority.value,
        "contents": [[content.text, content.format.value, content.language] for content in message.contents],
        "state": message.state and message.state.value,
        "start_utc_s": message.start_utc_s,
        "end_utc_s": message.end_utc_s,
        "transaction": message.transaction,
        "panel": panel and [panel.name, panel.instance, panel.evse, panel.connector],
    }


def message_of(document: Mapping[str, Any]) -> Message:
    """Rebuild. Raises KeyError, TypeError or ValueError when it is not one of ours."""
    contents = tuple(
        Content(str(text), MessageFormat(kind), str(language)) for text, kind, language in document["contents"]
    )
    if not contents:
        raise ValueError("a message has no text")
    state, panel = document["state"], document["panel"]
    return Message(
        int(document["id"]),
        MessagePriority(document["priority"]),
        contents,
        None if state is None else MessageState(state),
        document["start_utc_s"],
        document["end_utc_s"],
        str(document["transaction"]),
        None if panel is None else Panel(*panel),
    )
