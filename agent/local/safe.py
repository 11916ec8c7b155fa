"""The local API's methods to open everything, and to take that back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypedDict

from agent.link.messages import OpenNow
from agent.local.desk import Desk
from agent.local.methods import Method, operate, service
from agent.local.rpc import RpcError


class SafeDocument(TypedDict):
    safe: bool
    refused: list[str]
    """Why control could not be told, for each EVSE where that is so; it then opens when its lease ends."""


def methods(evses: Collection[int], desk: Desk, make_safe: Callable[[bool], None]) -> dict[str, Method]:
    """``make_safe`` ends the transactions and takes every EVSE out of service, or gives them back."""

    async def on() -> SafeDocument:
        """Open everything now: end every transaction, open every contactor, take every EVSE out of service until
        ``safe.off``, also over restarts."""
        make_safe(True)
        refused: list[str] = []
        for evse in evses:
            try:
                await desk.ask(lambda number, evse=evse: OpenNow(evse, number))  # type: ignore[misc]
            except RpcError as error:
                refused.append(f"EVSE {evse}: {error}")
        return {"safe": True, "refused": refused}

    def off() -> SafeDocument:
        """Give every EVSE back that ``safe.on`` took out of service."""
        make_safe(False)
        return {"safe": False, "refused": []}

    return {"safe.on": operate(on), "safe.off": service(off)}
