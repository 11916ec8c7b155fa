"""Why the agent has started: what a BootNotification of OCPP 2 says of it."""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class BootReason(Enum):
    """Values as in OCPP 2.0.1 (BootReasonEnumType), those that can be told apart here."""

    APPLICATION_RESET = "ApplicationReset"
    """The agent had ended in disorder, the machine had not."""
    FIRMWARE_UPDATE = "FirmwareUpdate"
    LOCAL_RESET = "LocalReset"
    """By somebody at the charge point, or its service manager."""
    POWER_UP = "PowerUp"
    REMOTE_RESET = "RemoteReset"
    SCHEDULED_RESET = "ScheduledReset"
    """A reset by the network that had to wait."""
    TRIGGERED = "Triggered"
    """No start at all: the network asked for a BootNotification."""


class RestartPort(Protocol):
    @property
    def reason(self) -> BootReason:
        """Of the present start."""

    def told(self) -> None:
        """A network has accepted a BootNotification."""
