"""The charge point's security in one place: what the tunnel and the OCPP versions ask of this room."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agent.security.events import PUSHED, EventLine, Keeper, Moment, Repeats, SecurityEvent
from agent.security.log import SecurityLog
from agent.security.store import CertificateStore, RootUse

LOGGER = logging.getLogger(__name__)

LOW_DISK_BYTES = 16 * 1024 * 1024
LOW_MEMORY_BYTES = 16 * 1024 * 1024
MEMORY_CHECK_S = 60.0

_TABLE = "security"
_LOG_BEGUN = "log_begun"


class ClockPort(Protocol):
    def now(self) -> Moment: ...
    @property
    def plausible(self) -> bool: ...


class Security:
    """Security events, their log, and the certificates. Call from the thread of the event loop."""

    def __init__(self, folder: Path, keeper: Keeper, clock: ClockPort) -> None:
        """``folder`` is made when first written to."""
        self.folder = folder
        self.certificates = CertificateStore(folder)
        self.log = SecurityLog(folder / "security.log")
        self.line = EventLine(keeper)
        self._keeper = keeper
        self._clock = clock
        self._repeats = Repeats()
        self._exhausted = False
        self._stirred: Callable[[], None] = lambda: None

    def on_event(self, listener: Callable[[], None]) -> None:
        """Call this after each event that the network is to be told."""
        self._stirred = listener

    @property
    def utc_s(self) -> float | None:
        """Now, in seconds since 1970; None while no clock was ever set."""
        return self._clock.now().utc_s if self._clock.plausible else None

    def has_root(self) -> bool:
        """A root certificate of the network is stored."""
        return bool(self.certificates.roots(RootUse.CENTRAL))

    def has_certificate(self) -> bool:
        """A certificate of ours can be used now."""
        return bool(self.certificates.usable_clients(self.utc_s))

    # ---- events ----

    def record(self, event: SecurityEvent, info: str = "") -> None:
        """Note a security event: in the log, and for the network where it is to be told. Never raises."""
        moment = self._clock.now()
        if not self._repeats.is_new(event, info, moment.monotonic_s):
            return
        self.log.append(moment.utc_s, moment.synced, event.value, info)
        if event in PUSHED:
            self.line.append(event, info, moment)
            self._stirred()

    def over(self, *events: SecurityEvent) -> None:
        """These troubles have ended; should they come again, they are new."""
        self._repeats.over(*events)

    def started(self, version: str) -> None:
        """The agent has started."""
        try:
            begun = _LOG_BEGUN in self._keeper.kept(_TABLE)
            if begun and not self.log.exists:
                self.record(SecurityEvent.SECURITY_LOG_WAS_CLEARED, "found missing at the start")
            elif not begun:
                self._keeper.keep(_TABLE, _LOG_BEGUN, True)
        except Exception as error:  # noqa: BLE001 (the journal's trouble is reported by its owner)
            LOGGER.error("the security log's mark: %s", error)
        self.record(SecurityEvent.STARTUP, version)

    def clear_log(self) -> None:
        """Empty the security log; that it was emptied is its first line. Raises OSError."""
        self.log.clear()
        self.record(SecurityEvent.SECURITY_LOG_WAS_CLEARED, "by command")

    # ---- moving to another network ----

    def books_settled(self) -> bool:
        """No transaction runs, and all records have been delivered. False also when the journal cannot say."""
        try:
            return self._keeper.open_transactions() == 0 and not self._keeper.pending(1)
        except Exception as error:  # noqa: BLE001 (whatever the disk does, the tunnel stays up)
            LOGGER.warning("the journal cannot say what is open: %s", error)
            return False

    def forget_network_numbers(self) -> None:
        """Another network is told what is left: numbers that its predecessor gave mean nothing to it."""
        try:
            self._keeper.forget_network_numbers()
        except Exception:
            LOGGER.exception("numbers that another network gave to transactions could not be forgotten")

    # ---- memory ----

    async def watch(self) -> None:
        """Look after disk and memory for ever."""
        while True:
            self.check_memory(free_disk_bytes(self.folder), available_memory_bytes())
            await asyncio.sleep(MEMORY_CHECK_S)

    def check_memory(self, disk_bytes: int | None, memory_bytes: int | None) -> None:
        """Record MemoryExhaustion once when either runs out, and again only after both had recovered."""
        low = []
        if disk_bytes is not None and disk_bytes < LOW_DISK_BYTES * (2 if self._exhausted else 1):
            low.append(f"disk: {disk_bytes // 1024} kB left")
        if memory_bytes is not None and memory_bytes < LOW_MEMORY_BYTES * (2 if self._exhausted else 1):
            low.append(f"memory: {memory_bytes // 1024} kB left")
        if low and not self._exhausted:
            self.record(SecurityEvent.MEMORY_EXHAUSTION, ", ".join(low))
        self._exhausted = bool(low)


def free_disk_bytes(folder: Path) -> int | None:
    """What is left on the folder's file system; None when nobody can tell."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        figures = os.statvfs(folder)
    except OSError:
        return None
    return figures.f_bavail * figures.f_frsize


def available_memory_bytes(source: Path = Path("/proc/meminfo")) -> int | None:
    """MemAvailable of the kernel (proc_meminfo(5)); None when it does not say."""
    try:
        for line in source.read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
