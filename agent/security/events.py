"""Security events: what they are called, which are told to the network, and the line in which they wait for it.

Names and what is critical: OCA white paper "Improved security for OCPP 1.6-J" edition 3, §8 (the same list as OCPP
2.0.1 part 2, appendix 1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

LOGGER = logging.getLogger(__name__)

TABLE = "security_event"

MAX_WAITING = 500
"""Events that wait for the network. Beyond it the oldest go; the security log still has them."""

MAX_INFO = 255
"""techInfo is a CiString255Type (white paper, SecurityEventNotification)."""

QUIET_S = 3600.0
"""The same trouble again within this time is not a new event: a network that refuses us is met every few seconds."""


class SecurityEvent(Enum):
    FIRMWARE_UPDATED = "FirmwareUpdated"
    FAILED_TO_AUTHENTICATE = "FailedToAuthenticateAtCentralSystem"
    CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE = "CentralSystemFailedToAuthenticate"
    SETTING_SYSTEM_TIME = "SettingSystemTime"
    STARTUP = "StartupOfTheDevice"
    RESET_OR_REBOOT = "ResetOrReboot"
    SECURITY_LOG_WAS_CLEARED = "SecurityLogWasCleared"
    RECONFIGURATION = "ReconfigurationOfSecurityParameters"
    MEMORY_EXHAUSTION = "MemoryExhaustion"
    INVALID_MESSAGES = "InvalidMessages"
    ATTEMPTED_REPLAY = "AttemptedReplayAttacks"
    TAMPER_DETECTION = "TamperDetectionActivated"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_SERVER_CERTIFICATE = "InvalidCentralSystemCertificate"
    INVALID_CLIENT_CERTIFICATE = "InvalidChargePointCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER = "InvalidTLSCipherSuite"
    MAINTENANCE_LOGIN_ACCEPTED = "MaintenanceLoginAccepted"
    """This and the next: OCPP 2.0.1 part 2, appendix 1; the white paper's list for 1.6 is open to more."""
    MAINTENANCE_LOGIN_FAILED = "MaintenanceLoginFailed"
    DISCARDED_CERTIFICATE = "DiscardedRenewedClientCertificate"
    """OCPP 2.1 A02.FR.29."""


CRITICAL = frozenset(
    {
        SecurityEvent.FIRMWARE_UPDATED,
        SecurityEvent.SETTING_SYSTEM_TIME,
        SecurityEvent.STARTUP,
        SecurityEvent.RESET_OR_REBOOT,
        SecurityEvent.SECURITY_LOG_WAS_CLEARED,
        SecurityEvent.MEMORY_EXHAUSTION,
        SecurityEvent.TAMPER_DETECTION,
        SecurityEvent.MAINTENANCE_LOGIN_ACCEPTED,
        SecurityEvent.MAINTENANCE_LOGIN_FAILED,
    }
)
"""Marked critical in the white paper's §8, or in OCPP 2.0.1's appendix."""

PUSHED = CRITICAL | {
    SecurityEvent.INVALID_FIRMWARE_SIGNATURE,
    SecurityEvent.INVALID_FIRMWARE_CERTIFICATE,
    SecurityEvent.INVALID_SERVER_CERTIFICATE,
    SecurityEvent.INVALID_CLIENT_CERTIFICATE,
    SecurityEvent.INVALID_TLS_VERSION,
    SecurityEvent.INVALID_TLS_CIPHER,
    SecurityEvent.DISCARDED_CERTIFICATE,
}
"""Told to the network. The paper's table does not mark these; its use cases ask for them (TC_077, 078, 081), 2.0.1's
appendix marks them critical, and the last is 2.1's A02.FR.29."""

REPEATABLE = CRITICAL | {SecurityEvent.RECONFIGURATION, SecurityEvent.INVALID_CLIENT_CERTIFICATE}
"""Each occurrence counts; the others are noted once per cause and ``QUIET_S``."""


CONNECTION_TROUBLES = (
    SecurityEvent.FAILED_TO_AUTHENTICATE,
    SecurityEvent.CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE,
    SecurityEvent.INVALID_SERVER_CERTIFICATE,
    SecurityEvent.INVALID_TLS_VERSION,
    SecurityEvent.INVALID_TLS_CIPHER,
)
"""What is over once a network has answered."""


class Moment(Protocol):
    @property
    def monotonic_s(self) -> float: ...
    @property
    def utc_s(self) -> float: ...
    @property
    def synced(self) -> bool: ...
    @property
    def boot(self) -> str: ...


