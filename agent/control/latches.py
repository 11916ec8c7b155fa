"""Latched faults outlive the process: a crash of control must not forgive what only an unplug or a person may forgive.

A small file in the runtime directory, which is memory on a charger: written when a fault comes or goes, read once at
start, gone with a reboot (after which the checks before each close find again what is still wrong).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from agent.control.fault_book import FaultBook
from agent.link.messages import FaultCode

log = logging.getLogger("evse-control")


class LatchFile:
    """``path`` None keeps nothing. Neither method raises: what cannot be kept is said, and the charge goes its way."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._complained = False

    def restore(self, books: Mapping[int, FaultBook], now: float) -> None:
        """Latch again what was latched when the last control ended. Call before the first step."""
        for evse, code, detail in self._read():
            if evse in books:
                books[evse].restore(code, detail, now)
                log.warning("EVSE %d: fault %s was latched before this start and still is", evse, code.value)

    def save(self, books: Mapping[int, FaultBook]) -> None:
        """Write what is latched now."""
        if self._path is None:
            return
        entries = [
            {"evse": evse, "code": code.value, "detail": detail}
            for evse, book in books.items()
            for code, detail in book.latched()
        ]
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(entries), encoding="utf-8")
            fresh.replace(self._path)
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.warning("%s: latched faults cannot be kept over a restart: %s", self._path, error)

    def _read(self) -> list[tuple[int, FaultCode, str]]:
        if self._path is None or not self._path.exists():
            return []
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))
            return [(int(entry["evse"]), FaultCode(entry["code"]), str(entry["detail"])) for entry in entries]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("%s cannot be read (%s); faults start afresh", self._path, error)
            return []
