"""A CSMS for OCPP 1.6J, 2.0.1 and 2.1 that keeps every frame and its own books, and can misbehave on command.

In a test's own event loop use ``Csms``; to have it in a process of its own (to be killed, or to leave the
test's loop alone) use ``CsmsProcess``. People and scripts use ``evse-sim csms`` and ``evse-sim csms-ctl``.
The words are in ``docs/simulators-csms.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .charge_point import CallRefused
    from .client import ControlClient, ControlError
    from .process import CsmsProcess
    from .server import Csms

__all__ = ["CallRefused", "ControlClient", "ControlError", "Csms", "CsmsProcess"]

_HOMES = {
    "CallRefused": "charge_point",
    "ControlClient": "client",
    "ControlError": "client",
    "Csms": "server",
    "CsmsProcess": "process",
}


def __getattr__(name: str) -> Any:
    """Import on first use: the command-line client must not wait for the OCPP library to load."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{home}", __name__), name)
