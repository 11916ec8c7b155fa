"""Joins the local API to the agent: its methods, its topics, who may call them, and the book of what was changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from agent import __version__
from agent.config.schema import Config
from agent.files.masking import is_secret
from agent.joints.charging import ChargingWork
from agent.joints.configuration import ConfigWork
from agent.joints.control import ControlWork
from agent.joints.display import DisplayWork
from agent.joints.service import Rooms, Service
from agent.journal.journal import Journal
from agent.link.messages import ToControl
from agent.local.books import methods as books_methods
from agent.local.charging import methods as charging_methods
from agent.local.commissioning import StatementKey
from agent.local.commissioning import methods as commissioning_methods
from agent.local.display import methods as display_methods
from agent.local.display import topics as display_topics
from agent.local.login import Access
from agent.local.methods import Caller, Method
from agent.local.roles import Roles, roles_of
from agent.local.rpc import RpcError
from agent.local.server import LocalServer, server_topics, subscription_methods
from agent.local.server import methods as server_methods
from agent.local.status import StatusDocument
from agent.local.topics import Polled, Published
from agent.security.events import SecurityEvent
from agent.security.log import SecurityLog
from agent.station.charging.plan import Composite
from agent.station.charging.profile import RateUnit
from agent.station.commands import ResetKind, SettingAnswer
from agent.station.documents import LiveDocument
from agent.station.effects import Effect

MOST_AUDITED = 1000
"""Characters of one entry's parameters."""


class Agent(Protocol):
    """The agent process, as far as the local API needs it."""

    @property
    def charging(self) -> ChargingWork: ...
    @property
    def display(self) -> DisplayWork: ...
    def status(self) -> StatusDocument: ...
    def set_uplink(self, online: bool) -> None: ...
    def live(self, evse: int) -> LiveDocument: ...
    def busy(self) -> bool: ...
    def restart(self) -> None: ...
    def carry_out(self, effects: Sequence[Effect]) -> None: ...
    def composite_schedule(self, evse: int, duration_s: int, unit: RateUnit | None) -> Composite | None: ...
    def reset(self, kind: ResetKind) -> bool: ...
    def set_setting(self, name: str, text: str) -> SettingAnswer: ...
    def to_control(self, message: ToControl) -> bool: ...


class LocalWork:
    """The server, and what it needs."""

    def __init__(
        self,
        config: Config,
        rooms: Rooms,
        agent: Agent,
    ) -> None:
        journal, clock, security = rooms.journal, rooms.clock, rooms.security
        self._clock = clock
        self._security = security
        self._identity = config.identity
        roles = roles_of(config.local_api)
        self.access = Access(journal, roles, lambda: clock.now().monotonic_s, self._logged_in)
        self._audit_log = SecurityLog(audit_path(config))
        self.config = ConfigWork(
            rooms.path,
            config,
            journal,
            clock,
            agent,
            lambda text: security.record(SecurityEvent.RECONFIGURATION, text),
            is_secret,
        )
        evses = [evse.id for evse in config.evses]
        self.control = ControlWork(evses, config, rooms.station, clock, agent)
        service = Service(rooms, agent, self.config, self._note, self.publish)
        self.server = LocalServer(
            config.api_path,
            agent,
            {
                **_methods(journal, self.access, rooms.tunnel.wake),
                **self.control.methods(),
                **service.methods(),
                **commissioning_methods(self._statement_key, self._facts),
                **agent.charging.methods(),
                **display_methods(agent.display),
            },
            topics={**_topics(evses, agent), **service.topics(), **display_topics()},
            roles=roles,
            audit=self._audited,
        )

    def publish(self, topic: str, value: Any) -> None:
        """Tell those who listen to a topic."""
        self.server.topics.publish(topic, value)

    async def start(self) -> None:
        """Raises LocalApiError."""
        await self.server.start()
        self.config.start()

    async def close(self) -> None:
        self.config.close()
        await self.server.close()

    def _statement_key(self) -> StatementKey:
        from agent.security.signing import StatementKey as Key  # brings cryptography

        return Key(self._security.folder)

    def _facts(self) -> dict[str, Any]:
        """What a signed report says of this charge point besides what was given."""
        moment = self._clock.now()
        at = datetime.fromtimestamp(max(0.0, moment.utc_s), UTC).isoformat(timespec="seconds")
        return {
            "identity": self._identity,
            "version": __version__,
            "at": at.replace("+00:00", "Z"),
            "clock_confirmed": moment.synced,
        }

    def _logged_in(self, good: bool, who: str) -> None:
        event = SecurityEvent.MAINTENANCE_LOGIN_ACCEPTED if good else SecurityEvent.MAINTENANCE_LOGIN_FAILED
        self._security.record(event, who)

    def _audited(self, caller: Caller, method: str, parameters: dict[str, Any], why: str) -> None:
        given = json.dumps(parameters, ensure_ascii=False, default=str)[:MOST_AUDITED]
        self._note(caller, method, given, f"refused: {why}" if why else "done")

    def _note(self, caller: Caller, method: str, what: str, outcome: str = "done") -> None:
        moment = self._clock.now()
        text = f"{what[:MOST_AUDITED]} by {caller.who}: {outcome}"
        self._audit_log.append(moment.utc_s, moment.synced, method, text)


def _methods(journal: Journal, access: Access, wake: Callable[[], None]) -> dict[str, Method]:
    """The methods of the books and of the log-in. Nothing is called here."""
    return {
        **books_methods(journal, wake),
        **access.methods(),
    }


def _topics(evses: Sequence[int], agent: Agent) -> dict[str, Polled | Published]:
    def live(evse: int) -> LiveDocument:
        if evse not in evses:
            raise RpcError(f"there is no EVSE {evse}; this charge point has {', '.join(map(str, evses))}")
        return agent.live(evse)

    return {
        "evse": Polled(live, "what is measured and commanded at one EVSE: [LiveDocument](#livedocument)", always=True)
    }


def catalogue() -> tuple[dict[str, Method], dict[str, Polled | Published]]:
    """Return all methods and topics as they declare themselves, without an agent behind them (for the reference)."""
    nothing: Any = _Nothing()
    server = {**server_methods(nothing), **subscription_methods()}
    methods = _methods(nothing, Access(nothing, Roles({}), lambda: 0.0, lambda *_: None), lambda: None)
    methods |= ControlWork((), nothing, nothing, nothing, nothing).methods()
    service = Service(nothing, nothing, nothing, nothing, nothing)
    methods |= service.methods()
    methods |= commissioning_methods(nothing, nothing)
    methods |= {**charging_methods(nothing), **display_methods(nothing)}
    topics = {**server_topics(nothing), **_topics((), nothing), **service.topics(), **display_topics()}
    return {**server, **methods}, topics


class _Nothing:
    """Stands where an agent would; has every attribute, and nothing in them."""

    def __getattr__(self, name: str) -> Any:
        return _Nothing()

    def __call__(self, *_: Any) -> Any:
        return {}


def audit_path(config: Config) -> Path:
    """Where the book of changes lies."""
    return config.paths.state_dir / "security" / "audit.log"


if __name__ == "__main__":
    import sys

    from agent.local.reference import reference

    sys.stdout.write(reference(*catalogue()))
