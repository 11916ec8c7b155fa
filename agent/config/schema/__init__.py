"""What ``config.yaml`` may hold. Each section is a frozen dataclass; each field carries its rule.

The driver-specific part of a device lives with the driver (``hal.registry.Driver.options``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.config.schema.authorisation import Authorisation, OnCap, Partner
from agent.config.schema.hardware import (
    EVSE_PORTS,
    ButtonAction,
    ConnectorType,
    Control,
    Device,
    Evse,
    Installation,
    MeterLoss,
    ResidualCurrentProfile,
    SelfTestPolicy,
    Temperature,
)
from agent.config.schema.machine import (
    TRANSFER_PROTOCOLS,
    Files,
    Journal,
    JournalFailure,
    LocalApi,
    Logging,
    Metrics,
    Paths,
    Update,
)
from agent.config.schema.network import KeyType, Network, Ocpp
from agent.config.schema.station import Station
from hal.options import option

__all__ = [
    "EVSE_PORTS",
    "TRANSFER_PROTOCOLS",
    "Authorisation",
    "ButtonAction",
    "Config",
    "ConnectorType",
    "Control",
    "Device",
    "Evse",
    "Files",
    "Installation",
    "Journal",
    "JournalFailure",
    "KeyType",
    "LocalApi",
    "Logging",
    "MeterLoss",
    "Metrics",
    "Network",
    "Ocpp",
    "OnCap",
    "Partner",
    "Paths",
    "ResidualCurrentProfile",
    "SelfTestPolicy",
    "Station",
    "Temperature",
    "Update",
]


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    station: Station = option(help="who this charge point is")
    installation: Installation = option(help="the supply")
    devices: Mapping[str, Device] = option(help="the hardware, by name")
    evses: tuple[Evse, ...] = option(help="the outlets")
    readers: tuple[str, ...] = option((), help="card readers that serve all EVSEs")
    control: Control = option(help="the control process", default_factory=Control)
    authorisation: Authorisation = option(help="local rules", default_factory=Authorisation)
    ocpp: Ocpp = option(help="the operator's network", default_factory=Ocpp)
    paths: Paths = option(help="where things are kept", default_factory=Paths)
    journal: Journal = option(help="the records that wait for the network", default_factory=Journal)
    files: Files = option(help="files that the network has fetched or sent", default_factory=Files)
    update: Update = option(help="how new software gets in", default_factory=Update)
    local_api: LocalApi = option(help="who may use the local API", default_factory=LocalApi)
    metrics: Metrics = option(help="what the agent measures of itself", default_factory=Metrics)
    logging: Logging = option(help="the log", default_factory=Logging)

    @property
    def link_path(self) -> Path:
        return self.paths.runtime_dir / "control.sock"

    @property
    def api_path(self) -> Path:
        return self.paths.runtime_dir / "api.sock"

    @property
    def journal_path(self) -> Path:
        return self.paths.state_dir / "journal.db"

    @property
    def identity(self) -> str:
        return self.ocpp.identity or self.station.serial_number
