"""Diagnostics and logs on their way to the operator: made, sent, tried again, called off by the next request."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from agent.clock import Moment
from agent.config.schema import Config
from agent.files.address import AddressError, parse, shown
from agent.files.attempts import Attempts
from agent.files.child import transfer
from agent.files.job import Bundle, Job, TransferError, Trouble, Work
from agent.files.notices import About, Keeper, NoticeLine

LOGGER = logging.getLogger(__name__)

TABLE = "upload"

_SAFE = re.compile(r"[^A-Za-z0-9._-]")


class LogKind(Enum):
    DIAGNOSTICS = "diagnostics"
    SECURITY = "security"


class UploadStatus(Enum):
    """Neutral words; each version has its own for them."""

    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    FAILED = "failed"
    BAD_MESSAGE = "bad_message"
    NOT_SUPPORTED = "not_supported"
    PERMISSION_DENIED = "permission_denied"
    CALLED_OFF = "called_off"
    """By another request; that one is under way."""
    IDLE = "idle"


_FAILURES = {
    Trouble.BAD_MESSAGE: UploadStatus.BAD_MESSAGE,
    Trouble.NOT_SUPPORTED: UploadStatus.NOT_SUPPORTED,
    Trouble.PERMISSION_DENIED: UploadStatus.PERMISSION_DENIED,
}


@dataclass(frozen=True, slots=True)
class UploadOrder:
    """What the network asks for. Times in seconds since 1970; None: from the beginning, to the end."""

    about: About
    kind: LogKind
    location: str
    retries: int | None = None
    interval_s: float | None = None
    since_utc_s: float | None = None
    until_utc_s: float | None = None
    request: int | None = None


@dataclass(frozen=True, slots=True)
class UploadAnswer:
    """``name`` empty: there is nothing to send."""

    name: str
    replaced: bool = False
    """One that was under way was called off."""


class Source(Protocol):
    """Where the documents come from."""

    def moment(self) -> Moment: ...
    def documents(self) -> Mapping[str, Any]:
        """Everything of a support bundle but the log: name → what JSON can carry."""

    def log_text(self, since_utc_s: float | None, until_utc_s: float | None) -> str: ...
    def security_log_parts(self) -> list[Path]: ...
    def network_roots(self) -> Sequence[Path]:
        """Roots that the network has installed for itself."""


class Uploads:
    """Call from the thread of the event loop, ``start`` first."""

    def __init__(self, config: Config, keeper: Keeper, notices: NoticeLine, source: Source) -> None:
        self._files = config.files
        self._folder = config.paths.state_dir / "upload"
        self._identity = _SAFE.sub("_", config.identity)[:48]
        self._keeper = keeper
        self._notices = notices
        self._source = source
        self._running: dict[About, tuple[UploadOrder, asyncio.Task[None]]] = {}

    def start(self) -> None:
        """What a restart interrupted is over, and the network is told so."""
        for key, entry in self._keeper.kept(TABLE).items():
            self._keep(key, None)
            if isinstance(entry, dict) and key in {about.value for about in About}:
                self._tell(About(key), UploadStatus.FAILED, entry.get("request"))

    async def close(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def address_problem(self, location: str) -> str:
        """Say why a location cannot be used; empty when it can."""
        try:
            parse(location, self._files.protocols)
        except AddressError as error:
            return str(error)
        return ""

    def current(self, about: About) -> tuple[UploadStatus, int | None]:
        """What is going on, and the network's number of it."""
        found = self._running.get(about)
        return (UploadStatus.IDLE, None) if found is None else (UploadStatus.UPLOADING, found[0].request)

    def order(self, order: UploadOrder) -> UploadAnswer:
        """Begin an upload; the one of the same sort that runs is called off."""
        before = self._running.pop(order.about, None)
        if before is not None:
            before[1].cancel()
            self._tell(order.about, UploadStatus.CALLED_OFF, before[0].request)
        bundle = self._bundle(order)
        if bundle is None:
            self._keep(order.about.value, None)
            return UploadAnswer("", before is not None)
        LOGGER.info("%s goes to %s", bundle.name, shown(order.location))
        self._keep(order.about.value, {"request": order.request})
        task = asyncio.get_running_loop().create_task(
            self._upload(order, bundle, None if before is None else before[1]), name=f"upload {order.about.value}"
        )
        self._running[order.about] = (order, task)
        return UploadAnswer(bundle.name, before is not None)

    def available(self, order: UploadOrder) -> bool:
        """Tell whether there is anything of what is asked for."""
        return self._bundle(order) is not None

    # ---- the file ----

    def bundle(self) -> Bundle:
        """Put a support bundle together, as the network would get it."""
        found = self._bundle(UploadOrder(About.DIAGNOSTICS, LogKind.DIAGNOSTICS, ""))
        assert found is not None  # without a span of time there is always something
        return found

    def _bundle(self, order: UploadOrder) -> Bundle | None:
        """Put together what is to be sent; None when there is nothing in that span of time."""
        since, until = order.since_utc_s, order.until_utc_s
        now_utc_s = self._source.moment().utc_s
        if since is not None and (since > now_utc_s or (until is not None and until < since)):
            return None
        most = self._files.max_upload_megabytes * 1024 * 1024
        at = datetime.fromtimestamp(max(0.0, now_utc_s), UTC).strftime("%Y%m%dT%H%M%SZ")
        if order.kind is LogKind.SECURITY:
            text = _security_lines(self._source.security_log_parts(), since, until)
            return Bundle(f"security-{self._identity}-{at}.log", {"security.log": text}, most, True) if text else None
        log = self._source.log_text(since, until)
        if until is not None and not log:
            return None
        documents = {
            name: json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
            for name, value in self._source.documents().items()
        }
        return Bundle(f"diagnostics-{self._identity}-{at}.tar.gz", {**documents, "agent.log": log}, most)

    # ---- sending ----

    async def _upload(self, order: UploadOrder, bundle: Bundle, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._tell(order.about, UploadStatus.UPLOADING, order.request)
        end = await self._try(order, bundle)
        self._running.pop(order.about, None)
        try:
            with self._keeper.write():
                self._tell(order.about, end, order.request)
                self._keep(order.about.value, None)
        except Exception as error:  # noqa: BLE001 (a full disk must not keep the network from hearing)
            LOGGER.error("uploads: %s", error)

    async def _try(self, order: UploadOrder, bundle: Bundle) -> UploadStatus:
        retries = self._files.retries if order.retries is None else order.retries
        interval_s = self._files.retry_interval_s if order.interval_s is None else order.interval_s
        attempts = Attempts(retries, interval_s)
        files = self._files
        job = Job(
            Work.UPLOAD,
            order.location,
            str(self._folder / f"{order.about.value}.out"),
            files.protocols,
            bundle.max_bytes,
            files.stall_timeout_s,
            ca_file=str(files.ca_file or ""),
            roots=tuple(map(str, self._source.network_roots())),
            loopback=files.loopback,
            bundle=bundle,
        )
        loop = asyncio.get_running_loop()
        while True:
            attempts.begin()
            try:
                size = await transfer(job, files.longest_s)
            except TransferError as error:
                LOGGER.warning("upload of %s: %s", bundle.name, error)
                again_at = None if error.trouble.final else attempts.next_at(loop.time())
                if again_at is None:
                    return _FAILURES.get(error.trouble, UploadStatus.FAILED)
                await asyncio.sleep(max(0.0, again_at - loop.time()))
            else:
                LOGGER.info("%s was sent, %d bytes", bundle.name, size)
                return UploadStatus.UPLOADED

    # ---- small things ----

    def _tell(self, about: About, status: UploadStatus, request: Any) -> None:
        self._notices.append(about, status.value, request if type(request) is int else None)

    def _keep(self, key: str, value: Any | None) -> None:
        try:
            self._keeper.keep(TABLE, key, value)
        except Exception as error:  # noqa: BLE001 (a full disk must not stop an upload)
            LOGGER.error("uploads: %s", error)


def _security_lines(parts: list[Path], since: float | None, until: float | None) -> str:
    """Return the lines of the security log in a span of time. A line that does not begin with a time stays."""
    found: list[str] = []
    for path in parts:
        try:
            lines = path.read_text("utf-8", "replace").splitlines(keepends=True)
        except OSError as error:
            found.append(f"({path.name} cannot be read: {error.strerror})\n")
            continue
        found += [line for line in lines if _within(line, since, until)]
    return "".join(found)


def _within(line: str, since: float | None, until: float | None) -> bool:
    try:
        at = datetime.fromisoformat(line.split(" ", 1)[0].lstrip("~")).timestamp()
    except (ValueError, OverflowError):
        return True
    return (since is None or at >= since) and (until is None or at <= until)
