"""The machine the agent runs on: its folders, its records, files, updates, and who may use the local API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hal.options import option


@dataclass(frozen=True, slots=True)
class Paths:
    state_dir: Path = option(Path("/var/lib/evse-agent"), help="the journal; must survive a power cut")
    runtime_dir: Path = option(Path("/run/evse-agent"), help="sockets")


class JournalFailure(Enum):
    """What happens to new transactions while the journal cannot be written."""

    REFUSE = "refuse"
    """None begins: no energy flows whose start is not on the books."""
    CONTINUE = "continue"
    """They begin; what a loss of power takes from memory is lost."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The records that wait for the network."""

    max_megabytes: int = option(
        64, help="size from which on samples (never starts or ends) are thinned out evenly", unit="MB", ge=1, le=4096
    )
    on_failure: JournalFailure = option(
        JournalFailure.REFUSE, help="new transactions while the journal cannot be written: refuse or continue"
    )


TRANSFER_PROTOCOLS = ("https", "http", "ftps", "ftp")


def _protocols(value: tuple[str, ...]) -> str:
    wrong = [word for word in value if word not in TRANSFER_PROTOCOLS]
    return f"{wrong[0]!r} is not known; choose from {', '.join(TRANSFER_PROTOCOLS)}" if wrong else ""


@dataclass(frozen=True, slots=True)
class Files:
    """Files that the network has fetched or sent: firmware, diagnostics, logs."""

    protocols: tuple[str, ...] = option(
        TRANSFER_PROTOCOLS,
        help="which may be used (SupportedFileTransferProtocols)",
        check=lambda v: _protocols(v),
    )
    ca_file: Path | None = option(None, help="root certificates for https and ftps; the system's own when empty")
    loopback: bool = option(False, help="addresses of this machine itself and of its own link may be used")
    stall_timeout_s: float = option(60.0, help="no byte for so long ends a try", unit="s", ge=1, le=3600)
    longest_s: float = option(21_600.0, help="the longest a try may take", unit="s", ge=10, le=604_800)
    retries: int = option(3, help="further tries when the network names no number", ge=0, le=100)
    retry_interval_s: float = option(60.0, help="between tries when the network says none", unit="s", ge=0, le=86_400)
    max_upload_megabytes: int = option(20, help="size of a support bundle or log at most", unit="MB", ge=1, le=1024)


@dataclass(frozen=True, slots=True)
class Update:
    """How new software gets in. Commands are lists of words, run without a shell; {file} is what was downloaded."""

    install: tuple[str, ...] = option((), help="puts the new version in place; empty: the network cannot update")
    confirm: tuple[str, ...] = option((), help="asked after the restart: does the new version run? makes it stay")
    roll_back: tuple[str, ...] = option((), help="puts the old version back when the new one is not healthy")
    restart: tuple[str, ...] = option(
        (), help="restarts the machine, also at a hard reset; empty: a fresh start of the agent will do"
    )
    timeout_s: float = option(1800.0, help="the longest a command may take", unit="s", ge=1, le=86_400)
    health_s: float = option(
        900.0, help="control and network must answer a new version within this time", unit="s", ge=1, le=86_400
    )
    max_megabytes: int = option(1024, help="size of a download at most", unit="MB", ge=1, le=65_536)
    unsigned: bool = option(True, help="files without a signature may be installed (UpdateFirmware)")
    crl_file: Path | None = option(None, help="revocation list of the manufacturer's root, PEM or DER")


@dataclass(frozen=True, slots=True)
class LocalApi:
    """Who may use the local API, by the groups of the machine. Root and the agent's own user always may."""

    observe_groups: tuple[str, ...] = option(("evse-observe",), help="may look at everything")
    operate_groups: tuple[str, ...] = option(("evse-operate",), help="may stop, switch off, and drop the link as well")
    service_groups: tuple[str, ...] = option(("evse-service",), help="may do everything, without a PIN")


@dataclass(frozen=True, slots=True)
class Metrics:
    file: Path | None = option(None, help="for node_exporter; metrics/evse-agent.prom in runtime_dir when empty")
    interval_s: float = option(15.0, help="how often it is written", unit="s", ge=15, le=3600)


@dataclass(frozen=True, slots=True)
class Logging:
    level: str = option("info", help="how much is logged", choices=("debug", "info", "warning", "error"))
