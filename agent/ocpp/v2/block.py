"""A functional block of OCPP 2: the messages of one theme, as a part of the session.

A block handles requests of the network, offers messages that can be triggered, and sends what falls due. It only
translates: what is decided is decided by the station and the other rooms, for every version of OCPP alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.config.schema import Config
from agent.journal.events import Event
from agent.ocpp.base import Done, Payload, Reply
from agent.ocpp.part import Part
from agent.ocpp.ports import JournalPort, StationPort, UplinkState
from agent.ocpp.rpc import Priority
from agent.ocpp.session import Surroundings
from agent.ocpp.v2.version import Version
from agent.station.settings import Settings
from agent.station.tokens import Token

CONNECTOR = 1
"""Each EVSE of ours has one connector."""

Handler = Callable[[Payload], Reply]
"""Takes a request that its schema allows; returns the answer, or a coroutine that gives it. Raises RequestRefusedError.

What it queues meanwhile is sent after the answer.
"""

Trigger = Callable[[int | None], bool]
"""Queues the message for an EVSE (None: for all that have one); False: it cannot be sent now."""


class Calling(Protocol):
    def __call__(
        self,
        action: str,
        payload: Payload,
        priority: Priority = ...,
        done: Done = ...,
        expires_at: float | None = None,
    ) -> bool:
        """Queue a call; False when too many wait or its schema forbids it. ``done`` is called exactly once."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What a block works with."""

    version: Version
    around: Surroundings
    call: Calling
    send: Callable[[str, Payload], None]
    """A message without answer, 2.1 only. Raises InvalidPayloadError."""
    state: Callable[[], UplinkState]
    note: Callable[[str, str], None]
    """(kind, text): to a log that cannot be flooded."""
    waits: Callable[[str], bool] = lambda _transaction: False
    """Whether events of a transaction (empty: of any) wait for delivery."""
    triggers: dict[str, Trigger] = field(default_factory=dict)
    """What TriggerMessage may name, by name of the message; every block's are in it before the first request."""

    @property
    def config(self) -> Config:
        return self.around.config

    @property
    def settings(self) -> Settings:
        return self.around.settings

    @property
    def station(self) -> StationPort:
        return self.around.station

    @property
    def journal(self) -> JournalPort:
        return self.around.journal

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.around.now()

    @property
    def online(self) -> bool:
        """The network has accepted a boot, and the connection stands."""
        return self.state() is UplinkState.ACCEPTED

    @property
    def evses(self) -> frozenset[int]:
        return frozenset(evse.id for evse in self.config.evses)

    def knows(self, evse: Mapping[str, Any]) -> bool:
        """True for an EVSE (and connector, where named) that is here."""
        return evse.get("id") in self.evses and evse.get("connectorId", CONNECTOR) == CONNECTOR


class Block(Part):
    """See the module; each method of ``Part`` that a block needs is overridden."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def handlers(self) -> Mapping[str, Handler]:
        """Requests of the network, by action."""
        return {}

    def triggers(self) -> Mapping[str, Trigger]:
        """Messages that the network may ask to be sent (F06)."""
        return {}

    def authorised(self, token: Token, answer: Mapping[str, Any]) -> None:
        """The network has answered an Authorize (AuthorizeResponse). Comes before the outcome is carried out."""

    def complete(self, event: Event, payload: Payload) -> None:
        """Add to the TransactionEvent of an event what this block knows of it. It may be written more than once."""

    def answered(self, event: Event, answer: Mapping[str, Any]) -> None:
        """The network has answered an event of a transaction (TransactionEventResponse), and that is durable."""
