"""The local API's methods about the network around the charge point, and the clock."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol, TypedDict

from agent.local.methods import Caller, Method, observe, service
from agent.local.rpc import RpcError

MOST_PINGS = 20


class NetworkFinding(TypedDict):
    """One step on the way to the network."""

    name: str
    """'address', 'gateway', 'name', 'tcp', 'tls', 'certificate', 'clock', 'modem'; of a ping its number."""
    ok: bool | None
    """None: neither good nor bad."""
    text: str
    remedy: str


class TimeDocument(TypedDict):
    utc: str
    """What the agent holds for the time, RFC 3339."""
    synced: bool
    """A network has confirmed it."""
    source: str
    """'network', 'system clock', or 'none' where the clock was never set."""
    system_offset_s: float
    """How far the system's clock is ahead of it."""
    system_synced: bool
    """systemd-timesyncd has set the system's clock."""
    rtc: str | None
    """What the battery-backed clock says; None: there is none."""
    boot: str
    up_s: float


class TimeChange(TypedDict):
    before: str
    after: str


class Look(Protocol):
    """Who looks (``agent.joints.network.NetworkWork``)."""

    def check(self) -> Awaitable[list[NetworkFinding]]: ...
    def ping(self, host: str, port: int, count: int) -> Awaitable[list[NetworkFinding]]: ...
    def time(self) -> TimeDocument: ...
    def set_time(self, utc_s: float) -> tuple[str, str]: ...


def methods(look: Look, audit: Callable[[Caller, str, str], None], told: Callable[[], None]) -> dict[str, Method]:
    """``told`` is called when the clock was set."""

    async def check() -> list[NetworkFinding]:
        """Every step on the way to the operator's network: address, gateway, name, TCP, TLS, certificate, clock, modem.
        May take a minute."""
        return await look.check()

    async def ping(host: str, port: int = 0, count: int = 4) -> list[NetworkFinding]:
        """How long a host takes to answer: an echo, or with a port a TCP connection."""
        if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", host) or host.startswith("-"):
            raise RpcError(f"{host[:60]!r} is no host; give a name or an address")
        if not 0 <= port <= 65_535 or not 1 <= count <= MOST_PINGS:
            raise RpcError(f"port must be 0 to 65535, count 1 to {MOST_PINGS}")
        return await look.ping(host, port, count)

    def time_show() -> TimeDocument:
        """The time, where it comes from, and how well it is known."""
        return look.time()

    def time_set(utc: str, caller: Caller) -> TimeChange:
        """Set the clock by hand (RFC 3339 with its offset), as long as no network has told the time; it holds until one
        does, or the agent starts anew. The system's own clock stays as it is."""
        try:
            at = datetime.fromisoformat(utc)
        except ValueError:
            raise RpcError(f"{utc[:40]!r} is no time; write it like 2026-01-31T12:00:00Z") from None
        if at.tzinfo is None:
            raise RpcError("say the offset as well: Z for UTC, or +02:00")
        if not 2025 <= at.astimezone(UTC).year <= 2099:
            raise RpcError(f"{at.year} cannot be; give a year from 2025 to 2099")
        before, after = look.set_time(at.timestamp())
        audit(caller, "time.set", f"{before} -> {after}")
        told()
        return {"before": before, "after": after}

    return {
        "network.check": observe(check),
        "network.ping": observe(ping),
        "time.show": observe(time_show),
        "time.set": service(time_set),
    }
