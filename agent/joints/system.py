"""Does what a technician asks of the machine: reads logs, makes the bundle, starts anew, takes an update's file."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.clock import Clock
from agent.files.bundle import make
from agent.files.job import Job, Work
from agent.joints.configuration import ConfigWork
from agent.joints.files import FileWork
from agent.joints.network import said_by
from agent.link.messages import StartAnew
from agent.local.configuration import masked
from agent.local.network import NetworkFinding
from agent.local.rpc import RpcError
from agent.local.system import BundleDocument, BundlePart, UpdateDocument
from agent.ocpp.restart_port import BootReason
from agent.security.log import SecurityLog
from agent.security.security import Security
from agent.station.commands import ResetKind
from agent.update.local_file import LOCAL
from agent.update.order import Order, OrderAnswer
from agent.update.verify import Verdict

ANSWER_S = 0.3
"""Between the answer to whoever asked and the fresh start."""
JOURNAL_S = 20.0
CHECKS_S = 60.0
PART_BYTES = 192 * 1024
JOURNALD = {"control": ("-u", "evse-control"), "system": ()}


class SystemWork:
    """``agent`` is the agent process (``agent.app.App``); ``check`` looks at the network."""

    def __init__(
        self,
        agent: Any,
        files: FileWork,
        security: Security,
        clock: Clock,
        config: ConfigWork,
        check: Callable[[], Awaitable[list[NetworkFinding]]],
    ) -> None:
        self._agent = agent
        self._files = files
        self._security = security
        self._clock = clock
        self._config = config
        self._check = check
        self._bundling = asyncio.Lock()

    # ---- logs ----

    async def log(self, unit: str, lines: int, since_utc_s: float | None) -> list[str]:
        if unit == "agent":
            return self._files.log_text(since_utc_s, None).splitlines()[-lines:]
        if unit in ("security", "audit"):
            log = self._security.log if unit == "security" else SecurityLog(self._security.folder / "audit.log")
            return (await asyncio.to_thread(_tail, log.parts(), lines))[-lines:]
        if unit not in JOURNALD:
            raise RpcError(f"no log {unit[:40]!r}; there are agent, security, audit, control, system")
        program = shutil.which("journalctl")
        if program is None:
            raise RpcError(f"the log of {unit} is where its service manager puts it: there is no journalctl here")
        words = [program, "--no-pager", "-q", "-o", "short-iso", "-n", str(lines), *JOURNALD[unit]]
        words += [] if since_utc_s is None else ["--since", f"@{since_utc_s:.0f}"]
        status, text = await said_by(words, JOURNAL_S)
        if status != 0:
            raise RpcError("journald does not show it to this user; add it to the group systemd-journal")
        return text.splitlines()[-lines:]

    def follow(self, publish: Callable[[str, Any], None], on: bool) -> None:
        """Pass on each line of the agent's log while somebody listens."""
        loop = asyncio.get_running_loop()

        def came(line: str) -> None:
            loop.call_soon_threadsafe(publish, "log", line)

        self._files.ring.listener = came if on else None

    # ---- the bundle ----

    @property
    def _bundle_path(self) -> Path:
        return self._security.folder.parent / "upload" / "console.tar.gz"

    async def make_bundle(self) -> BundleDocument:
        if self._bundling.locked():
            raise RpcError("a bundle is being made; ask again when it is done")
        async with self._bundling:
            bundle = self._files.uploads.bundle()
            more = await self._more()
            bundle = replace(bundle, documents={**bundle.documents, **more})
            path = self._bundle_path
            job = Job(Work.UPLOAD, "", str(path), (), bundle.max_bytes, 60.0, bundle=bundle)
            try:
                await asyncio.to_thread(make, job)
                length, digest = await asyncio.to_thread(_weighed, path)
            except OSError as error:
                raise RpcError(f"{path}: {error.strerror or error}; free space there") from error
        return {"name": bundle.name, "length": length, "sha256": digest}

    async def _more(self) -> dict[str, str]:
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(CHECKS_S):
                found["checks.json"] = json.dumps(await self._check(), indent=1) + "\n"
        except (RpcError, TimeoutError) as error:
            found["checks.json"] = json.dumps({"not_done": str(error)}) + "\n"
        try:
            text = self._config.text()
            found["config.yaml"] = await asyncio.to_thread(masked, text, self._config.is_secret)
            entries = await asyncio.to_thread(self._config.history.entries)
            lines = [
                f"{one.number} {one.utc_s:.0f} {one.who}: {', '.join(one.changes)}: {one.outcome}" for one in entries
            ]
            found["config-history.txt"] = "\n".join(lines) + "\n"
        except Exception as error:  # noqa: BLE001 (a file that cannot be read is worth knowing, not a reason for none)
            found["config.yaml"] = f"# cannot be shown: {error}\n"
        return found

    async def read_bundle(self, offset: int) -> BundlePart:
        try:
            data, more = await asyncio.to_thread(_part, self._bundle_path, offset)
        except OSError as error:
            raise RpcError(f"no bundle is there ({error.strerror or error}); make one first") from error
        text = base64.b64encode(data).decode("ascii")
        return {"data": text, "next": offset + len(data) if more else None}

    # ---- fresh starts ----

    def _calm(self, in_session: bool) -> None:
        if self._agent.busy() and not in_session:
            raise RpcError("a vehicle is charging; wait for its end, or confirm it with in_session")

    def restart_agent(self, in_session: bool) -> None:
        self._calm(in_session)
        asyncio.get_running_loop().call_later(ANSWER_S, self._agent.restart)

    def restart_control(self) -> None:
        evses = self._agent.status()["evses"]
        used = [str(one["id"]) for one in evses if one["plugged"] is not False or one["contactor_closed"]]
        if used:
            raise RpcError(
                f"EVSE {', '.join(used)}: control starts anew only while nothing is plugged in; unplug first"
            )
        if not self._agent.to_control(StartAnew()):
            raise RpcError("control is not connected; see that evse-control runs")

    def reboot(self, in_session: bool) -> bool:
        self._calm(in_session)
        if not self._agent.reset(ResetKind.HARD):
            raise RpcError("the station refuses a restart now; 'log' says why")
        self._agent.restarts.note(BootReason.LOCAL_RESET)
        return self._files.updates.restarts_machine

    # ---- updates ----

    async def install(self, path: str, signature: str, certificate: str) -> str:
        updates = self._files.updates
        if not updates.can_install:
            raise RpcError("the configuration does not say how updates get in; set update.install")
        if not Path(path).is_absolute() or "\0" in path:
            raise RpcError("give the whole path of the file, from / on")
        problem = await asyncio.to_thread(_readable, Path(path))
        if problem:
            raise RpcError(problem)
        if bool(signature) != bool(certificate):
            raise RpcError("give signature and certificate together")
        if not signature and not updates.takes_unsigned:
            raise RpcError(
                "files without a signature may not be installed (update.unsigned); bring .sig and .pem along"
            )
        if certificate:
            verdict = await updates.certificate_verdict(certificate)
            if verdict is not Verdict.GOOD:
                raise RpcError(f"the signing certificate is not good ({verdict.value}); the log says why")
        now_s = self._clock.now().utc_s
        answer = updates.order(Order(LOCAL + path, now_s, certificate=certificate, signature=signature))
        if answer is OrderAnswer.REJECTED:
            raise RpcError("another update cannot be called off any more; 'update state' tells how far it is")
        return str(answer.value)

    def update(self) -> UpdateDocument:
        updates = self._files.updates
        done, total = updates.progress
        return {
            "status": updates.status.value,
            "done": done,
            "total": total,
            "can_install": updates.can_install,
            "unsigned": updates.takes_unsigned,
        }


def _readable(path: Path) -> str:
    try:
        with path.open("rb"):
            return "" if path.is_file() else f"{path} is no file"
    except OSError as error:
        return f"{path}: {error.strerror or error}; copy it to where the agent may read it"


def _tail(parts: list[Path], lines: int) -> list[str]:
    found: list[str] = []
    for path in parts:
        try:
            found += path.read_text("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            continue
    return found


def _weighed(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _part(path: Path, offset: int) -> tuple[bytes, bool]:
    with path.open("rb") as file:
        file.seek(max(0, offset))
        data = file.read(PART_BYTES)
        return data, bool(file.read(1))
