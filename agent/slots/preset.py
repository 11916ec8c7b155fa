"""What section ``update`` means on a machine that was installed in slots and whose file does not say otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.config.schema import Update
from agent.slots.guard import Slots

TRUSTED = Path("/etc/evse-manufacturer")
"""The manufacturer's roots. Root's own folder: those that the network installs are the agent's, who may be attacked."""


def preset(update: Update, slots: Slots | None, trusted: Path = TRUSTED) -> Update:
    """Return ``update`` with the slots' own commands where it names none at all.

    ``slots``: those that this process runs from; None for any other installation, which is left as it is. So is one
    without a manufacturer's root in ``trusted``: nothing could be installed, and nothing is to be offered.
    """
    named = update.install or update.confirm or update.roll_back or update.restart
    if slots is None or named or not any(trusted.glob("*.pem")):
        return update
    ask = (str(slots.current / "bin" / "evse-slots"), "ask")
    return replace(
        update,
        install=(*ask, "install", "{file}"),
        confirm=(*ask, "confirm"),
        roll_back=(*ask, "roll-back"),
        restart=(*ask, "restart"),
    )
