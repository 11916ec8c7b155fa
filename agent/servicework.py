"""Joins what a technician asks for to the rooms that know it: configuration, keys, network, books, system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.configwork import ConfigWork
from agent.configwork import ports as config_ports
from agent.filework import FileWork
from agent.local import configuration, settings
from agent.local.methods import Caller, Method
from agent.local.topics import Polled, Published
from agent.ocpp.tunnel import Tunnel
from agent.ocpp.v16.configuration import key_table
from agent.station.settings import Settings
from agent.station.station import Station

Audit = Callable[[Caller, str, str], None]
"""Writes what a method changed, from what to what, into the book of changes."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the agent is made of, for those who look closely."""

    path: Path | None
    """The configuration file."""
    settings: Settings
    station: Station
    tunnel: Tunnel
    files: FileWork


def methods(rooms: Rooms, agent: Any, work: ConfigWork, audit: Audit) -> dict[str, Method]:
    """Nothing is called here."""
    return {
        **configuration.methods(config_ports(work, audit)),
        **settings.methods(
            lambda: list(key_table().values()), lambda key: key.shown(rooms.settings), agent.set_setting, audit
        ),
    }


def topics(rooms: Rooms) -> dict[str, Polled | Published]:
    return {}
