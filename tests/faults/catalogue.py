"""All attacks, in the order of the report. A module of attacks offers ``ATTACKS``; only this list names the modules."""

from __future__ import annotations

from importlib import import_module

from tests.faults.attack import Attack

MODULES: tuple[str, ...] = (
    "crash_points",
    "random_kills",
    "disk",
    "upgrades",
    "proxy",
    "network",
    "refusal",
    "clock",
    "volume",
    "untouchable",
    "cold_boot",
)


def attacks() -> tuple[Attack, ...]:
    """Return every attack there is."""
    found: list[Attack] = []
    for name in MODULES:
        found += import_module(f"tests.faults.{name}").ATTACKS
    return tuple(found)