class Keeper(Protocol):
    """The journal, as far as this room needs it. Anything may raise when the disk fails."""

    def write(self) -> AbstractContextManager[None]: ...
    def keep(self, table: str, key: str, value: Any | None) -> None: ...
    def kept(self, table: str) -> dict[str, Any]: ...
    def boot_offset(self, boot: str) -> float | None: ...
    def pending(self, limit: int = 1, after: int = 0) -> Sequence[object]: ...
    def open_transactions(self) -> int: ...
    def forget_network_numbers(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event on its way to the network. ``utc_s`` is corrected by what is known of that boot's clock by now."""

    key: str
    kind: str
    utc_s: float
    info: str


class EventLine:
    """Events that wait for the network; they survive restarts. What cannot be written is kept in memory and retried."""

    def __init__(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        self._line: dict[str, dict[str, Any]] = {}
        self._unwritten: dict[str, dict[str, Any] | None] = {}
        if keeper is not None:
            kept = keeper.kept(TABLE)
            self._line = {key: kept[key] for key in sorted(kept) if _readable(kept[key])}
        self._next = 1 + max((int(key) for key in self._line if key.isdecimal()), default=0)

    def __len__(self) -> int:
        return len(self._line)

    def append(self, event: SecurityEvent, info: str, moment: Moment) -> None:
        key = f"{self._next:012d}"
        self._next += 1
        self._set(
            key,
            {
                "event": event.value,
                "info": printable(info),
                "boot": moment.boot,
                "monotonic_s": moment.monotonic_s,
                "utc_s": moment.utc_s,
                "synced": moment.synced,
            },
        )
        while len(self._line) > MAX_WAITING:
            self._set(next(iter(self._line)), None)
        self._write()

    def first(self) -> Waiting | None:
        """Return the oldest event, or None."""
        for key, entry in self._line.items():
            offset_s = None
            if self._keeper is not None and not entry["synced"]:
                offset_s = self._keeper.boot_offset(entry["boot"])
            utc_s = entry["utc_s"] if offset_s is None else entry["monotonic_s"] + offset_s
            return Waiting(key, entry["event"], utc_s, entry["info"])
        return None

    def told(self, key: str) -> None:
        """The network has it."""
        if key in self._line:
            self._set(key, None)
            self._write()

    def forget(self) -> None:
        """The network does not take security events."""
        for key in list(self._line):
            self._set(key, None)
        self._write()

    def _set(self, key: str, value: dict[str, Any] | None) -> None:
        if value is None:
            self._line.pop(key, None)
        else:
            self._line[key] = value
        self._unwritten[key] = value

    def _write(self) -> None:
        if self._keeper is None:
            self._unwritten.clear()
            return
        try:
            with self._keeper.write():
                for key, value in self._unwritten.items():
                    self._keeper.keep(TABLE, key, value)
        except Exception as error:  # noqa: BLE001 (a full disk must not stop what reports it)
            LOGGER.error("security events wait in memory: %s", error)
        else:
            self._unwritten.clear()


class Repeats:
    """Tells a new trouble from one that goes on."""

    def __init__(self) -> None:
        self._noted: dict[tuple[SecurityEvent, str], float] = {}

    def is_new(self, event: SecurityEvent, info: str, now: float) -> bool:
        if event in REPEATABLE:
            return True
        for known in [known for known, at in self._noted.items() if now - at >= QUIET_S]:
            del self._noted[known]
        if (event, info) in self._noted or len(self._noted) >= 64:
            return False
        self._noted[(event, info)] = now
        return True

    def over(self, *events: SecurityEvent) -> None:
        """That trouble has ended; the next is a new one."""
        for known in [known for known in self._noted if known[0] in events]:
            del self._noted[known]


def printable(text: str) -> str:
    """What others wrote ends up in logs and on consoles."""
    return "".join(c if c.isprintable() else "?" for c in text)[:MAX_INFO]


def _readable(entry: Any) -> bool:
    wanted: dict[str, type | tuple[type, ...]] = {
        "event": str,
        "info": str,
        "boot": str,
        "monotonic_s": (int, float),
        "utc_s": (int, float),
        "synced": bool,
    }
    return isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in wanted.items())


Recorder = Callable[[SecurityEvent, str], None]
"""``record(event, info)``: note a security event. Never raises, never blocks for long."""
