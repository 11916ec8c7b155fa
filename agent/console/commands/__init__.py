"""The commands, one module per question that a technician has. Each module offers ``COMMANDS``."""

from __future__ import annotations

from importlib import import_module

from agent.console.command import Command, Table

MODULES = (
    "session",
    "state",
    "faults",
    "live",
    "trials",
    "selftest",
    "config",
    "network",
    "uplink",
    "books",
    "system",
    "commission",
)
"""In the order in which ``help`` shows them."""


def table() -> Table:
    """Return every command there is."""
    commands: list[Command] = []
    for name in MODULES:
        commands += import_module(f"agent.console.commands.{name}").COMMANDS
    return Table(commands)
