"""The local API's methods about the machine: logs, the support bundle, fresh starts, updates from a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypedDict

from agent.local.methods import Caller, Method, observe, service
from agent.local.roles import Role

MOST_LINES = 5000


class BundleDocument(TypedDict):
    name: str
    length: int
    """Bytes."""
    sha256: str


class BundlePart(TypedDict):
    data: str
    """Base64."""
    next: int | None
    """Give it as ``offset``; None: this was the last part."""


class UpdateDocument(TypedDict):
    status: str
    """In OCPP's words: 'Downloading', 'Installing', 'Installed', …"""
    done: int
    """Bytes that have come."""
    total: int | None
    can_install: bool
    """The configuration says how updates get in (section ``update``)."""
    unsigned: bool
    """Files without a signature may be installed."""


class System(Protocol):
    """Who does it (``agent.joints.system.SystemWork``). Refusals are RpcErrors."""

    def log(self, unit: str, lines: int, since_utc_s: float | None) -> Awaitable[list[str]]: ...
    def make_bundle(self) -> Awaitable[BundleDocument]: ...
    def read_bundle(self, offset: int) -> Awaitable[BundlePart]: ...
    def restart_agent(self, in_session: bool) -> None: ...
    def restart_control(self) -> None: ...
    def reboot(self, in_session: bool) -> bool: ...
    def install(self, path: str, signature: str, certificate: str) -> Awaitable[str]: ...
    def update(self) -> UpdateDocument: ...


def methods(system: System, audit: Callable[[Caller, str, str], None]) -> dict[str, Method]:
    async def log_read(unit: str = "agent", lines: int = 100, since_utc_s: float | None = None) -> list[str]:
        """The last lines of a log, oldest first: 'agent', 'security', 'audit', and where journald keeps them 'control'
        and 'system'. ``since_utc_s``: seconds since 1970."""
        return await system.log(unit, max(1, min(lines, MOST_LINES)), since_utc_s)

    async def bundle_make() -> BundleDocument:
        """Make a support bundle: configuration without secrets, logs, faults, journal figures, versions, checks."""
        return await system.make_bundle()

    async def bundle_read(offset: int = 0) -> BundlePart:
        """A part of the bundle that was made last."""
        return await system.read_bundle(offset)

    def restart_agent(in_session: bool = False) -> dict[str, bool]:
        """Start the agent anew. A vehicle goes on charging under its last permit; refused then unless
        ``in_session``."""
        system.restart_agent(in_session)
        return {"restarts": True}

    def restart_control() -> dict[str, bool]:
        """Start control anew. It does so only while nothing is plugged in anywhere."""
        system.restart_control()
        return {"restarts": True}

    def reboot(in_session: bool = False) -> dict[str, bool]:
        """Restart the machine, or where the configuration does not say how (``update.restart``) the agent alone
        (``machine`` false). Charging ends by it; refused then unless ``in_session``."""
        return {"machine": system.reboot(in_session)}

    async def install(path: str, caller: Caller, signature: str = "", certificate: str = "") -> dict[str, str]:
        """Install an update from a file that the agent can read. ``certificate`` (PEM) and ``signature`` (base64, over
        the file) are checked as those of the network are; without them it must be allowed (``update.unsigned``). It
        waits until no vehicle charges. ``update.state`` tells how far it is."""
        answer = await system.install(path, signature, certificate)
        audit(caller, "update.install", f"{path}: {answer}")
        return {"answer": answer}

    def update_state() -> UpdateDocument:
        """How far an update is."""
        return system.update()

    return {
        "log.read": observe(log_read),
        "bundle.make": Method(bundle_make, Role.OPERATE, changes=True),
        "bundle.read": Method(bundle_read, Role.OPERATE),
        "system.restart_agent": service(restart_agent),
        "system.restart_control": service(restart_control),
        "system.reboot": service(reboot),
        "update.install": service(install, secret=("signature", "certificate")),
        "update.state": observe(update_state),
    }
