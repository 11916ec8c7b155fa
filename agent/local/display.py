"""The local API's side of the driver's display: what the network wants shown at each EVSE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.local.methods import Method, observe
from agent.local.topics import Published
from agent.station.documents import DisplayDocument


class Display(Protocol):
    def shown(self) -> Sequence[DisplayDocument]:
        """Of each EVSE, as it is now."""


def methods(display: Display) -> dict[str, Method]:
    """Nothing is called here."""

    def messages() -> list[DisplayDocument]:
        """What the network wants the driver to be shown at each EVSE now. The topic `display` tells when it changes."""
        return list(display.shown())

    return {"display.messages": observe(messages)}


def topics() -> dict[str, Published]:
    return {
        "display": Published(
            "what the network wants the driver to be shown at an EVSE, at once when it changes, also with "
            "time alone: [DisplayDocument](#displaydocument). Ask `display.messages` first"
        )
    }
