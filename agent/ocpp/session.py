"""What the tunnel wants of an OCPP version, and what it lends it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from agent.clock import Clock
from agent.config.schema import Config
from agent.files.notices import NoticeLine
from agent.files.uploads import Uploads
from agent.journal.events import SampledValue
from agent.ocpp.customer_port import CustomerPort
from agent.ocpp.networks import Networks
from agent.ocpp.ports import DataTransfer, JournalPort, StationPort, TransferAnswer, UplinkState
from agent.security.security import Security
from agent.station.commands import StatusReport
from agent.station.settings import Settings
from agent.station.tokens import Token
from agent.update.service import Updates

if TYPE_CHECKING:
    from agent.device_model.device import Device

DeviceSource = Callable[[], "Device"]
"""Gives the device model (OCPP 2.x); made at the first call."""

VERSIONS = {
    "ocpp1.6": "agent.ocpp.v16.session",
    "ocpp2.0.1": "agent.ocpp.v2.session",
    "ocpp2.1": "agent.ocpp.v2.session",
}
"""Sub-protocols that we speak, and where. Only the version agreed on is ever imported."""


@dataclass(frozen=True, slots=True)
class SecuritySurroundings:
    """What a session needs where keys, certificates and the network itself can be changed remotely."""

    security: Security
    networks: Networks
    clock: Clock
    connect_anew: Callable[[], None]
    """Close the connection in good order, what is queued included, and open it with what has changed."""


@dataclass(frozen=True, slots=True)
class FileSurroundings:
    """What a session needs where firmware, diagnostics and logs are offered, and what is stored of drivers."""

    notices: NoticeLine
    updates: Updates
    uploads: Uploads
    customers: CustomerPort


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session works with."""

    config: Config
    journal: JournalPort
    settings: Settings
    station: StationPort
    now: Callable[[], float]
    """Monotonic seconds."""
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    """Run this beside; it is cancelled at exit."""
    stirred: Callable[[], None]
    """Call when frames, state or next_wake may have changed outside of a call by the tunnel."""
    registered: Callable[[], None] = lambda: None
    """Call when the network has accepted the registration, before anything else is told to it."""
    security: SecuritySurroundings | None = None
    files: FileSurroundings | None = None
    device: DeviceSource | None = None


class Session(Protocol):
    """One OCPP version's business with the network. No I/O; lives on from connection to connection."""

    @property
    def state(self) -> UplinkState: ...
    @property
    def proved(self) -> bool:
        """Registered, and the network has answered on this connection: the next reconnect may be quick."""

    @property
    def drop_reason(self) -> str:
        """Why the connection must be dropped; empty when it need not."""

    @property
    def calm(self) -> bool:
        """No call of ours waits for its answer."""

    @property
    def frames_waiting(self) -> int: ...
    def take_frame(self) -> str | None: ...
    def connected(self, now: float) -> None: ...
    def renew(self) -> None:
        """The next connection leads to another network: register again, tell everything again."""

    def closing(self) -> None:
        """Begin nothing new on this connection: it is about to be closed."""

    def lost(self, now: float) -> None: ...
    def receive(self, data: str | bytes, now: float) -> None: ...
    def advance(self, now: float) -> None:
        """Do what time or a change of state has made due."""

    def settle(self, now: float) -> None:
        """All frames are on their way: do what can be done while the network thinks."""

    def next_wake(self) -> float | None: ...
    def authorise(self, request: int, token: Token, now: float) -> None: ...
    def report_status(self, report: StatusReport, now: float) -> None: ...
    def report_meter(self, evse: int, at_utc_s: float, samples: tuple[SampledValue, ...], now: float) -> None: ...
    def data_transfer(self, transfer: DataTransfer, done: Callable[[TransferAnswer | None], None], now: float) -> None:
        """Send a vendor's message; ``done`` is called once, with None when there was no answer."""

    def journal_grew(self, now: float) -> None: ...


def new_session(subprotocol: str, surroundings: Surroundings) -> Session:
    """Import the version and make its session. Each module has ``new_session(subprotocol, surroundings)``."""
    session: Session = import_module(VERSIONS[subprotocol]).new_session(subprotocol, surroundings)
    return session
