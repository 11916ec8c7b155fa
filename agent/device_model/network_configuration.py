"""One slot of network connection profiles as a component (OCPP 2.1 NetworkConfiguration): what it is made of.

The room that keeps the slots implements ``NetworkSlot`` and adds ``slot_entries`` to the device model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from agent.device_model.variables import Attribute, Change, Characteristics, Component, DataType, Entry, Variable

INTERFACES = tuple(f"{kind}{number}" for kind in ("Wired", "Wireless") for number in range(4))

VARIABLES: tuple[tuple[str, Characteristics, bool], ...] = (
    ("OcppCsmsUrl", Characteristics(DataType.STRING, maximum=2000), True),
    ("OcppInterface", Characteristics(DataType.OPTION_LIST, choices=(*INTERFACES, "Any")), True),
    ("OcppTransport", Characteristics(DataType.OPTION_LIST, choices=("JSON",)), True),
    ("OcppVersion", Characteristics(DataType.OPTION_LIST, choices=("OCPP16", "OCPP201", "OCPP21")), True),
    ("MessageTimeout", Characteristics(DataType.INTEGER, "s", 1, 600), True),
    ("SecurityProfile", Characteristics(DataType.INTEGER, minimum=0, maximum=3), True),
    ("Identity", Characteristics(DataType.STRING, maximum=48), True),
    ("BasicAuthPassword", Characteristics(DataType.STRING, maximum=64), False),
    ("VpnEnabled", Characteristics(DataType.BOOLEAN), True),
    ("ApnEnabled", Characteristics(DataType.BOOLEAN), True),
)
"""(name, what it may hold, whether it may be read)"""

_HELP = {
    "OcppCsmsUrl": "ws:// or wss:// address of the network, without the identity",
    "OcppInterface": "as the network named it; the routes are the machine's",
    "OcppTransport": "the only one",
    "OcppVersion": "spoken there",
    "MessageTimeout": "wait for an answer there; none: OCPPCommCtrlr.MessageTimeout holds",
    "SecurityProfile": "of the connection",
    "Identity": "of this charge point there",
    "BasicAuthPassword": "there; none: that of the network in use",
    "VpnEnabled": "tunnels are set up on the machine",
    "ApnEnabled": "the modem is set up on the machine",
}


class NetworkSlot(Protocol):
    """One slot, filled or not."""

    @property
    def number(self) -> int: ...
    def read(self, name: str) -> str | None:
        """Value of a variable of ``VARIABLES``; None while the slot is empty."""

    def change(self, name: str, text: str) -> Change:
        """Check, keep and apply it."""

    def writable(self, name: str) -> bool: ...


def slot_entries(slot: NetworkSlot) -> Iterator[Entry]:
    """Return the variables of one slot: component NetworkConfiguration, whose instance is the slot's number."""
    component = Component("NetworkConfiguration", str(slot.number))
    for name, what, readable in VARIABLES:
        yield Entry(component, Variable(name), what, (_attribute(slot, name, readable),), help=_HELP[name])


def _attribute(slot: NetworkSlot, name: str, readable: bool) -> Attribute:
    return Attribute(
        (lambda: slot.read(name)) if readable else None,
        (lambda text: slot.change(name, text)) if slot.writable(name) else None,
        persistent=True,
    )
