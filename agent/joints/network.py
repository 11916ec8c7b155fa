"""Looks at the network for a technician: the probe in its process, the modem, the clock."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.clock import Clock
from agent.local.network import NetworkFinding, TimeDocument
from agent.local.rpc import RpcError
from agent.ocpp.networks import Networks
from agent.security.security import Security
from agent.security.store import RootUse
from agent.station.documents import moment
from agent.tools.network_probe import Question

LOGGER = logging.getLogger(__name__)

PROBE_S = 45.0
MODEM_S = 8.0
MOST_BYTES = 64 * 1024
WEAK_PCT = 20
"""Below this a modem loses its connection now and then (experience, not a standard)."""

RTC = Path("/sys/class/rtc/rtc0")
TIMESYNC = Path("/run/systemd/timesync/synchronized")


class NetworkWork:
    def __init__(self, networks: Networks, security: Security, clock: Clock) -> None:
        self._networks = networks
        self._security = security
        self._clock = clock
        self._looking = asyncio.Lock()

    async def check(self) -> list[NetworkFinding]:
        """Every step to the network in use. Raises RpcError while another look goes on."""
        found: list[NetworkFinding] = []
        if self._networks.known:
            way = self._networks.current()
            parts = urlsplit(way.address)
            utc_s = self._security.utc_s
            roots = [str(path) for path in self._security.certificates.roots(RootUse.CENTRAL)]
            if way.ca_file is not None:
                roots.insert(0, str(way.ca_file))
            port = parts.port or (443 if way.secure else 80)
            question = Question("way", parts.hostname or "", port, way.secure, utc_s, tuple(roots))
        else:
            found.append(_finding("network", None, "no network is configured", "config set ocpp.url wss://…"))
            question = Question("way", "127.0.0.1")
        found += await self._probe(question)
        found.append(self._clock_finding())
        modem = await _modem()
        return [*found, modem] if modem is not None else found

    async def ping(self, host: str, port: int, count: int) -> list[NetworkFinding]:
        return await self._probe(Question("ping", host, port, count=count))

    async def _probe(self, question: Question) -> list[NetworkFinding]:
        if self._looking.locked():
            raise RpcError("another look at the network goes on; ask again when it is done")
        async with self._looking:
            command = [sys.executable, "-m", "agent.tools.network_probe"]
            status, said = await said_by(command, PROBE_S, json.dumps(asdict(question)).encode() + b"\n")
        found: list[NetworkFinding] = []
        for line in said.splitlines():
            try:
                one = json.loads(line)
                found.append(_finding(one["name"], one["ok"], one["text"], one["remedy"]))
            except (ValueError, KeyError, TypeError):
                continue
        if status is None:
            last = found[-1]["name"] if found else "the beginning"
            found.append(
                _finding("time-out", False, f"no answer {PROBE_S:g} s after {last}", "see to the name servers")
            )
        return found

    # ---- the clock ----

    def _clock_finding(self) -> NetworkFinding:
        now = self._clock.now()
        text = f"{moment(now.utc_s)}"
        if now.synced:
            return _finding("clock", True, f"{text}, as the network has it")
        if self._clock.plausible:
            return _finding("clock", None, f"{text}, which nobody has confirmed", "compare with a watch; 'time set'")
        return _finding("clock", False, f"{text}: it was never set", "set it: time set 2026-01-31T12:00Z")

    def time(self) -> TimeDocument:
        now = self._clock.now()
        system_s = time.time()
        return {
            "utc": moment(now.utc_s) or "",
            "synced": now.synced,
            "source": "network" if now.synced else "system clock" if self._clock.plausible else "none",
            "system_offset_s": round(system_s - now.utc_s, 3),
            "system_synced": TIMESYNC.exists(),
            "rtc": _rtc(),
            "boot": now.boot,
            "up_s": round(now.monotonic_s, 1),
        }

    def set_time(self, utc_s: float) -> tuple[str, str]:
        """Return the time before and after. Raises RpcError once a network has told the time."""
        before = self._clock.now()
        if before.synced:
            raise RpcError("the network has told the time already; a clock that is confirmed is not set by hand")
        self._clock.told_by_hand(utc_s)
        return moment(before.utc_s) or "", moment(self._clock.now().utc_s) or ""


def _rtc() -> str | None:
    try:
        return moment(float((RTC / "since_epoch").read_text()))
    except (OSError, ValueError):
        return None


async def _modem() -> NetworkFinding | None:
    """What ModemManager says of the first modem; None where there is none to ask."""
    program = shutil.which("mmcli")
    if program is None:
        return None
    _, said = await said_by([program, "-m", "any", "-J"], MODEM_S)
    try:
        modem: dict[str, Any] = json.loads(said)["modem"]
        generic, cell = modem["generic"], modem.get("3gpp", {})
        signal_pct = int(generic["signal-quality"]["value"])
        kinds = ", ".join(generic.get("access-technologies") or []) or "?"
        name = cell.get("operator-name") or "no operator"
        text = f"{signal_pct} % by {kinds}, {name}, {generic.get('state', '?')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return _finding("modem", None, "ModemManager tells of no modem")
    if generic.get("state-failed-reason") not in (None, "", "--"):
        return _finding("modem", False, f"{text}: {generic['state-failed-reason']}", "see to SIM card and its PIN")
    if signal_pct < WEAK_PCT:
        return _finding("modem", False, text, "see to antenna and its plug, or to another operator's SIM card")
    return _finding("modem", True, text)


def _finding(name: str, ok: bool | None, text: str, remedy: str = "") -> NetworkFinding:
    return {"name": str(name)[:40], "ok": ok, "text": str(text)[:400], "remedy": str(remedy)[:200]}


async def said_by(command: Sequence[str], longest_s: float, given: bytes = b"") -> tuple[int | None, str]:
    """Run a program. Return its status (None: it took too long) and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said = b""
    status: int | None = None
    try:
        async with asyncio.timeout(longest_s):
            process.stdin.write(given)
            process.stdin.close()
            while len(said) < MOST_BYTES and (data := await process.stdout.read(4096)):
                said += data
            status = await process.wait() if len(said) < MOST_BYTES else None
    except TimeoutError:
        LOGGER.info("%s was not done after %g s", command[0], longest_s)
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.shield(process.wait())
    return status, said.decode("utf-8", "replace")
