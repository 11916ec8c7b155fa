"""Joins the device model of OCPP 2.x to the agent: makes it when somebody speaks that, and looks at it in time.

With OCPP 1.6 alone nothing of it is imported.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agent.clock import Clock
from agent.config.schema import Config
from agent.ocpp.networks import Networks
from agent.security.security import Security
from agent.station.commands import SettingAnswer
from agent.station.effects import Effect, Keep
from agent.station.facts import Facts
from agent.station.settings import Settings

if TYPE_CHECKING:
    from agent.device_model.device import Device

log = logging.getLogger(__name__)

LOOK_S = 0.25
"""Between two looks at what is monitored, however often something happens."""

OLD = "ocpp1.6"


class Agent(Protocol):
    """The agent process, as far as this needs it."""

    def set_setting(self, name: str, text: str) -> SettingAnswer: ...
    def carry_out(self, effects: Sequence[Effect]) -> None: ...


class DeviceWork:
    """``kept``: the journal's documents, table → key → document."""

    def __init__(
        self,
        config: Config,
        settings: Settings,
        facts: Facts,
        clock: Clock,
        security: Security,
        networks: Callable[[], Networks],
        kept: Mapping[str, Mapping[str, Any]],
        agent: Agent,
    ) -> None:
        self._config = config
        self._settings = settings
        self._facts = facts
        self._clock = clock
        self._security = security
        self._networks = networks
        self._kept = kept
        self._agent = agent
        self._device: Device | None = None
        self._unwritten: list[Keep] = []
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = float("-inf")
        self._looking = False

    def start(self) -> None:
        """Events of before the first connection count, too, where OCPP 2.x may be spoken at all."""
        networks = self._networks()
        ways = [*networks.ways(), networks.current()] if networks.known else []
        if {version for way in ways for version in way.versions} - {OLD}:
            self.device()
            self.stirred()

    def device(self) -> Device:
        """Return the device model; made at the first call."""
        if self._device is None:
            from agent.device_model.declaration import Look
            from agent.device_model.device import assemble
            from agent.joints.device_variables import of_security
            from agent.joints.network_variables import of_networks

            look = Look(self._facts, self._clock.now)
            security = self._security
            others = (
                *of_security(self._networks(), security.certificates.count, security.record),
                *of_networks(self._networks(), security.has_root, security.has_certificate, security.record),
            )
            self._device = assemble(
                look, self._settings, self._agent.set_setting, others, self._kept, self._keep, self._commit
            )
            self._kept = {}
            self._device.model.on_written(lambda _entry: self.stirred())
        return self._device

    def _keep(self, table: str, key: str, document: Any) -> None:
        self._unwritten.append(Keep(table, key, document))
        self.stirred()

    def stirred(self) -> None:
        """Something may have changed: look soon."""
        if self._device is not None and not self._looking:
            self._look_at(self._looked_at + LOOK_S)

    def _look_at(self, when: float) -> None:
        if self._timer is not None and self._timer.when() <= when:
            return
        self.close()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(when, loop.time()), self._look)

    def _look(self) -> None:
        self.close()
        device = self._device
        if device is None:
            return
        moment = self._clock.now()
        self._looked_at = asyncio.get_running_loop().time()
        self._looking = True
        try:
            device.monitoring.look(moment)
            self._commit()
        finally:
            self._looking = False
        wake = device.monitoring.next_wake(moment)
        if wake is not None:
            self._look_at(max(wake, self._looked_at + LOOK_S))

    def _commit(self) -> None:
        if self._unwritten:
            self._agent.carry_out(self.flush())

    def flush(self) -> Sequence[Keep]:
        """Hand over the documents that wait to be written."""
        entries, self._unwritten = self._unwritten, []
        return entries

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
