"""What a technician may try through the local API: lock, state F, lights, card reader. Control has the last word."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypedDict

from agent.link.messages import ToControl, TryIndication, TryLock, TryPilot
from agent.local.card_trial import LONGEST_S, CardDocument, CardTrial
from agent.local.desk import Desk
from agent.local.inputs import known
from agent.local.methods import Method, service
from agent.local.roles import Role
from agent.local.rpc import RpcError


class TriedDocument(TypedDict):
    evse: int
    at_s: float
    """When control took it: its monotonic seconds."""


class CardsDocument(TypedDict):
    evse: int
    """Where the reader belongs; 0: it serves every EVSE."""
    left_s: float
    cards: list[CardDocument]


def methods(
    evses: Collection[int],
    desk: Desk,
    cards: CardTrial,
    place_of: Callable[[int], int],
    in_use: Callable[[int], bool],
    now: Callable[[], float],
) -> dict[str, Method]:
    """``place_of``: the EVSE whose reader serves an EVSE (0: one for all; raises RpcError without any); ``in_use``:
    somebody charges, or is about to, at an EVSE (0: at any)."""

    async def tried(evse: int, make: Callable[[int], ToControl]) -> TriedDocument:
        known(evses, evse)
        answer = await desk.ask(make)
        return {"evse": evse, "at_s": answer.at}

    async def lock(evse: int, locked: bool, hold_s: float = 3.0) -> TriedDocument:
        """Close or open the lock of an idle, empty outlet; it opens by itself after ``hold_s``."""
        return await tried(evse, lambda number: TryLock(evse, locked, float(hold_s), number))

    async def pilot(evse: int, hold_s: float = 1.5) -> TriedDocument:
        """Show state F at an idle, unplugged EVSE for ``hold_s``, at most 3 s."""
        return await tried(evse, lambda number: TryPilot(evse, float(hold_s), number))

    async def indication(evse: int, indication: str, hold_s: float = 5.0) -> TriedDocument:
        """Show an indication at an idle, unplugged EVSE for ``hold_s``, at most 10 s."""
        return await tried(evse, lambda number: TryIndication(evse, indication[:40], float(hold_s), number))

    def reader(evse: int, seconds: float = 30.0) -> CardsDocument:
        """For so long (0: not any more) cards at the reader of an EVSE start nothing, and ``trial.cards`` tells them.
        Refused while somebody charges there."""
        known(evses, evse)
        place = place_of(evse)
        if not 0.0 <= seconds <= LONGEST_S:
            raise RpcError(f"seconds must be 0 to {LONGEST_S:g}")
        if seconds == 0.0:
            cards.end(place, now())
        elif in_use(place):
            raise RpcError("somebody charges or waits where this reader serves; test it when all is idle")
        else:
            cards.begin(place, seconds, now())
        return told(place)

    def shown(evse: int) -> CardsDocument:
        """The cards that were shown since ``trial.reader``, with their whole numbers."""
        known(evses, evse)
        return told(place_of(evse))

    def told(place: int) -> CardsDocument:
        return {"evse": place, "left_s": cards.left_s(place, now()), "cards": cards.cards(place)}

    return {
        "trial.lock": service(lock),
        "trial.pilot": service(pilot),
        "trial.indication": service(indication),
        "trial.reader": service(reader),
        "trial.cards": Method(shown, Role.SERVICE),
    }
