"""What the network orders, what becomes of it, and what is to be done about it. In no protocol's words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class FirmwareStatus(Enum):
    """Words of OCPP 2.0.1 and the 1.6 security white paper; 1.6 itself knows seven of them (§7.25)."""

    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    SIGNATURE_VERIFIED = "SignatureVerified"
    INVALID_SIGNATURE = "InvalidSignature"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALLING = "Installing"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALLED = "Installed"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    IDLE = "Idle"


class OrderAnswer(Enum):
    ACCEPTED = "Accepted"
    REPLACED = "AcceptedCanceled"
    """Accepted; the one before it was called off."""
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Order:
    """Times in seconds since 1970. ``request`` is the network's number of it, None without signature."""

    location: str
    retrieve_utc_s: float
    install_utc_s: float | None = None
    retries: int = 0
    interval_s: float = 60.0
    request: int | None = None
    certificate: str = ""
    """PEM of the certificate whose key signed the file; empty for an unsigned one."""
    signature: str = ""
    """Base64."""

    @property
    def signed(self) -> bool:
        return bool(self.certificate)

    def document(self) -> dict[str, Any]:
        return asdict(self)


class InstallResult(Enum):
    INSTALLED = "installed"
    RESTART_NEEDED = "restart_needed"
    """It is in place and runs after a restart."""
    VERIFICATION_FAILED = "verification_failed"
    """The installer found the file itself bad."""
    FAILED = "failed"


# ---- what the machine wants done; in this order within one step ----


@dataclass(frozen=True, slots=True)
class Keep:
    """Make this durable before anything else of the step; None: there is nothing to keep any more."""

    document: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Tell:
    status: FirmwareStatus
    request: int | None
    signed: bool


@dataclass(frozen=True, slots=True)
class Download:
    order: Order


@dataclass(frozen=True, slots=True)
class CallOff:
    """End the transfer or check that runs."""


@dataclass(frozen=True, slots=True)
class Verify:
    order: Order


@dataclass(frozen=True, slots=True)
class HoldBack:
    """Take the EVSEs that are free, or become free, out of service (or all back into it)."""

    on: bool


@dataclass(frozen=True, slots=True)
class Install:
    pass


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask whether the new version is the one that runs, and make it stay."""


@dataclass(frozen=True, slots=True)
class RollBack:
    pass


@dataclass(frozen=True, slots=True)
class RestartNow:
    pass


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete what was downloaded."""


@dataclass(frozen=True, slots=True)
class Report:
    """Something for the log of security events: a word of the white paper's §8, and what is behind it."""

    event: str
    info: str


Action = (
    Keep | Tell | Download | CallOff | Verify | HoldBack | Install | Confirm | RollBack | RestartNow | Discard | Report
)
