"""Joins metrics to the agent: hears what happens, looks around every so often, writes the file, keeps the ledgers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from agent.clock import Clock
from agent.config.schema import Config
from agent.journal.errors import JournalError
from agent.journal.events import TransactionEnded, TransactionStarted
from agent.journal.journal import Journal
from agent.journal.records import QueueFigures
from agent.link.messages import DeviceReport, FaultReport, LoopReport, ToAgent, Welcome
from agent.local.methods import Method, observe
from agent.local.status import StatusDocument
from agent.metrics.families import BOUNDS_S, Books, Counts, Process, families
from agent.metrics.text import render
from agent.metrics.uptime import Ledger, cause_of
from agent.station.effects import Keep, Record
from agent.update.health import late_share

log = logging.getLogger(__name__)

TABLE = "metrics"
KEEP_S = 600.0
"""Ledgers are written so often, and when an outage begins or ends: flash wears, and a power cut loses so much."""


class Source(Protocol):
    """The agent, as far as metrics need it."""

    def status(self) -> StatusDocument: ...


class Metrics:
    """``start`` first; ``heard`` with every message of control, ``recorded`` with everything that is written."""

    def __init__(self, config: Config, journal: Journal, clock: Clock, source: Source) -> None:
        self._config = config
        self._journal = journal
        self._clock = clock
        self._source = source
        self._began = time.monotonic()
        self.counts = Counts(sessions={e.id: 0 for e in config.evses}, ended={e.id: 0 for e in config.evses})
        kept = journal.kept(TABLE)
        self._starts = int(kept.get("starts", 0)) + 1
        self._ledgers = {evse.id: Ledger(kept.get(f"uptime-{evse.id}")) for evse in config.evses}
        self._instance = ""
        self.loop_late: float | None = None
        """Share of control's ticks that came too late, in its latest report; None while it has told nothing."""
        self._kept_at = -KEEP_S
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    @property
    def path(self) -> Path:
        return self._config.metrics.file or self._config.paths.runtime_dir / "metrics" / "evse-agent.prom"

    def start(self) -> None:
        with contextlib.suppress(JournalError):
            self._journal.keep(TABLE, "starts", self._starts)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="metrics")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._look(last=True)

    # ---- what happens ----

    def heard(self, message: ToAgent) -> None:
        match message:
            case LoopReport():
                before = () if self.counts.loop is None else self.counts.loop.late
                self.loop_late = late_share(before, message.late, BOUNDS_S)
                self.counts.loop = message
            case DeviceReport(device, ok):
                self.counts.devices[device] = ok
            case Welcome(_, instance):
                self.counts.control_starts += bool(self._instance) and instance != self._instance
                self._instance = instance
            case FaultReport(evse, code, True):
                key = (evse, code.value)
                self.counts.faults[key] = self.counts.faults.get(key, 0) + 1
            case _:
                return

    def recorded(self, entries: Sequence[Record | Keep]) -> None:
        for entry in entries:
            if isinstance(entry, Record) and isinstance(entry.event, TransactionStarted | TransactionEnded):
                which = self.counts.sessions if isinstance(entry.event, TransactionStarted) else self.counts.ended
                which[entry.event.evse] = which.get(entry.event.evse, 0) + 1

    # ---- now and then ----

    async def _run(self) -> None:
        while True:
            self._look()
            self._write()
            await asyncio.sleep(self._config.metrics.interval_s)

    def _look(self, *, last: bool = False) -> None:
        """Bring the ledgers up to now."""
        moment = self._clock.now()
        status = self._source.status()
        changed = False
        for evse in status["evses"]:
            ledger = self._ledgers.get(evse["id"])
            if ledger is not None:
                codes = [fault["code"] for fault in evse["faults"]]
                cause = cause_of(status["control"]["connected"], evse["available"], codes)
                changed = ledger.now(moment.monotonic_s, moment.utc_s, cause) or changed
        if changed or last or moment.monotonic_s - self._kept_at >= KEEP_S:
            self._kept_at = moment.monotonic_s
            with contextlib.suppress(JournalError), self._journal.write():  # the journal's trouble is told elsewhere
                for number, ledger in self._ledgers.items():
                    self._journal.keep(TABLE, f"uptime-{number}", ledger.document())

    def _write(self) -> None:
        """Put the file in its place in one piece. No flush: it is made anew after a power cut."""
        fresh = self.path.with_name(f".{self.path.name}.new")
        try:
            if not self.path.parent.exists():
                self.path.parent.mkdir(parents=True)
                self.path.parent.chmod(0o755)  # whatever the umask: node_exporter is someone else
            fresh.write_text(self.text(), "utf-8")
            fresh.chmod(0o644)
            fresh.replace(self.path)
            self._complained = False
        except OSError as error:
            if not self._complained:
                log.warning("metrics: %s cannot be written: %s; set metrics.file", self.path, error.strerror)
            self._complained = True

    def text(self) -> str:
        status = self._source.status()
        return render(families(status, self.counts, self._process(), self._books(), self._ledgers))

    def _process(self) -> Process:
        return Process(_pss_bytes(), _written_bytes(), time.monotonic() - self._began)

    def _books(self) -> Books:
        path = self._journal.path
        waiting = False
        try:
            figures = self._journal.figures()
        except JournalError:
            figures, waiting = QueueFigures(0, 0, None), True
        age_s = None if figures.oldest_utc_s is None else max(0.0, self._clock.now().utc_s - figures.oldest_utc_s)
        size = 0
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            with contextlib.suppress(OSError):
                size += path.with_name(name).stat().st_size
        try:
            free: int | None = shutil.disk_usage(path.parent).free
        except OSError:
            free = None
        return Books(figures.pending, figures.parked, age_s, size, free, self._starts, waiting)


def methods(text: Callable[[], str]) -> dict[str, Method]:
    """The local API's method. Nothing is called here."""

    def metrics() -> dict[str, str]:
        """All metrics, as text in the Prometheus exposition format."""
        return {"text": text()}

    return {"metrics": observe(metrics)}


def _pss_bytes() -> int | None:
    try:
        for line in Path("/proc/self/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


def _written_bytes() -> int | None:
    try:
        lines = Path(f"/proc/{os.getpid()}/io").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
    except (OSError, ValueError, StopIteration):
        return None
