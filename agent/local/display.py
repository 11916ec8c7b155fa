"""The local API's side of the driver's display: what the network wants shown at each EVSE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.local.methods import Method, observe, operate
from agent.local.rpc import RpcError
from agent.local.topics import Published
from agent.station.documents import DisplayDocument


class Display(Protocol):
    def price_refused(self, evse: int) -> bool:
        """The driver at an EVSE does not accept what it costs. KeyError for no such EVSE."""

    def shown(self) -> Sequence[DisplayDocument]:
        """Of each EVSE, as it is now."""


def methods(display: Display) -> dict[str, Method]:
    """Nothing is called here."""

    def messages() -> list[DisplayDocument]:
        """What the network wants the driver to be shown at each EVSE now. The topic `display` tells when it changes."""
        return list(display.shown())

    def refuse_price(evse: int) -> dict[str, bool]:
        """The driver at this EVSE does not accept what it costs: he is not authorised any more, and no energy flows for
        him."""
        try:
            done = display.price_refused(evse)
        except KeyError:
            raise RpcError(f"there is no EVSE {evse}") from None
        if not done:
            raise RpcError(f"nobody is authorised at EVSE {evse}")
        return {"refused": True}

    return {"display.messages": observe(messages), "display.refuse_price": operate(refuse_price)}


def topics() -> dict[str, Published]:
    return {
        "display": Published(
            "what the network wants the driver to be shown at an EVSE, at once when it changes, also with "
            "time alone: [DisplayDocument](#displaydocument). Ask `display.messages` first"
        )
    }
