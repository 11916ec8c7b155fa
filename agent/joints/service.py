"""Joins what a technician asks for to the rooms that know it: configuration, keys, network, books, system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.clock import Clock
from agent.joints.configuration import ConfigWork
from agent.joints.configuration import ports as config_ports
from agent.joints.files import FileWork
from agent.joints.metrics import methods as metrics_methods
from agent.joints.network import NetworkWork
from agent.joints.system import SystemWork
from agent.journal.journal import Journal
from agent.local import configuration, ledger, network, settings, system, uplink
from agent.local.methods import Caller, Method
from agent.local.topics import Polled, Published
from agent.ocpp.tunnel import Tunnel
from agent.ocpp.v16.configuration import key_table
from agent.security.security import Security
from agent.station.settings import Settings
from agent.station.station import Station

Audit = Callable[[Caller, str, str], None]
"""Writes what a method changed, from what to what, into the book of changes."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the agent is made of, for those who look closely."""

    path: Path | None
    """The configuration file."""
    clock: Clock
    journal: Journal
    security: Security
    settings: Settings
    station: Station
    tunnel: Tunnel
    files: FileWork


class UplinkView:
    """What is told of the tunnel."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def calls(self) -> list[uplink.CallDocument]:
        return [
            {"action": each.action, "took_s": round(each.took_s, 3), "refused": each.refused}
            for each in self._tunnel.trace.answered
        ]

    def networks(self) -> tuple[list[uplink.NetworkDocument], str]:
        """Return every way to a network, and what is being tried."""
        networks = self._tunnel.networks
        if not networks.known:
            return [], ""
        used = networks.current()
        ways = [*networks.ways()]
        ways += [] if used in ways else [used]
        found: list[uplink.NetworkDocument] = [
            {
                "url": way.address,
                "identity": way.identity,
                "security_profile": way.security_profile,
                "in_use": way == used,
            }
            for way in ways
        ]
        return found, "" if networks.trial is None else networks.trial.kind.value

    def watch(self, publish: Callable[[str, Any], None], on: bool) -> None:
        """Frames are looked at while somebody listens, and only then."""

        def seen(out: bool, frame: str) -> None:
            publish("trace", {"direction": "out" if out else "in", "frame": frame})

        self._tunnel.trace.listener = seen if on else None


class Service:
    """The joints, made once. Nothing is called at making."""

    def __init__(
        self, rooms: Rooms, agent: Any, work: ConfigWork, audit: Audit, publish: Callable[[str, Any], None]
    ) -> None:
        self._rooms = rooms
        self._agent = agent
        self._work = work
        self._audit = audit
        self._publish = publish
        self._view = UplinkView(rooms.tunnel)
        self._network = NetworkWork(rooms.tunnel.networks, rooms.security, rooms.clock)
        self._system = SystemWork(agent, rooms.files, rooms.security, rooms.clock, work, self._network.check)

    def methods(self) -> dict[str, Method]:
        rooms, agent, audit, view = self._rooms, self._agent, self._audit, self._view
        journal = rooms.journal
        return {
            **configuration.methods(config_ports(self._work, audit)),
            **network.methods(self._network, audit, lambda: agent.carry_out([])),
            **uplink.methods(rooms.tunnel.report, view.calls, journal.undelivered, journal.figures, view.networks),
            **ledger.methods(
                journal,
                rooms.settings,
                lambda: rooms.clock.now().utc_s,
                lambda evse, duration_s: agent.composite_schedule(evse, duration_s, None),
            ),
            **settings.methods(
                lambda: list(key_table().values()), lambda key: key.shown(rooms.settings), agent.set_setting, audit
            ),
            **system.methods(self._system, audit),
            **metrics_methods(lambda: rooms.files.metrics.text()),
        }

    def topics(self) -> dict[str, Polled | Published]:
        return {
            "trace": Published(
                "each message of the tunnel, secrets and identifiers masked: `direction` ('out', 'in') and `frame`",
                lambda on: self._view.watch(self._publish, on),
            ),
            "log": Published("each line of the agent's log: a text", lambda on: self._system.follow(self._publish, on)),
        }
