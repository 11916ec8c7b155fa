"""Joins files and updates to the agent: what they may ask of it, and the documents of a support bundle."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from agent import __version__
from agent.clock import Clock, Moment
from agent.config.schema import Config
from agent.files.masking import masked
from agent.files.notices import NoticeLine
from agent.files.ring import LogRing
from agent.files.uploads import Uploads
from agent.joints.metrics import Metrics
from agent.journal.journal import Journal
from agent.ocpp.customer_port import CustomerPort
from agent.ocpp.session import FileSurroundings
from agent.security.events import SecurityEvent
from agent.security.security import Security
from agent.security.store import RootUse
from agent.station.settings import SETTINGS, Settings, show
from agent.update.health import Health
from agent.update.service import Updates


class Agent(Protocol):
    """The agent process, as far as files and updates need it."""

    def busy(self) -> bool: ...
    def health(self, loop_late: float | None) -> Health: ...
    def hold_back(self, on: bool) -> None: ...
    def restart(self) -> None: ...
    def status(self) -> Any: ...
    @property
    def customers(self) -> CustomerPort: ...


class FileWork:
    """Implements ``agent.update.service.Host`` and ``agent.files.uploads.Source``."""

    def __init__(
        self, config: Config, journal: Journal, settings: Settings, clock: Clock, security: Security, agent: Agent
    ) -> None:
        self._config = config
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._security = security
        self._agent = agent
        self.ring = LogRing()
        self.notices = NoticeLine(journal)
        self.metrics = Metrics(config, journal, clock, agent)
        self.updates = Updates(config, journal, self.notices, self)
        self.uploads = Uploads(config, journal, self.notices, self)
        settings.set("OCPPCommCtrlr.FileTransferProtocols", ",".join(sorted(config.files.protocols)).upper())

    @property
    def surroundings(self) -> FileSurroundings:
        return FileSurroundings(self.notices, self.updates, self.uploads, self._agent.customers)

    def start(self) -> None:
        logging.getLogger().addHandler(self.ring)
        self.metrics.start()
        self.updates.start()
        self.uploads.start()

    async def close(self) -> None:
        await self.metrics.close()
        await self.updates.close()
        await self.uploads.close()
        logging.getLogger().removeHandler(self.ring)

    # ---- Host ----

    def moment(self) -> Moment:
        return self._clock.now()

    def busy(self) -> bool:
        return self._agent.busy()

    def healthy(self) -> bool:
        return not self.health().missing

    def health(self) -> Health:
        return self._agent.health(self.metrics.loop_late)

    def new_sessions(self) -> bool:
        return self._settings.boolean("ChargingStation.AllowNewSessionsPendingFirmwareUpdate")

    def hold_back(self, on: bool) -> None:
        self._agent.hold_back(on)

    def restart(self) -> None:
        self._agent.restart()

    def security_event(self, event: str, info: str) -> None:
        self._security.record(SecurityEvent(event), info)

    def manufacturer_roots(self) -> Sequence[Path]:
        return self._security.certificates.roots(RootUse.MANUFACTURER)

    def network_roots(self) -> Sequence[Path]:
        return self._security.certificates.roots(RootUse.CENTRAL)

    # ---- Source ----

    def documents(self) -> Mapping[str, Any]:
        figures = self._journal.figures()
        moment = self._clock.now()
        return {
            "config.json": masked(self._config),
            "settings.json": {
                name: masked(show(self._settings.value(name)), name.rpartition(".")[2]) for name in sorted(SETTINGS)
            },
            "status.json": self._agent.status(),
            "journal.json": {
                "pending": figures.pending,
                "parked": figures.parked,
                "oldest_utc_s": figures.oldest_utc_s,
                "bytes": sum(path.stat().st_size for path in self._journal.path.parent.glob("journal.db*")),
            },
            "agent.json": {
                "version": __version__,
                "boot": moment.boot,
                "monotonic_s": moment.monotonic_s,
                "utc_s": moment.utc_s,
                "clock_synced": moment.synced,
                "update": self.updates.status.value,
                "update_bytes": self.updates.progress[0],
            },
        }

    def log_text(self, since_utc_s: float | None, until_utc_s: float | None) -> str:
        return self.ring.text(since_utc_s, until_utc_s)

    def security_log_parts(self) -> list[Path]:
        return self._security.log.parts()
